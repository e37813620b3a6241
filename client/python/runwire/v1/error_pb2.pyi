from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from typing import ClassVar as _ClassVar

DESCRIPTOR: _descriptor.FileDescriptor

class ErrorReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    ERROR_REASON_UNSPECIFIED: _ClassVar[ErrorReason]
    ERROR_REASON_NOT_FOUND: _ClassVar[ErrorReason]
    ERROR_REASON_DELETED: _ClassVar[ErrorReason]
    ERROR_REASON_ALREADY_EXISTS: _ClassVar[ErrorReason]
    ERROR_REASON_REQUEST_ID_REUSED: _ClassVar[ErrorReason]
    ERROR_REASON_FIELD_INVALID: _ClassVar[ErrorReason]
    ERROR_REASON_FILTER_SYNTAX: _ClassVar[ErrorReason]
    ERROR_REASON_PAGE_TOKEN_MISMATCH: _ClassVar[ErrorReason]
    ERROR_REASON_DIGEST_MISMATCH: _ClassVar[ErrorReason]
    ERROR_REASON_PARAM_CONFLICT: _ClassVar[ErrorReason]
    ERROR_REASON_RUN_SEALED: _ClassVar[ErrorReason]
    ERROR_REASON_BLOBS_MISSING: _ClassVar[ErrorReason]
    ERROR_REASON_STAGE_CHANGED: _ClassVar[ErrorReason]
    ERROR_REASON_TREE_SEALED: _ClassVar[ErrorReason]
    ERROR_REASON_ETAG_MISMATCH: _ClassVar[ErrorReason]
    ERROR_REASON_ALIAS_MOVED: _ClassVar[ErrorReason]
    ERROR_REASON_SEQUENCE_GAP: _ClassVar[ErrorReason]
    ERROR_REASON_OFFSET_GAP: _ClassVar[ErrorReason]
    ERROR_REASON_TOO_LARGE: _ClassVar[ErrorReason]
    ERROR_REASON_QUOTA: _ClassVar[ErrorReason]
    ERROR_REASON_OVERLOADED: _ClassVar[ErrorReason]
    ERROR_REASON_DRAINING: _ClassVar[ErrorReason]
    ERROR_REASON_INTERNAL: _ClassVar[ErrorReason]
    ERROR_REASON_UNIMPLEMENTED: _ClassVar[ErrorReason]
    ERROR_REASON_STORAGE_UNAVAILABLE: _ClassVar[ErrorReason]
    ERROR_REASON_CHECKSUM_MISMATCH: _ClassVar[ErrorReason]
    ERROR_REASON_DATA_DAMAGED: _ClassVar[ErrorReason]
    ERROR_REASON_REVISION_AHEAD: _ClassVar[ErrorReason]
ERROR_REASON_UNSPECIFIED: ErrorReason
ERROR_REASON_NOT_FOUND: ErrorReason
ERROR_REASON_DELETED: ErrorReason
ERROR_REASON_ALREADY_EXISTS: ErrorReason
ERROR_REASON_REQUEST_ID_REUSED: ErrorReason
ERROR_REASON_FIELD_INVALID: ErrorReason
ERROR_REASON_FILTER_SYNTAX: ErrorReason
ERROR_REASON_PAGE_TOKEN_MISMATCH: ErrorReason
ERROR_REASON_DIGEST_MISMATCH: ErrorReason
ERROR_REASON_PARAM_CONFLICT: ErrorReason
ERROR_REASON_RUN_SEALED: ErrorReason
ERROR_REASON_BLOBS_MISSING: ErrorReason
ERROR_REASON_STAGE_CHANGED: ErrorReason
ERROR_REASON_TREE_SEALED: ErrorReason
ERROR_REASON_ETAG_MISMATCH: ErrorReason
ERROR_REASON_ALIAS_MOVED: ErrorReason
ERROR_REASON_SEQUENCE_GAP: ErrorReason
ERROR_REASON_OFFSET_GAP: ErrorReason
ERROR_REASON_TOO_LARGE: ErrorReason
ERROR_REASON_QUOTA: ErrorReason
ERROR_REASON_OVERLOADED: ErrorReason
ERROR_REASON_DRAINING: ErrorReason
ERROR_REASON_INTERNAL: ErrorReason
ERROR_REASON_UNIMPLEMENTED: ErrorReason
ERROR_REASON_STORAGE_UNAVAILABLE: ErrorReason
ERROR_REASON_CHECKSUM_MISMATCH: ErrorReason
ERROR_REASON_DATA_DAMAGED: ErrorReason
ERROR_REASON_REVISION_AHEAD: ErrorReason
