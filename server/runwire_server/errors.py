"""Everything a call can fail with.

An error is raised where it is known, as one of these classes, and translated to
a gRPC status in one place (``interceptors``). A class knows its status code and
its ``ErrorReason``; whatever its message names is also in ``metadata``, so that
no client ever has to parse English.
"""

from __future__ import annotations

from typing import ClassVar

from google.rpc import code_pb2
from runwire.v1.common_pb2 import Fault


class ServiceError(Exception):
    """The root of all errors that are meant for a caller."""

    code: ClassVar[int] = code_pb2.INTERNAL
    reason: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str, *, retry_after_s: float | None = None, **metadata: object):
        super().__init__(message)
        self.message = message
        self.retry_after_s = retry_after_s
        self.metadata = {name: str(value) for name, value in metadata.items()}

    def fault(self) -> Fault:
        """The same error as one entry's fault inside a batch or stream."""
        return Fault(reason=self.reason, message=self.message, metadata=self.metadata)


class NotFound(ServiceError):
    """``NotFound("run", run_id)``: no such thing, in this workspace."""

    code, reason = code_pb2.NOT_FOUND, "NOT_FOUND"

    def __init__(self, kind: str, key: object):
        super().__init__(f"no {kind} {str(key)!r}", kind=kind, key=key)


class Deleted(ServiceError):
    """It exists, but in the trash: restore it first."""

    code, reason = code_pb2.NOT_FOUND, "DELETED"

    def __init__(self, kind: str, key: object):
        super().__init__(f"{kind} {str(key)!r} is deleted; restore it first", kind=kind, key=key)


class AlreadyExists(ServiceError):
    code, reason = code_pb2.ALREADY_EXISTS, "ALREADY_EXISTS"

    def __init__(self, kind: str, key: object):
        super().__init__(f"{kind} {str(key)!r} already exists", kind=kind, key=key)


class RequestIdReused(ServiceError):
    code, reason = code_pb2.ALREADY_EXISTS, "REQUEST_ID_REUSED"

    def __init__(self, request_id: str):
        super().__init__(
            f"request_id {request_id!r} was used before with other content", request_id=request_id
        )


class FieldInvalid(ServiceError):
    """``FieldInvalid("page_size", "must not be negative")``; field is the proto path."""

    code, reason = code_pb2.INVALID_ARGUMENT, "FIELD_INVALID"

    def __init__(self, field: str, problem: str):
        super().__init__(f"{field}: {problem}", field=field)
        self.field, self.problem = field, problem


class FilterSyntax(ServiceError):
    """position counts characters of the filter (or order_by) from 0."""

    code, reason = code_pb2.INVALID_ARGUMENT, "FILTER_SYNTAX"

    def __init__(self, problem: str, position: int, field: str = "filter"):
        super().__init__(
            f"{field}, character {position + 1}: {problem}", position=position, field=field
        )


class PageTokenMismatch(ServiceError):
    code, reason = code_pb2.INVALID_ARGUMENT, "PAGE_TOKEN_MISMATCH"

    def __init__(self) -> None:
        super().__init__(
            "page_token belongs to another query; start again without it", field="page_token"
        )


class DigestMismatch(ServiceError):
    code, reason = code_pb2.INVALID_ARGUMENT, "DIGEST_MISMATCH"

    def __init__(self, expected: str, actual: str):
        super().__init__(
            f"the bytes have digest {actual}, not {expected}", expected=expected, actual=actual
        )


class ChecksumMismatch(ServiceError):
    """A chunk was damaged on its way: send it again from committed_size."""

    code, reason = code_pb2.INVALID_ARGUMENT, "CHECKSUM_MISMATCH"

    def __init__(self, offset: int, problem: str = "its CRC32C does not match"):
        super().__init__(f"chunk at offset {offset}: {problem}", offset=offset)


class ParamConflict(ServiceError):
    """Only ever a ``Fault`` inside a ``Rejection``: a param is write-once."""

    code, reason = code_pb2.FAILED_PRECONDITION, "PARAM_CONFLICT"

    def __init__(self, key: str, stored: str, sent: str):
        super().__init__(
            f"param {key!r} is {stored[:200]!r} and cannot become {sent[:200]!r}", key=key
        )


class RunSealed(ServiceError):
    code, reason = code_pb2.FAILED_PRECONDITION, "RUN_SEALED"

    def __init__(self, run_id: str, state: str):
        super().__init__(
            f"run {run_id!r} is {state}; resume it before writing to it", run_id=run_id, state=state
        )


class BlobsMissing(ServiceError):
    """Names the first 20 digests only: all error details stay under 3 KB."""

    code, reason = code_pb2.FAILED_PRECONDITION, "BLOBS_MISSING"

    def __init__(self, digests: list[str]):
        super().__init__(
            f"{len(digests)} blobs are not stored yet",
            count=len(digests),
            digests=",".join(digests[:20]),
        )


