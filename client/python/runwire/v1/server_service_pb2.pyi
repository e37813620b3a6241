from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class GetServerInfoRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerInfoResponse(_message.Message):
    __slots__ = ("version", "features", "limits", "grpc_endpoint", "web_endpoint")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    FEATURES_FIELD_NUMBER: _ClassVar[int]
    LIMITS_FIELD_NUMBER: _ClassVar[int]
    GRPC_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    WEB_ENDPOINT_FIELD_NUMBER: _ClassVar[int]
    version: str
    features: _containers.RepeatedScalarFieldContainer[str]
    limits: Limits
    grpc_endpoint: str
    web_endpoint: str
    def __init__(self, version: _Optional[str] = ..., features: _Optional[_Iterable[str]] = ..., limits: _Optional[_Union[Limits, _Mapping]] = ..., grpc_endpoint: _Optional[str] = ..., web_endpoint: _Optional[str] = ...) -> None: ...

class Limits(_message.Message):
    __slots__ = ("max_message_bytes", "max_batch_bytes", "max_series_per_run", "max_key_bytes", "max_value_bytes", "max_page_size", "blob_chunk_bytes", "max_blob_bytes", "max_batch_put_bytes")
    MAX_MESSAGE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_SERIES_PER_RUN_FIELD_NUMBER: _ClassVar[int]
    MAX_KEY_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_VALUE_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    BLOB_CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BLOB_BYTES_FIELD_NUMBER: _ClassVar[int]
    MAX_BATCH_PUT_BYTES_FIELD_NUMBER: _ClassVar[int]
    max_message_bytes: int
    max_batch_bytes: int
    max_series_per_run: int
    max_key_bytes: int
    max_value_bytes: int
    max_page_size: int
    blob_chunk_bytes: int
    max_blob_bytes: int
    max_batch_put_bytes: int
    def __init__(self, max_message_bytes: _Optional[int] = ..., max_batch_bytes: _Optional[int] = ..., max_series_per_run: _Optional[int] = ..., max_key_bytes: _Optional[int] = ..., max_value_bytes: _Optional[int] = ..., max_page_size: _Optional[int] = ..., blob_chunk_bytes: _Optional[int] = ..., max_blob_bytes: _Optional[int] = ..., max_batch_put_bytes: _Optional[int] = ...) -> None: ...
