from google.protobuf import timestamp_pb2 as _timestamp_pb2
from runwire.v1 import artifact_pb2 as _artifact_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class Model(_message.Message):
    __slots__ = ("name", "workspace", "description", "tags", "stages", "aliases", "latest_version", "create_time", "update_time", "etag", "delete_time", "creator")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    class AliasesEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    LATEST_VERSION_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    name: str
    workspace: str
    description: str
    tags: _containers.ScalarMap[str, str]
    stages: _containers.RepeatedScalarFieldContainer[str]
    aliases: _containers.ScalarMap[str, int]
    latest_version: int
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    delete_time: _timestamp_pb2.Timestamp
    creator: str
    def __init__(self, name: _Optional[str] = ..., workspace: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., stages: _Optional[_Iterable[str]] = ..., aliases: _Optional[_Mapping[str, int]] = ..., latest_version: _Optional[int] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., delete_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., creator: _Optional[str] = ...) -> None: ...

class ModelVersion(_message.Message):
    __slots__ = ("model", "version", "workspace", "stage", "description", "tags", "aliases", "source_run_id", "source_path", "source_uri", "tree_digest", "signature", "creator", "create_time", "update_time", "etag", "delete_time", "source_version")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    SOURCE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PATH_FIELD_NUMBER: _ClassVar[int]
    SOURCE_URI_FIELD_NUMBER: _ClassVar[int]
    TREE_DIGEST_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    CREATOR_FIELD_NUMBER: _ClassVar[int]
    CREATE_TIME_FIELD_NUMBER: _ClassVar[int]
    UPDATE_TIME_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    version: int
    workspace: str
    stage: str
    description: str
    tags: _containers.ScalarMap[str, str]
    aliases: _containers.RepeatedScalarFieldContainer[str]
    source_run_id: str
    source_path: str
    source_uri: str
    tree_digest: str
    signature: str
    creator: str
    create_time: _timestamp_pb2.Timestamp
    update_time: _timestamp_pb2.Timestamp
    etag: str
    delete_time: _timestamp_pb2.Timestamp
    source_version: _artifact_pb2.ModelVersionKey
    def __init__(self, model: _Optional[str] = ..., version: _Optional[int] = ..., workspace: _Optional[str] = ..., stage: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., aliases: _Optional[_Iterable[str]] = ..., source_run_id: _Optional[str] = ..., source_path: _Optional[str] = ..., source_uri: _Optional[str] = ..., tree_digest: _Optional[str] = ..., signature: _Optional[str] = ..., creator: _Optional[str] = ..., create_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., update_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., etag: _Optional[str] = ..., delete_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., source_version: _Optional[_Union[_artifact_pb2.ModelVersionKey, _Mapping]] = ...) -> None: ...

class ModelEvent(_message.Message):
    __slots__ = ("kind", "model", "version", "previous_version", "alias", "stage", "previous_stage", "actor", "comment", "time", "revision", "previous_model", "changes", "more_changes", "undone_revision")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[ModelEvent.Kind]
        KIND_VERSION_CREATED: _ClassVar[ModelEvent.Kind]
        KIND_ALIAS_MOVED: _ClassVar[ModelEvent.Kind]
        KIND_ALIAS_REMOVED: _ClassVar[ModelEvent.Kind]
        KIND_STAGE_CHANGED: _ClassVar[ModelEvent.Kind]
        KIND_VERSION_DELETED: _ClassVar[ModelEvent.Kind]
        KIND_MODEL_DELETED: _ClassVar[ModelEvent.Kind]
        KIND_MODEL_CREATED: _ClassVar[ModelEvent.Kind]
        KIND_MODEL_RENAMED: _ClassVar[ModelEvent.Kind]
        KIND_MODEL_CHANGED: _ClassVar[ModelEvent.Kind]
        KIND_VERSION_CHANGED: _ClassVar[ModelEvent.Kind]
        KIND_MODEL_RESTORED: _ClassVar[ModelEvent.Kind]
        KIND_VERSION_RESTORED: _ClassVar[ModelEvent.Kind]
    KIND_UNSPECIFIED: ModelEvent.Kind
    KIND_VERSION_CREATED: ModelEvent.Kind
    KIND_ALIAS_MOVED: ModelEvent.Kind
    KIND_ALIAS_REMOVED: ModelEvent.Kind
    KIND_STAGE_CHANGED: ModelEvent.Kind
    KIND_VERSION_DELETED: ModelEvent.Kind
    KIND_MODEL_DELETED: ModelEvent.Kind
    KIND_MODEL_CREATED: ModelEvent.Kind
    KIND_MODEL_RENAMED: ModelEvent.Kind
    KIND_MODEL_CHANGED: ModelEvent.Kind
    KIND_VERSION_CHANGED: ModelEvent.Kind
    KIND_MODEL_RESTORED: ModelEvent.Kind
    KIND_VERSION_RESTORED: ModelEvent.Kind
    class Change(_message.Message):
        __slots__ = ("field", "previous_value", "value")
        FIELD_FIELD_NUMBER: _ClassVar[int]
        PREVIOUS_VALUE_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        field: str
        previous_value: str
        value: str
        def __init__(self, field: _Optional[str] = ..., previous_value: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    KIND_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    STAGE_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_STAGE_FIELD_NUMBER: _ClassVar[int]
    ACTOR_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_MODEL_FIELD_NUMBER: _ClassVar[int]
    CHANGES_FIELD_NUMBER: _ClassVar[int]
    MORE_CHANGES_FIELD_NUMBER: _ClassVar[int]
    UNDONE_REVISION_FIELD_NUMBER: _ClassVar[int]
    kind: ModelEvent.Kind
    model: str
    version: int
    previous_version: int
    alias: str
    stage: str
    previous_stage: str
    actor: str
    comment: str
    time: _timestamp_pb2.Timestamp
    revision: int
    previous_model: str
    changes: _containers.RepeatedCompositeFieldContainer[ModelEvent.Change]
    more_changes: int
    undone_revision: int
    def __init__(self, kind: _Optional[_Union[ModelEvent.Kind, str]] = ..., model: _Optional[str] = ..., version: _Optional[int] = ..., previous_version: _Optional[int] = ..., alias: _Optional[str] = ..., stage: _Optional[str] = ..., previous_stage: _Optional[str] = ..., actor: _Optional[str] = ..., comment: _Optional[str] = ..., time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., revision: _Optional[int] = ..., previous_model: _Optional[str] = ..., changes: _Optional[_Iterable[_Union[ModelEvent.Change, _Mapping]]] = ..., more_changes: _Optional[int] = ..., undone_revision: _Optional[int] = ...) -> None: ...