class StageChanged(ServiceError):
    code, reason = code_pb2.FAILED_PRECONDITION, "STAGE_CHANGED"

    def __init__(self, stage: str, expected: str):
        super().__init__(
            f"the stage is {stage!r}, not {expected!r}", stage=stage, expected_stage=expected
        )


class TreeSealed(ServiceError):
    code, reason = code_pb2.FAILED_PRECONDITION, "TREE_SEALED"

    def __init__(self, owner: str):
        super().__init__(f"the artifacts of {owner} are sealed", owner=owner)


class EtagMismatch(ServiceError):
    code, reason = code_pb2.ABORTED, "ETAG_MISMATCH"

    def __init__(self, etag: str):
        super().__init__("it has changed since it was read; read it again", etag=etag)


class AliasMoved(ServiceError):
    code, reason = code_pb2.ABORTED, "ALIAS_MOVED"

    def __init__(self, alias: str, version: int, expected: int):
        super().__init__(
            f"alias {alias!r} points at version {version}, not {expected}",
            alias=alias, version=version, expected_version=expected,
        )  # fmt: skip


class SequenceGap(ServiceError):
    code, reason = code_pb2.OUT_OF_RANGE, "SEQUENCE_GAP"

    def __init__(self, sequence: int, committed_sequence: int):
        super().__init__(
            f"batch {sequence} came after {committed_sequence}: send {committed_sequence + 1} next",
            sequence=sequence, committed_sequence=committed_sequence,
        )  # fmt: skip


class Diverged(ServiceError):
    """The batch goes on from a place where its writer does not stand."""

    code, reason = code_pb2.OUT_OF_RANGE, "SEQUENCE_GAP"

    def __init__(self, sequence: int, committed_sequence: int, position: int):
        super().__init__(
            f"batch {sequence} does not go on from position {position}, where batch "
            f"{committed_sequence} has ended",
            sequence=sequence, committed_sequence=committed_sequence,
        )  # fmt: skip


class OffsetGap(ServiceError):
    code, reason = code_pb2.OUT_OF_RANGE, "OFFSET_GAP"

    def __init__(self, offset: int, committed_size: int):
        super().__init__(
            f"chunk at offset {offset}, but {committed_size} bytes are stored: go on from there",
            offset=offset, committed_size=committed_size,
        )  # fmt: skip


class RevisionAhead(ServiceError):
    """What a caller knows of the registry is not of this one's past."""

    code, reason = code_pb2.OUT_OF_RANGE, "REVISION_AHEAD"

    def __init__(self, revision: int, min_revision: int):
        super().__init__(
            f"the registry is at revision {revision} and has not come to {min_revision} yet",
            revision=revision, min_revision=min_revision,
        )  # fmt: skip


class TooLarge(ServiceError):
    code, reason = code_pb2.RESOURCE_EXHAUSTED, "TOO_LARGE"

    def __init__(self, field: str, size: int, limit: int):
        super().__init__(
            f"{field}: {size} bytes, the limit is {limit}", field=field, size=size, limit=limit
        )


class Quota(ServiceError):
    """``Quota("max_series_per_run", 1000000)``: limit is a name from ``Limits``."""

    code, reason = code_pb2.RESOURCE_EXHAUSTED, "QUOTA"

    def __init__(self, limit: str, value: int):
        super().__init__(f"the limit {limit} of {value} is reached", limit=limit, value=value)


class Overloaded(ServiceError):
    code, reason = code_pb2.UNAVAILABLE, "OVERLOADED"

    def __init__(self, retry_after_s: float = 0.5, what: str = "the server has too much to do"):
        super().__init__(f"{what}; try again shortly", retry_after_s=retry_after_s)


class Draining(ServiceError):
    code, reason = code_pb2.UNAVAILABLE, "DRAINING"

    def __init__(self, retry_after_s: float = 1.0, what: str = "the server is shutting down"):
        super().__init__(f"{what}; try again shortly", retry_after_s=retry_after_s)


class StorageUnavailable(ServiceError):
    """Disk full or read-only, database or object store away. Nothing was written."""

    code, reason = code_pb2.UNAVAILABLE, "STORAGE_UNAVAILABLE"

    def __init__(self, problem: str, retry_after_s: float = 5.0):
        super().__init__(f"storage: {problem}; nothing was written", retry_after_s=retry_after_s)


class DataDamaged(ServiceError):
    """What is stored is not what was written. ``metadata`` says which piece."""

    code, reason = code_pb2.DATA_LOSS, "DATA_DAMAGED"


class Internal(ServiceError):
    """A fault of ours: the log has the traceback under the request id."""

    def __init__(self, request_id: str):
        super().__init__(
            f"internal error; the server's log has it under {request_id}", request_id=request_id
        )


class Unimplemented(ServiceError):
    code, reason = code_pb2.UNIMPLEMENTED, "UNIMPLEMENTED"

    def __init__(self, what: str):
        super().__init__(f"this server does not offer {what}", what=what)
