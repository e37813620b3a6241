from google.protobuf import timestamp_pb2 as _timestamp_pb2
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Codec(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CODEC_UNSPECIFIED: _ClassVar[Codec]
    CODEC_ZSTD: _ClassVar[Codec]
    CODEC_GZIP: _ClassVar[Codec]
CODEC_UNSPECIFIED: Codec
CODEC_ZSTD: Codec
CODEC_GZIP: Codec

class Blob(_message.Message):
    __slots__ = ("digest", "size_bytes")
    DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    digest: str
    size_bytes: int
    def __init__(self, digest: _Optional[str] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class ArtifactOwner(_message.Message):
    __slots__ = ("run_id", "model_version")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    model_version: ModelVersionKey
    def __init__(self, run_id: _Optional[str] = ..., model_version: _Optional[_Union[ModelVersionKey, _Mapping]] = ...) -> None: ...

class ModelVersionKey(_message.Message):
    __slots__ = ("model", "version", "workspace")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    workspace: str
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., workspace: _Optional[str] = ...) -> None: ...

class Artifact(_message.Message):
    __slots__ = ("path", "blob", "uri", "media_type", "modify_time")
    PATH_FIELD_NUMBER: _ClassVar[int]
    BLOB_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    MEDIA_TYPE_FIELD_NUMBER: _ClassVar[int]
    MODIFY_TIME_FIELD_NUMBER: _ClassVar[int]
    path: str
    blob: Blob
    uri: str
    media_type: str
    modify_time: _timestamp_pb2.Timestamp
    def __init__(self, path: _Optional[str] = ..., blob: _Optional[_Union[Blob, _Mapping]] = ..., uri: _Optional[str] = ..., media_type: _Optional[str] = ..., modify_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("offset", "plain_size", "codec", "crc32c", "data")
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    PLAIN_SIZE_FIELD_NUMBER: _ClassVar[int]
    CODEC_FIELD_NUMBER: _ClassVar[int]
    CRC32C_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    offset: int
    plain_size: int
    codec: Codec
    crc32c: int
    data: bytes
    def __init__(self, offset: _Optional[int] = ..., plain_size: _Optional[int] = ..., codec: _Optional[_Union[Codec, str]] = ..., crc32c: _Optional[int] = ..., data: _Optional[bytes] = ...) -> None: ...
