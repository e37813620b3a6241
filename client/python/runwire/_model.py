"""``client.models``: one method for each call of RegistryService."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from runwire._change import Time, changed_tags, mask, new_id, timestamp
from runwire._errors import from_fault
from runwire._model_feed import ModelFeed
from runwire._pager import Pager
from runwire.v1.artifact_pb2 import Artifact, ModelVersionKey
from runwire.v1.model_pb2 import Model, ModelEvent, ModelVersion
from runwire.v1.registry_service_pb2 import (
    CreateModelRequest,
    CreateModelResponse,
    CreateModelVersionRequest,
    CreateModelVersionResponse,
    DeleteModelAliasRequest,
    DeleteModelAliasResponse,
    DeleteModelRequest,
    DeleteModelVersionRequest,
    GetModelRequest,
    GetModelResponse,
    GetModelVersionRequest,
    GetModelVersionResponse,
    LineageNode,
    ListModelEventsRequest,
    ListModelEventsResponse,
    QueryLineageRequest,
    QueryLineageResponse,
    ResolveModelsRequest,
    ResolveModelsResponse,
    RestoreModelRequest,
    RestoreModelResponse,
    RestoreModelVersionRequest,
    RestoreModelVersionResponse,
    RollbackModelAliasRequest,
    RollbackModelAliasResponse,
    SearchModelsRequest,
    SearchModelsResponse,
    SearchModelVersionsRequest,
    SearchModelVersionsResponse,
    SetModelAliasRequest,
    SetModelAliasResponse,
    TransitionModelVersionRequest,
    TransitionModelVersionResponse,
    UpdateModelRequest,
    UpdateModelResponse,
    UpdateModelVersionRequest,
    UpdateModelVersionResponse,
    WatchModelsRequest,
)
from runwire.v1.registry_service_pb2_grpc import RegistryServiceStub

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runwire._call import Caller
    from runwire._model_compare import ModelComparison

Direction = Literal["UPSTREAM", "DOWNSTREAM", "BOTH"]
EventKind = Literal[
    "VERSION_CREATED",
    "ALIAS_MOVED",
    "ALIAS_REMOVED",
    "STAGE_CHANGED",
    "VERSION_DELETED",
    "MODEL_DELETED",
    "MODEL_CREATED",
    "MODEL_RENAMED",
    "MODEL_CHANGED",
    "VERSION_CHANGED",
    "MODEL_RESTORED",
    "VERSION_RESTORED",
]


class Models:
    """The registry calls of one client. Safe for threads. All raise ``RunwireError``."""

    def __init__(self, caller: Caller):
        self._caller = caller

    # Models -----------------------------------------------------------------------

    def create(
        self,
        name: str,
        *,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        stages: Iterable[str] = (),
        get_existing: bool = False,
        workspace: str = "",
        request_id: str = "",
    ) -> Model:
        """Register a name; ``stages`` are none, staging, production, archived unless given.

        Safe to repeat with the same ``request_id`` (a fresh one unless given).
        """
        request = CreateModelRequest(
            name=name,
            workspace=self._in(workspace),
            description=description,
            tags=tags,
            stages=stages,
            get_existing=get_existing,
            request_id=request_id or new_id(),
        )
        response: CreateModelResponse = self._call("CreateModel", request)
        return response.model

    def get(self, name: str, *, workspace: str = "") -> Model:
        """With its aliases and latest version. Raises ``NotFoundError``."""
        request = GetModelRequest(name=name, workspace=self._in(workspace))
        response: GetModelResponse = self._call("GetModel", request)
        return response.model

    def search(
        self,
        filter: str = "",
        *,
        order_by: str = "",
        show_deleted: bool = False,
        page_size: int = 0,
        page_token: str = "",
        workspace: str = "",
    ) -> Pager[Model, SearchModelsResponse]:
        """Those that a filter finds: ``"name LIKE 'fraud%' AND tags.team = 'risk'"``."""
        request = SearchModelsRequest(
            workspace=self._in(workspace),
            filter=filter,
            order_by=order_by,
            page_size=page_size,
            show_deleted=show_deleted,
        )

        def fetch(token: str) -> SearchModelsResponse:
            request.page_token = token
            response: SearchModelsResponse = self._call("SearchModels", request)
            return response

        return Pager(fetch, lambda page: page.models, page_token)

    def update(
        self,
        name: str,
        *,
        new_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        removed_tags: Iterable[str] = (),
        stages: Sequence[str] | None = None,
        comment: str = "",
        etag: str = "",
        workspace: str = "",
        update_mask: Sequence[str] | None = None,
    ) -> Model:
        """Change what is given and nothing else; ``new_name`` renames it with its versions.

        The history tells what was changed by whom, and why as ``comment`` says.
        """
        put, tag_paths = changed_tags(tags, removed_tags)
        fields = {"name": new_name, "description": description, "stages": stages}
        model = Model(
            name=name,
            workspace=self._in(workspace),
            description=description,
            tags=put,
            stages=stages,
            etag=etag,
        )
        request = UpdateModelRequest(
            model=model,
            update_mask=mask(fields, tag_paths, update_mask),
            new_name=new_name,
            comment=comment,
        )
        response: UpdateModelResponse = self._call("UpdateModel", request)
        return response.model

    def delete(self, name: str, *, comment: str = "", etag: str = "", workspace: str = "") -> None:
        """To the trash, with all its versions; its aliases end and its name is free."""
        request = DeleteModelRequest(
            name=name, workspace=self._in(workspace), etag=etag, comment=comment
        )
        self._call("DeleteModel", request)

    def restore(
        self,
        name: str,
        *,
        new_name: str = "",
        delete_time: Time | None = None,
        comment: str = "",
        workspace: str = "",
        request_id: str = "",
    ) -> Model:
        """Out of the trash, with its versions and aliases: the one of that name that was deleted
        last, or at ``delete_time``. ``new_name`` where the name was taken meanwhile."""
        request = RestoreModelRequest(
            name=name,
            workspace=self._in(workspace),
            delete_time=timestamp(delete_time),
            new_name=new_name,
            comment=comment,
            request_id=request_id or new_id(),
        )
        response: RestoreModelResponse = self._call("RestoreModel", request)
        return response.model

    # Versions ---------------------------------------------------------------------

    def create_version(
        self,
        model: str,
        *,
        source_run_id: str = "",
        source_path: str = "",
        source_version: tuple[str, int] | None = None,
        artifacts: Iterable[Artifact] = (),
        source_uri: str = "",
        description: str = "",
        tags: Mapping[str, str] | None = None,
        signature: str = "",
        aliases: Iterable[str] = (),
        comment: str = "",
        create_model: bool = False,
        workspace: str = "",
        request_id: str = "",
    ) -> ModelVersion:
        """Publish the next version of a model: from a run's artifacts under ``source_path``,
        from another model's version as ``source_version=("fraud", 3)``, from ``artifacts``
        whose blobs are stored, or from a ``source_uri`` that is only noted.

        ``aliases`` move in the same transaction. Safe to repeat with the same
        ``request_id`` (a fresh one unless given).

        >>> client.models.create_version("fraud", source_run_id=run.run_id,
        ...                              source_path="model", create_model=True)
        """
        request = CreateModelVersionRequest(
            model=model,
            workspace=self._in(workspace),
            source_run_id=source_run_id,
            source_path=source_path,
            artifacts=artifacts,
            source_uri=source_uri,
            description=description,
            tags=tags,
            signature=signature,
            aliases=aliases,
            create_model=create_model,
            request_id=request_id or new_id(),
            source_version=self._key(*source_version, workspace) if source_version else None,
            comment=comment,
        )
        response: CreateModelVersionResponse = self._call("CreateModelVersion", request)
        return response.model_version

    def get_version(self, model: str, version: int, *, workspace: str = "") -> ModelVersion:
        """One version by its number. Raises ``NotFoundError``."""
        request = GetModelVersionRequest(key=self._key(model, version, workspace))
        response: GetModelVersionResponse = self._call("GetModelVersion", request)
        return response.model_version

    def search_versions(
        self,
        filter: str = "",
        *,
        order_by: str = "",
        show_deleted: bool = False,
        page_size: int = 0,
        page_token: str = "",
        workspace: str = "",
    ) -> Pager[ModelVersion, SearchModelVersionsResponse]:
        """Those that a filter finds: ``"model = 'fraud' AND stage = 'production'"``."""
        request = SearchModelVersionsRequest(
            workspace=self._in(workspace),
            filter=filter,
            order_by=order_by,
            page_size=page_size,
            show_deleted=show_deleted,
        )

        def fetch(token: str) -> SearchModelVersionsResponse:
            request.page_token = token
            response: SearchModelVersionsResponse = self._call("SearchModelVersions", request)
            return response

        return Pager(fetch, lambda page: page.model_versions, page_token)

    def update_version(
        self,
        model: str,
        version: int,
        *,
        description: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        removed_tags: Iterable[str] = (),
        comment: str = "",
        etag: str = "",
        workspace: str = "",
        update_mask: Sequence[str] | None = None,
    ) -> ModelVersion:
        """Change description or tags; the content of a version never changes."""
        put, tag_paths = changed_tags(tags, removed_tags)
        changed = ModelVersion(
            model=model,
            version=version,
            workspace=self._in(workspace),
            description=description,
            tags=put,
            etag=etag,
        )
        request = UpdateModelVersionRequest(
            model_version=changed,
            update_mask=mask({"description": description}, tag_paths, update_mask),
            comment=comment,
        )
        response: UpdateModelVersionResponse = self._call("UpdateModelVersion", request)
        return response.model_version

    def delete_version(
        self, model: str, version: int, *, comment: str = "", etag: str = "", workspace: str = ""
    ) -> None:
        """To the trash. Its number is not given again; aliases that point at it end."""
        request = DeleteModelVersionRequest(
            key=self._key(model, version, workspace), etag=etag, comment=comment
        )
        self._call("DeleteModelVersion", request)

    def restore_version(
        self, model: str, version: int, *, comment: str = "", workspace: str = ""
    ) -> ModelVersion:
        """Out of the trash, without the aliases that it had; see ``rollback_alias``."""
        request = RestoreModelVersionRequest(
            key=self._key(model, version, workspace), comment=comment
        )
        response: RestoreModelVersionResponse = self._call("RestoreModelVersion", request)
        return response.model_version

    def transition_version(
        self,
        model: str,
        version: int,
        to_stage: str,
        *,
        expected_stage: str = "",
        archive_others: bool = False,
        comment: str = "",
        workspace: str = "",
        request_id: str = "",
    ) -> ModelVersion:
        """Move a version to another stage. Raises ``FailedPreconditionError`` (reason
        STAGE_CHANGED) where it is not in ``expected_stage``."""
        request = TransitionModelVersionRequest(
            key=self._key(model, version, workspace),
            to_stage=to_stage,
            expected_stage=expected_stage,
            comment=comment,
            archive_others=archive_others,
            request_id=request_id or new_id(),
        )
        response: TransitionModelVersionResponse = self._call("TransitionModelVersion", request)
        return response.model_version

    # Aliases ----------------------------------------------------------------------

    def set_alias(
        self,
        model: str,
        alias: str,
        version: int,
        *,
        expected_version: int | None = None,
        comment: str = "",
        workspace: str = "",
    ) -> SetModelAliasResponse:
        """Point an alias at a version. With ``expected_version`` (0: not set yet) only from
        there: else ``ConflictError``, reason ALIAS_MOVED."""
        request = SetModelAliasRequest(
            model=model,
            workspace=self._in(workspace),
            alias=alias,
            version=version,
            expected_version=expected_version,
            comment=comment,
        )
        response: SetModelAliasResponse = self._call("SetModelAlias", request)
        return response

    def delete_alias(
        self,
        model: str,
        alias: str,
        *,
        expected_version: int | None = None,
        comment: str = "",
        workspace: str = "",
    ) -> DeleteModelAliasResponse:
        """Remove an alias; with ``expected_version`` only while it points there."""
        request = DeleteModelAliasRequest(
            model=model,
            workspace=self._in(workspace),
            alias=alias,
            expected_version=expected_version,
            comment=comment,
        )
        response: DeleteModelAliasResponse = self._call("DeleteModelAlias", request)
        return response

    def rollback_alias(
        self,
        model: str,
        alias: str,
        *,
        expected_version: int | None = None,
        comment: str = "",
        workspace: str = "",
        request_id: str = "",
    ) -> RollbackModelAliasResponse:
        """Take the last move of an alias back; called again, the one before it. Answers where
        it points now, and which move that undid. With ``expected_version`` only from there.

        >>> client.models.rollback_alias("fraud", "champion", expected_version=7).version
        6
        """
        request = RollbackModelAliasRequest(
            model=model,
            workspace=self._in(workspace),
            alias=alias,
            expected_version=expected_version,
            comment=comment,
            request_id=request_id or new_id(),
        )
        response: RollbackModelAliasResponse = self._call("RollbackModelAlias", request)
        return response

    # Reading ----------------------------------------------------------------------

    def resolve(
        self, reference: str, *, at: Time | None = None, workspace: str = ""
    ) -> ModelVersion:
        """The version that a reference means now, or meant ``at`` a time; raises
        ``NotFoundError`` where none.

        ``"fraud@champion"`` an alias, ``"fraud/7"`` a number, ``"fraud/latest"`` the newest,
        ``"fraud/production"`` the newest in a stage.
        """
        (found,) = self.resolve_all([reference], at=at, workspace=workspace).resolved
        if found.HasField("fault"):
            raise from_fault(found.fault)
        return found.model_version

    def resolve_all(
        self,
        references: Iterable[str],
        *,
        at: Time | None = None,
        min_revision: int = 0,
        workspace: str = "",
    ) -> ResolveModelsResponse:
        """Many at once, in their order; each with a version or a ``fault``.

        ``min_revision``: of a change or a watch, which the answer then is not older than;
        ``OutOfRangeError`` (reason REVISION_AHEAD) where the registry has not come that far.
        """
        request = ResolveModelsRequest(
            references=references,
            workspace=self._in(workspace),
            at=timestamp(at),
            min_revision=min_revision,
        )
        response: ResolveModelsResponse = self._call("ResolveModels", request)
        return response

    def list_events(
        self,
        model: str = "",
        *,
        version: int = 0,
        alias: str = "",
        kinds: Iterable[EventKind] = (),
        since: Time | None = None,
        until: Time | None = None,
        page_size: int = 0,
        page_token: str = "",
        workspace: str = "",
    ) -> Pager[ModelEvent, ListModelEventsResponse]:
        """Who did what, when and why, newest first: of all models or of one, of one ``version``
        or ``alias`` only, of ``kinds`` such as ``["STAGE_CHANGED"]``, within times."""
        request = ListModelEventsRequest(
            model=model,
            workspace=self._in(workspace),
            alias=alias,
            until=timestamp(until),
            page_size=page_size,
            kinds=[f"KIND_{kind}" for kind in kinds],
            since=timestamp(since),
            version=version,
        )

        def fetch(token: str) -> ListModelEventsResponse:
            request.page_token = token
            response: ListModelEventsResponse = self._call("ListModelEvents", request)
            return response

        return Pager(fetch, lambda page: page.events, page_token)

    def query_lineage(
        self,
        root: LineageNode,
        *,
        direction: Direction = "BOTH",
        max_hops: int = 0,
        max_nodes: int = 0,
        workspace: str = "",
    ) -> QueryLineageResponse:
        """What led to a node and what came of it, nearest first; ``truncated`` where there is
        more than the limits let through."""
        request = QueryLineageRequest(
            root=root,
            direction=f"DIRECTION_{direction}",
            max_hops=max_hops,
            max_nodes=max_nodes,
            workspace=self._in(workspace),
        )
        response: QueryLineageResponse = self._call("QueryLineage", request)
        return response

    def compare(self, left: str, right: str, *, workspace: str = "") -> ModelComparison:
        """What differs between the versions that two references mean: params and metrics of the
        runs that they came from, and their files by digest.

        >>> found = client.models.compare("fraud@champion", "fraud/latest")
        >>> {name: pair for name, pair in found.params.items() if pair.differs}
        {'lr': Pair(left='0.1', right='0.01')}
        """
        from runwire._model_compare import compare

        versions = (self.resolve(one, workspace=workspace) for one in (left, right))
        return compare(self._caller, *versions)

    def watch(
        self,
        models: Iterable[str] = (),
        *,
        after_revision: int | None = None,
        from_now: bool = False,
        workspace: str = "",
    ) -> ModelFeed:
        """Changes after a revision, from now on, or (neither given) the present state and then
        changes; of the ``models`` of these names, or of all. For a program that serves models
        there is ``runwire.registry.ModelWatcher``.

        Goes on by itself after a cut; close it, or use it in a ``with`` block. It ends after
        an event ``expired``: start again without ``after_revision``.

        >>> found = client.models.resolve_all(["fraud@champion"])
        >>> with client.models.watch(["fraud"], after_revision=found.revision) as feed:
        ...     for event in feed:
        ...         if event.HasField("change"):
        ...             print(event.change.alias, event.change.version)
        """
        request = WatchModelsRequest(workspace=self._in(workspace), models=models)
        if after_revision is not None:
            request.after_revision = after_revision
        elif not from_now:
            request.snapshot_first = True
        return ModelFeed(self._caller, request)

    def _in(self, workspace: str) -> str:
        return workspace or self._caller.workspace

    def _key(self, model: str, version: int, workspace: str) -> ModelVersionKey:
        return ModelVersionKey(model=model, version=version, workspace=self._in(workspace))

    def _call(self, method: str, request: Message) -> Any:
        return self._caller.unary(RegistryServiceStub, method, request)
