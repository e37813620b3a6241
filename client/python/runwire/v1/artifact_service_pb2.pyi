from google.protobuf import timestamp_pb2 as _timestamp_pb2
from runwire.v1 import artifact_pb2 as _artifact_pb2
from runwire.v1 import common_pb2 as _common_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class FindMissingBlobsRequest(_message.Message):
    __slots__ = ("workspace", "blobs")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    BLOBS_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    blobs: _containers.RepeatedCompositeFieldContainer[_artifact_pb2.Blob]
    def __init__(self, workspace: _Optional[str] = ..., blobs: _Optional[_Iterable[_Union[_artifact_pb2.Blob, _Mapping]]] = ...) -> None: ...

class FindMissingBlobsResponse(_message.Message):
    __slots__ = ("missing",)
    MISSING_FIELD_NUMBER: _ClassVar[int]
    missing: _containers.RepeatedCompositeFieldContainer[_artifact_pb2.Blob]
    def __init__(self, missing: _Optional[_Iterable[_Union[_artifact_pb2.Blob, _Mapping]]] = ...) -> None: ...

class BatchPutBlobsRequest(_message.Message):
    __slots__ = ("workspace", "items")
    class Item(_message.Message):
        __slots__ = ("blob", "data")
        BLOB_FIELD_NUMBER: _ClassVar[int]
        DATA_FIELD_NUMBER: _ClassVar[int]
        blob: _artifact_pb2.Blob
        data: bytes
        def __init__(self, blob: _Optional[_Union[_artifact_pb2.Blob, _Mapping]] = ..., data: _Optional[bytes] = ...) -> None: ...
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    items: _containers.RepeatedCompositeFieldContainer[BatchPutBlobsRequest.Item]
    def __init__(self, workspace: _Optional[str] = ..., items: _Optional[_Iterable[_Union[BatchPutBlobsRequest.Item, _Mapping]]] = ...) -> None: ...

class BatchPutBlobsResponse(_message.Message):
    __slots__ = ("results",)
    class Result(_message.Message):
        __slots__ = ("digest", "fault")
        DIGEST_FIELD_NUMBER: _ClassVar[int]
        FAULT_FIELD_NUMBER: _ClassVar[int]
        digest: str
        fault: _common_pb2.Fault
        def __init__(self, digest: _Optional[str] = ..., fault: _Optional[_Union[_common_pb2.Fault, _Mapping]] = ...) -> None: ...
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[BatchPutBlobsResponse.Result]
    def __init__(self, results: _Optional[_Iterable[_Union[BatchPutBlobsResponse.Result, _Mapping]]] = ...) -> None: ...

class BatchGetArtifactsRequest(_message.Message):
    __slots__ = ("owner", "paths")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    owner: _artifact_pb2.ArtifactOwner
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, owner: _Optional[_Union[_artifact_pb2.ArtifactOwner, _Mapping]] = ..., paths: _Optional[_Iterable[str]] = ...) -> None: ...

class BatchGetArtifactsResponse(_message.Message):
    __slots__ = ("items",)
    class Item(_message.Message):
        __slots__ = ("blob", "data", "fault")
        BLOB_FIELD_NUMBER: _ClassVar[int]
        DATA_FIELD_NUMBER: _ClassVar[int]
        FAULT_FIELD_NUMBER: _ClassVar[int]
        blob: _artifact_pb2.Blob
        data: bytes
        fault: _common_pb2.Fault
        def __init__(self, blob: _Optional[_Union[_artifact_pb2.Blob, _Mapping]] = ..., data: _Optional[bytes] = ..., fault: _Optional[_Union[_common_pb2.Fault, _Mapping]] = ...) -> None: ...
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[BatchGetArtifactsResponse.Item]
    def __init__(self, items: _Optional[_Iterable[_Union[BatchGetArtifactsResponse.Item, _Mapping]]] = ...) -> None: ...

class UploadBlobRequest(_message.Message):
    __slots__ = ("open", "chunk", "finish")
    class Open(_message.Message):
        __slots__ = ("workspace", "upload_id", "blob")
        WORKSPACE_FIELD_NUMBER: _ClassVar[int]
        UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
        BLOB_FIELD_NUMBER: _ClassVar[int]
        workspace: str
        upload_id: str
        blob: _artifact_pb2.Blob
        def __init__(self, workspace: _Optional[str] = ..., upload_id: _Optional[str] = ..., blob: _Optional[_Union[_artifact_pb2.Blob, _Mapping]] = ...) -> None: ...
    class Finish(_message.Message):
        __slots__ = ("blob",)
        BLOB_FIELD_NUMBER: _ClassVar[int]
        blob: _artifact_pb2.Blob
        def __init__(self, blob: _Optional[_Union[_artifact_pb2.Blob, _Mapping]] = ...) -> None: ...
    OPEN_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    FINISH_FIELD_NUMBER: _ClassVar[int]
    open: UploadBlobRequest.Open
    chunk: _artifact_pb2.Chunk
    finish: UploadBlobRequest.Finish
    def __init__(self, open: _Optional[_Union[UploadBlobRequest.Open, _Mapping]] = ..., chunk: _Optional[_Union[_artifact_pb2.Chunk, _Mapping]] = ..., finish: _Optional[_Union[UploadBlobRequest.Finish, _Mapping]] = ...) -> None: ...

