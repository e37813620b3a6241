from google.protobuf import field_mask_pb2 as _field_mask_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from runwire.v1 import artifact_pb2 as _artifact_pb2
from runwire.v1 import common_pb2 as _common_pb2
from runwire.v1 import model_pb2 as _model_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from typing import ClassVar as _ClassVar, Iterable as _Iterable, Mapping as _Mapping, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class CreateModelRequest(_message.Message):
    __slots__ = ("name", "workspace", "description", "tags", "stages", "get_existing", "request_id")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    STAGES_FIELD_NUMBER: _ClassVar[int]
    GET_EXISTING_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    workspace: str
    description: str
    tags: _containers.ScalarMap[str, str]
    stages: _containers.RepeatedScalarFieldContainer[str]
    get_existing: bool
    request_id: str
    def __init__(self, name: _Optional[str] = ..., workspace: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., stages: _Optional[_Iterable[str]] = ..., get_existing: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class CreateModelResponse(_message.Message):
    __slots__ = ("model", "existed")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    existed: bool
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., existed: bool = ...) -> None: ...

class GetModelRequest(_message.Message):
    __slots__ = ("name", "workspace")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    name: str
    workspace: str
    def __init__(self, name: _Optional[str] = ..., workspace: _Optional[str] = ...) -> None: ...

class GetModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ...) -> None: ...

class SearchModelsRequest(_message.Message):
    __slots__ = ("workspace", "filter", "order_by", "page_size", "page_token", "show_deleted")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SHOW_DELETED_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    filter: str
    order_by: str
    page_size: int
    page_token: str
    show_deleted: bool
    def __init__(self, workspace: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., show_deleted: bool = ...) -> None: ...

