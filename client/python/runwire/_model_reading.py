"""``client.models``: what a reference means, what happened, and what came from what."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

from runwire._change import Time, timestamp
from runwire._errors import from_fault
from runwire._model_call import ModelCalls
from runwire._model_feed import ModelFeed
from runwire._pager import Pager
from runwire.v1.model_pb2 import ModelEvent, ModelVersion
from runwire.v1.registry_service_pb2 import (
    LineageNode,
    ListModelEventsRequest,
    ListModelEventsResponse,
    QueryLineageRequest,
    QueryLineageResponse,
    ResolveModelsRequest,
    ResolveModelsResponse,
    WatchModelsRequest,
)

if TYPE_CHECKING:
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


class ModelReading(ModelCalls):
    """The calls that change nothing."""

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