class UploadBlobResponse(_message.Message):
    __slots__ = ("opened", "progress", "stored")
    class Opened(_message.Message):
        __slots__ = ("upload_id", "committed_size", "chunk_bytes", "expire_time")
        UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
        COMMITTED_SIZE_FIELD_NUMBER: _ClassVar[int]
        CHUNK_BYTES_FIELD_NUMBER: _ClassVar[int]
        EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
        upload_id: str
        committed_size: int
        chunk_bytes: int
        expire_time: _timestamp_pb2.Timestamp
        def __init__(self, upload_id: _Optional[str] = ..., committed_size: _Optional[int] = ..., chunk_bytes: _Optional[int] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    class Progress(_message.Message):
        __slots__ = ("committed_size",)
        COMMITTED_SIZE_FIELD_NUMBER: _ClassVar[int]
        committed_size: int
        def __init__(self, committed_size: _Optional[int] = ...) -> None: ...
    class Stored(_message.Message):
        __slots__ = ("blob", "existed")
        BLOB_FIELD_NUMBER: _ClassVar[int]
        EXISTED_FIELD_NUMBER: _ClassVar[int]
        blob: _artifact_pb2.Blob
        existed: bool
        def __init__(self, blob: _Optional[_Union[_artifact_pb2.Blob, _Mapping]] = ..., existed: bool = ...) -> None: ...
    OPENED_FIELD_NUMBER: _ClassVar[int]
    PROGRESS_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    opened: UploadBlobResponse.Opened
    progress: UploadBlobResponse.Progress
    stored: UploadBlobResponse.Stored
    def __init__(self, opened: _Optional[_Union[UploadBlobResponse.Opened, _Mapping]] = ..., progress: _Optional[_Union[UploadBlobResponse.Progress, _Mapping]] = ..., stored: _Optional[_Union[UploadBlobResponse.Stored, _Mapping]] = ...) -> None: ...

class GetUploadRequest(_message.Message):
    __slots__ = ("workspace", "upload_id")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    UPLOAD_ID_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    upload_id: str
    def __init__(self, workspace: _Optional[str] = ..., upload_id: _Optional[str] = ...) -> None: ...

class GetUploadResponse(_message.Message):
    __slots__ = ("committed_size", "expire_time", "stored")
    COMMITTED_SIZE_FIELD_NUMBER: _ClassVar[int]
    EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    committed_size: int
    expire_time: _timestamp_pb2.Timestamp
    stored: _artifact_pb2.Blob
    def __init__(self, committed_size: _Optional[int] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., stored: _Optional[_Union[_artifact_pb2.Blob, _Mapping]] = ...) -> None: ...

class DownloadArtifactRequest(_message.Message):
    __slots__ = ("artifact", "blob", "workspace", "offset", "limit", "accept_codecs", "accept_location")
    ARTIFACT_FIELD_NUMBER: _ClassVar[int]
    BLOB_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_CODECS_FIELD_NUMBER: _ClassVar[int]
    ACCEPT_LOCATION_FIELD_NUMBER: _ClassVar[int]
    artifact: ArtifactPath
    blob: _artifact_pb2.Blob
    workspace: str
    offset: int
    limit: int
    accept_codecs: _containers.RepeatedScalarFieldContainer[_artifact_pb2.Codec]
    accept_location: bool
    def __init__(self, artifact: _Optional[_Union[ArtifactPath, _Mapping]] = ..., blob: _Optional[_Union[_artifact_pb2.Blob, _Mapping]] = ..., workspace: _Optional[str] = ..., offset: _Optional[int] = ..., limit: _Optional[int] = ..., accept_codecs: _Optional[_Iterable[_Union[_artifact_pb2.Codec, str]]] = ..., accept_location: bool = ...) -> None: ...

class ArtifactPath(_message.Message):
    __slots__ = ("owner", "path")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    PATH_FIELD_NUMBER: _ClassVar[int]
    owner: _artifact_pb2.ArtifactOwner
    path: str
    def __init__(self, owner: _Optional[_Union[_artifact_pb2.ArtifactOwner, _Mapping]] = ..., path: _Optional[str] = ...) -> None: ...

class DownloadArtifactResponse(_message.Message):
    __slots__ = ("blob", "chunk", "location")
    class Location(_message.Message):
        __slots__ = ("url", "expire_time")
        URL_FIELD_NUMBER: _ClassVar[int]
        EXPIRE_TIME_FIELD_NUMBER: _ClassVar[int]
        url: str
        expire_time: _timestamp_pb2.Timestamp
        def __init__(self, url: _Optional[str] = ..., expire_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ...) -> None: ...
    BLOB_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    LOCATION_FIELD_NUMBER: _ClassVar[int]
    blob: _artifact_pb2.Blob
    chunk: _artifact_pb2.Chunk
    location: DownloadArtifactResponse.Location
    def __init__(self, blob: _Optional[_Union[_artifact_pb2.Blob, _Mapping]] = ..., chunk: _Optional[_Union[_artifact_pb2.Chunk, _Mapping]] = ..., location: _Optional[_Union[DownloadArtifactResponse.Location, _Mapping]] = ...) -> None: ...

class CommitArtifactsRequest(_message.Message):
    __slots__ = ("owner", "mode", "artifacts", "request_id")
    class Mode(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        MODE_UNSPECIFIED: _ClassVar[CommitArtifactsRequest.Mode]
        MODE_MERGE: _ClassVar[CommitArtifactsRequest.Mode]
        MODE_REPLACE: _ClassVar[CommitArtifactsRequest.Mode]
    MODE_UNSPECIFIED: CommitArtifactsRequest.Mode
    MODE_MERGE: CommitArtifactsRequest.Mode
    MODE_REPLACE: CommitArtifactsRequest.Mode
    OWNER_FIELD_NUMBER: _ClassVar[int]
    MODE_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    owner: _artifact_pb2.ArtifactOwner
    mode: CommitArtifactsRequest.Mode
    artifacts: _containers.RepeatedCompositeFieldContainer[_artifact_pb2.Artifact]
    request_id: str
    def __init__(self, owner: _Optional[_Union[_artifact_pb2.ArtifactOwner, _Mapping]] = ..., mode: _Optional[_Union[CommitArtifactsRequest.Mode, str]] = ..., artifacts: _Optional[_Iterable[_Union[_artifact_pb2.Artifact, _Mapping]]] = ..., request_id: _Optional[str] = ...) -> None: ...

class CommitArtifactsResponse(_message.Message):
    __slots__ = ("tree_digest", "files", "size_bytes")
    TREE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    FILES_FIELD_NUMBER: _ClassVar[int]
    SIZE_BYTES_FIELD_NUMBER: _ClassVar[int]
    tree_digest: str
    files: int
    size_bytes: int
    def __init__(self, tree_digest: _Optional[str] = ..., files: _Optional[int] = ..., size_bytes: _Optional[int] = ...) -> None: ...

class ListArtifactsRequest(_message.Message):
    __slots__ = ("owner", "prefix", "recursive", "page_size", "page_token")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    PREFIX_FIELD_NUMBER: _ClassVar[int]
    RECURSIVE_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    owner: _artifact_pb2.ArtifactOwner
    prefix: str
    recursive: bool
    page_size: int
    page_token: str
    def __init__(self, owner: _Optional[_Union[_artifact_pb2.ArtifactOwner, _Mapping]] = ..., prefix: _Optional[str] = ..., recursive: bool = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListArtifactsResponse(_message.Message):
    __slots__ = ("artifacts", "directories", "next_page_token")
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    DIRECTORIES_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    artifacts: _containers.RepeatedCompositeFieldContainer[_artifact_pb2.Artifact]
    directories: _containers.RepeatedScalarFieldContainer[str]
    next_page_token: str
    def __init__(self, artifacts: _Optional[_Iterable[_Union[_artifact_pb2.Artifact, _Mapping]]] = ..., directories: _Optional[_Iterable[str]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteArtifactsRequest(_message.Message):
    __slots__ = ("owner", "paths")
    OWNER_FIELD_NUMBER: _ClassVar[int]
    PATHS_FIELD_NUMBER: _ClassVar[int]
    owner: _artifact_pb2.ArtifactOwner
    paths: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, owner: _Optional[_Union[_artifact_pb2.ArtifactOwner, _Mapping]] = ..., paths: _Optional[_Iterable[str]] = ...) -> None: ...

class DeleteArtifactsResponse(_message.Message):
    __slots__ = ("files",)
    FILES_FIELD_NUMBER: _ClassVar[int]
    files: int
    def __init__(self, files: _Optional[int] = ...) -> None: ...