class SearchModelsResponse(_message.Message):
    __slots__ = ("models", "next_page_token")
    MODELS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[_model_pb2.Model]
    next_page_token: str
    def __init__(self, models: _Optional[_Iterable[_Union[_model_pb2.Model, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateModelRequest(_message.Message):
    __slots__ = ("model", "update_mask", "new_name", "comment")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    update_mask: _field_mask_pb2.FieldMask
    new_name: str
    comment: str
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., new_name: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class UpdateModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ...) -> None: ...

class DeleteModelRequest(_message.Message):
    __slots__ = ("name", "workspace", "etag", "comment")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    name: str
    workspace: str
    etag: str
    comment: str
    def __init__(self, name: _Optional[str] = ..., workspace: _Optional[str] = ..., etag: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class DeleteModelResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RestoreModelRequest(_message.Message):
    __slots__ = ("name", "workspace", "delete_time", "new_name", "comment", "request_id")
    NAME_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    DELETE_TIME_FIELD_NUMBER: _ClassVar[int]
    NEW_NAME_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    name: str
    workspace: str
    delete_time: _timestamp_pb2.Timestamp
    new_name: str
    comment: str
    request_id: str
    def __init__(self, name: _Optional[str] = ..., workspace: _Optional[str] = ..., delete_time: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., new_name: _Optional[str] = ..., comment: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RestoreModelResponse(_message.Message):
    __slots__ = ("model", "existed")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    existed: bool
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., existed: bool = ...) -> None: ...

class CreateModelVersionRequest(_message.Message):
    __slots__ = ("model", "workspace", "source_run_id", "source_path", "artifacts", "source_uri", "description", "tags", "signature", "aliases", "create_model", "request_id", "source_version", "comment")
    class TagsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_RUN_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_PATH_FIELD_NUMBER: _ClassVar[int]
    ARTIFACTS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_URI_FIELD_NUMBER: _ClassVar[int]
    DESCRIPTION_FIELD_NUMBER: _ClassVar[int]
    TAGS_FIELD_NUMBER: _ClassVar[int]
    SIGNATURE_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    CREATE_MODEL_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    model: str
    workspace: str
    source_run_id: str
    source_path: str
    artifacts: _containers.RepeatedCompositeFieldContainer[_artifact_pb2.Artifact]
    source_uri: str
    description: str
    tags: _containers.ScalarMap[str, str]
    signature: str
    aliases: _containers.RepeatedScalarFieldContainer[str]
    create_model: bool
    request_id: str
    source_version: _artifact_pb2.ModelVersionKey
    comment: str
    def __init__(self, model: _Optional[str] = ..., workspace: _Optional[str] = ..., source_run_id: _Optional[str] = ..., source_path: _Optional[str] = ..., artifacts: _Optional[_Iterable[_Union[_artifact_pb2.Artifact, _Mapping]]] = ..., source_uri: _Optional[str] = ..., description: _Optional[str] = ..., tags: _Optional[_Mapping[str, str]] = ..., signature: _Optional[str] = ..., aliases: _Optional[_Iterable[str]] = ..., create_model: bool = ..., request_id: _Optional[str] = ..., source_version: _Optional[_Union[_artifact_pb2.ModelVersionKey, _Mapping]] = ..., comment: _Optional[str] = ...) -> None: ...

class CreateModelVersionResponse(_message.Message):
    __slots__ = ("model_version", "existed")
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    EXISTED_FIELD_NUMBER: _ClassVar[int]
    model_version: _model_pb2.ModelVersion
    existed: bool
    def __init__(self, model_version: _Optional[_Union[_model_pb2.ModelVersion, _Mapping]] = ..., existed: bool = ...) -> None: ...

class GetModelVersionRequest(_message.Message):
    __slots__ = ("key",)
    KEY_FIELD_NUMBER: _ClassVar[int]
    key: _artifact_pb2.ModelVersionKey
    def __init__(self, key: _Optional[_Union[_artifact_pb2.ModelVersionKey, _Mapping]] = ...) -> None: ...

class GetModelVersionResponse(_message.Message):
    __slots__ = ("model_version",)
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    model_version: _model_pb2.ModelVersion
    def __init__(self, model_version: _Optional[_Union[_model_pb2.ModelVersion, _Mapping]] = ...) -> None: ...

class SearchModelVersionsRequest(_message.Message):
    __slots__ = ("workspace", "filter", "order_by", "page_size", "page_token", "show_deleted")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    ORDER_BY_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    SHOW_DELETED_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    filter: str
    order_by: str
    page_size: int
    page_token: str
    show_deleted: bool
    def __init__(self, workspace: _Optional[str] = ..., filter: _Optional[str] = ..., order_by: _Optional[str] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., show_deleted: bool = ...) -> None: ...

class SearchModelVersionsResponse(_message.Message):
    __slots__ = ("model_versions", "next_page_token")
    MODEL_VERSIONS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    model_versions: _containers.RepeatedCompositeFieldContainer[_model_pb2.ModelVersion]
    next_page_token: str
    def __init__(self, model_versions: _Optional[_Iterable[_Union[_model_pb2.ModelVersion, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class UpdateModelVersionRequest(_message.Message):
    __slots__ = ("model_version", "update_mask", "comment")
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    UPDATE_MASK_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    model_version: _model_pb2.ModelVersion
    update_mask: _field_mask_pb2.FieldMask
    comment: str
    def __init__(self, model_version: _Optional[_Union[_model_pb2.ModelVersion, _Mapping]] = ..., update_mask: _Optional[_Union[_field_mask_pb2.FieldMask, _Mapping]] = ..., comment: _Optional[str] = ...) -> None: ...

class UpdateModelVersionResponse(_message.Message):
    __slots__ = ("model_version",)
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    model_version: _model_pb2.ModelVersion
    def __init__(self, model_version: _Optional[_Union[_model_pb2.ModelVersion, _Mapping]] = ...) -> None: ...

class DeleteModelVersionRequest(_message.Message):
    __slots__ = ("key", "etag", "comment")
    KEY_FIELD_NUMBER: _ClassVar[int]
    ETAG_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    key: _artifact_pb2.ModelVersionKey
    etag: str
    comment: str
    def __init__(self, key: _Optional[_Union[_artifact_pb2.ModelVersionKey, _Mapping]] = ..., etag: _Optional[str] = ..., comment: _Optional[str] = ...) -> None: ...

class DeleteModelVersionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class RestoreModelVersionRequest(_message.Message):
    __slots__ = ("key", "comment")
    KEY_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    key: _artifact_pb2.ModelVersionKey
    comment: str
    def __init__(self, key: _Optional[_Union[_artifact_pb2.ModelVersionKey, _Mapping]] = ..., comment: _Optional[str] = ...) -> None: ...

class RestoreModelVersionResponse(_message.Message):
    __slots__ = ("model_version",)
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    model_version: _model_pb2.ModelVersion
    def __init__(self, model_version: _Optional[_Union[_model_pb2.ModelVersion, _Mapping]] = ...) -> None: ...

class SetModelAliasRequest(_message.Message):
    __slots__ = ("model", "workspace", "alias", "version", "expected_version", "comment")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    model: str
    workspace: str
    alias: str
    version: int
    expected_version: int
    comment: str
    def __init__(self, model: _Optional[str] = ..., workspace: _Optional[str] = ..., alias: _Optional[str] = ..., version: _Optional[int] = ..., expected_version: _Optional[int] = ..., comment: _Optional[str] = ...) -> None: ...

class SetModelAliasResponse(_message.Message):
    __slots__ = ("previous_version", "revision")
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    previous_version: int
    revision: int
    def __init__(self, previous_version: _Optional[int] = ..., revision: _Optional[int] = ...) -> None: ...

class DeleteModelAliasRequest(_message.Message):
    __slots__ = ("model", "workspace", "alias", "expected_version", "comment")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    model: str
    workspace: str
    alias: str
    expected_version: int
    comment: str
    def __init__(self, model: _Optional[str] = ..., workspace: _Optional[str] = ..., alias: _Optional[str] = ..., expected_version: _Optional[int] = ..., comment: _Optional[str] = ...) -> None: ...

class DeleteModelAliasResponse(_message.Message):
    __slots__ = ("revision",)
    REVISION_FIELD_NUMBER: _ClassVar[int]
    revision: int
    def __init__(self, revision: _Optional[int] = ...) -> None: ...

class RollbackModelAliasRequest(_message.Message):
    __slots__ = ("model", "workspace", "alias", "expected_version", "comment", "request_id")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_VERSION_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    model: str
    workspace: str
    alias: str
    expected_version: int
    comment: str
    request_id: str
    def __init__(self, model: _Optional[str] = ..., workspace: _Optional[str] = ..., alias: _Optional[str] = ..., expected_version: _Optional[int] = ..., comment: _Optional[str] = ..., request_id: _Optional[str] = ...) -> None: ...

class RollbackModelAliasResponse(_message.Message):
    __slots__ = ("version", "previous_version", "revision", "undone")
    VERSION_FIELD_NUMBER: _ClassVar[int]
    PREVIOUS_VERSION_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    UNDONE_FIELD_NUMBER: _ClassVar[int]
    version: int
    previous_version: int
    revision: int
    undone: _model_pb2.ModelEvent
    def __init__(self, version: _Optional[int] = ..., previous_version: _Optional[int] = ..., revision: _Optional[int] = ..., undone: _Optional[_Union[_model_pb2.ModelEvent, _Mapping]] = ...) -> None: ...

class TransitionModelVersionRequest(_message.Message):
    __slots__ = ("key", "to_stage", "expected_stage", "comment", "archive_others", "request_id")
    KEY_FIELD_NUMBER: _ClassVar[int]
    TO_STAGE_FIELD_NUMBER: _ClassVar[int]
    EXPECTED_STAGE_FIELD_NUMBER: _ClassVar[int]
    COMMENT_FIELD_NUMBER: _ClassVar[int]
    ARCHIVE_OTHERS_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    key: _artifact_pb2.ModelVersionKey
    to_stage: str
    expected_stage: str
    comment: str
    archive_others: bool
    request_id: str
    def __init__(self, key: _Optional[_Union[_artifact_pb2.ModelVersionKey, _Mapping]] = ..., to_stage: _Optional[str] = ..., expected_stage: _Optional[str] = ..., comment: _Optional[str] = ..., archive_others: bool = ..., request_id: _Optional[str] = ...) -> None: ...

class TransitionModelVersionResponse(_message.Message):
    __slots__ = ("model_version",)
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    model_version: _model_pb2.ModelVersion
    def __init__(self, model_version: _Optional[_Union[_model_pb2.ModelVersion, _Mapping]] = ...) -> None: ...

class ResolveModelsRequest(_message.Message):
    __slots__ = ("references", "workspace", "at", "min_revision")
    REFERENCES_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    AT_FIELD_NUMBER: _ClassVar[int]
    MIN_REVISION_FIELD_NUMBER: _ClassVar[int]
    references: _containers.RepeatedScalarFieldContainer[str]
    workspace: str
    at: _timestamp_pb2.Timestamp
    min_revision: int
    def __init__(self, references: _Optional[_Iterable[str]] = ..., workspace: _Optional[str] = ..., at: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., min_revision: _Optional[int] = ...) -> None: ...

class ResolveModelsResponse(_message.Message):
    __slots__ = ("resolved", "revision")
    class Resolved(_message.Message):
        __slots__ = ("reference", "model_version", "fault")
        REFERENCE_FIELD_NUMBER: _ClassVar[int]
        MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
        FAULT_FIELD_NUMBER: _ClassVar[int]
        reference: str
        model_version: _model_pb2.ModelVersion
        fault: _common_pb2.Fault
        def __init__(self, reference: _Optional[str] = ..., model_version: _Optional[_Union[_model_pb2.ModelVersion, _Mapping]] = ..., fault: _Optional[_Union[_common_pb2.Fault, _Mapping]] = ...) -> None: ...
    RESOLVED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    resolved: _containers.RepeatedCompositeFieldContainer[ResolveModelsResponse.Resolved]
    revision: int
    def __init__(self, resolved: _Optional[_Iterable[_Union[ResolveModelsResponse.Resolved, _Mapping]]] = ..., revision: _Optional[int] = ...) -> None: ...

class ListModelEventsRequest(_message.Message):
    __slots__ = ("model", "workspace", "alias", "until", "page_size", "page_token", "kinds", "since", "version")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    UNTIL_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    model: str
    workspace: str
    alias: str
    until: _timestamp_pb2.Timestamp
    page_size: int
    page_token: str
    kinds: _containers.RepeatedScalarFieldContainer[_model_pb2.ModelEvent.Kind]
    since: _timestamp_pb2.Timestamp
    version: int
    def __init__(self, model: _Optional[str] = ..., workspace: _Optional[str] = ..., alias: _Optional[str] = ..., until: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ..., kinds: _Optional[_Iterable[_Union[_model_pb2.ModelEvent.Kind, str]]] = ..., since: _Optional[_Union[_timestamp_pb2.Timestamp, _Mapping]] = ..., version: _Optional[int] = ...) -> None: ...

class ListModelEventsResponse(_message.Message):
    __slots__ = ("events", "next_page_token")
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    events: _containers.RepeatedCompositeFieldContainer[_model_pb2.ModelEvent]
    next_page_token: str
    def __init__(self, events: _Optional[_Iterable[_Union[_model_pb2.ModelEvent, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class QueryLineageRequest(_message.Message):
    __slots__ = ("root", "direction", "max_hops", "max_nodes", "workspace")
    class Direction(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        DIRECTION_UNSPECIFIED: _ClassVar[QueryLineageRequest.Direction]
        DIRECTION_UPSTREAM: _ClassVar[QueryLineageRequest.Direction]
        DIRECTION_DOWNSTREAM: _ClassVar[QueryLineageRequest.Direction]
        DIRECTION_BOTH: _ClassVar[QueryLineageRequest.Direction]
    DIRECTION_UNSPECIFIED: QueryLineageRequest.Direction
    DIRECTION_UPSTREAM: QueryLineageRequest.Direction
    DIRECTION_DOWNSTREAM: QueryLineageRequest.Direction
    DIRECTION_BOTH: QueryLineageRequest.Direction
    ROOT_FIELD_NUMBER: _ClassVar[int]
    DIRECTION_FIELD_NUMBER: _ClassVar[int]
    MAX_HOPS_FIELD_NUMBER: _ClassVar[int]
    MAX_NODES_FIELD_NUMBER: _ClassVar[int]
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    root: LineageNode
    direction: QueryLineageRequest.Direction
    max_hops: int
    max_nodes: int
    workspace: str
    def __init__(self, root: _Optional[_Union[LineageNode, _Mapping]] = ..., direction: _Optional[_Union[QueryLineageRequest.Direction, str]] = ..., max_hops: _Optional[int] = ..., max_nodes: _Optional[int] = ..., workspace: _Optional[str] = ...) -> None: ...

class LineageNode(_message.Message):
    __slots__ = ("run_id", "model_version", "dataset_digest", "uri", "label", "deleted")
    RUN_ID_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    DATASET_DIGEST_FIELD_NUMBER: _ClassVar[int]
    URI_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    DELETED_FIELD_NUMBER: _ClassVar[int]
    run_id: str
    model_version: _artifact_pb2.ModelVersionKey
    dataset_digest: str
    uri: str
    label: str
    deleted: bool
    def __init__(self, run_id: _Optional[str] = ..., model_version: _Optional[_Union[_artifact_pb2.ModelVersionKey, _Mapping]] = ..., dataset_digest: _Optional[str] = ..., uri: _Optional[str] = ..., label: _Optional[str] = ..., deleted: bool = ...) -> None: ...

class LineageEdge(_message.Message):
    __slots__ = ("source", "target", "role")
    SOURCE_FIELD_NUMBER: _ClassVar[int]
    TARGET_FIELD_NUMBER: _ClassVar[int]
    ROLE_FIELD_NUMBER: _ClassVar[int]
    source: int
    target: int
    role: str
    def __init__(self, source: _Optional[int] = ..., target: _Optional[int] = ..., role: _Optional[str] = ...) -> None: ...

class QueryLineageResponse(_message.Message):
    __slots__ = ("nodes", "edges", "truncated")
    NODES_FIELD_NUMBER: _ClassVar[int]
    EDGES_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    nodes: _containers.RepeatedCompositeFieldContainer[LineageNode]
    edges: _containers.RepeatedCompositeFieldContainer[LineageEdge]
    truncated: bool
    def __init__(self, nodes: _Optional[_Iterable[_Union[LineageNode, _Mapping]]] = ..., edges: _Optional[_Iterable[_Union[LineageEdge, _Mapping]]] = ..., truncated: bool = ...) -> None: ...

class WatchModelsRequest(_message.Message):
    __slots__ = ("workspace", "models", "after_revision", "snapshot_first", "last_only")
    WORKSPACE_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    AFTER_REVISION_FIELD_NUMBER: _ClassVar[int]
    SNAPSHOT_FIRST_FIELD_NUMBER: _ClassVar[int]
    LAST_ONLY_FIELD_NUMBER: _ClassVar[int]
    workspace: str
    models: _containers.RepeatedScalarFieldContainer[str]
    after_revision: int
    snapshot_first: bool
    last_only: bool
    def __init__(self, workspace: _Optional[str] = ..., models: _Optional[_Iterable[str]] = ..., after_revision: _Optional[int] = ..., snapshot_first: bool = ..., last_only: bool = ...) -> None: ...

class WatchModelsResponse(_message.Message):
    __slots__ = ("model", "model_version", "change", "mark", "expired", "revision")
    class Mark(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    class Expired(_message.Message):
        __slots__ = ()
        def __init__(self) -> None: ...
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MODEL_VERSION_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    MARK_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    REVISION_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.Model
    model_version: _model_pb2.ModelVersion
    change: _model_pb2.ModelEvent
    mark: WatchModelsResponse.Mark
    expired: WatchModelsResponse.Expired
    revision: int
    def __init__(self, model: _Optional[_Union[_model_pb2.Model, _Mapping]] = ..., model_version: _Optional[_Union[_model_pb2.ModelVersion, _Mapping]] = ..., change: _Optional[_Union[_model_pb2.ModelEvent, _Mapping]] = ..., mark: _Optional[_Union[WatchModelsResponse.Mark, _Mapping]] = ..., expired: _Optional[_Union[WatchModelsResponse.Expired, _Mapping]] = ..., revision: _Optional[int] = ...) -> None: ...
