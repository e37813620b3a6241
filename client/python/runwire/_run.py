"""``client.runs``: one method for each call of RunService."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal

from runwire._change import Time, changed_tags, mask, new_id, timestamp
from runwire._errors import invalid
from runwire._feed import Feed
from runwire._pager import Pager
from runwire.v1.run_pb2 import DatasetInput, ForkPoint, Run, Source
from runwire.v1.run_service_pb2 import (
    RUN_VIEW_BASIC,
    RUN_VIEW_FULL,
    RUN_VIEW_UNSPECIFIED,
    CreateRunRequest,
    CreateRunResponse,
    DeleteRunRequest,
    DeleteRunResponse,
    FinishRunRequest,
    FinishRunResponse,
    GetRunRequest,
    GetRunResponse,
    RestoreRunRequest,
    RestoreRunResponse,
    ResumeRunRequest,
    ResumeRunResponse,
    RunView,
    SearchRunsRequest,
    SearchRunsResponse,
    StopRunRequest,
    StopRunResponse,
    UpdateRunRequest,
    UpdateRunResponse,
    WatchRunsRequest,
    WatchRunsResponse,
)
from runwire.v1.run_service_pb2_grpc import RunServiceStub

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runwire._call import Caller

View = Literal["BASIC", "FULL", ""]
State = Literal["SCHEDULED", "RUNNING", "FINISHED", "FAILED", "KILLED"]
_VIEWS: dict[str, RunView] = {
    "": RUN_VIEW_UNSPECIFIED,
    "BASIC": RUN_VIEW_BASIC,
    "FULL": RUN_VIEW_FULL,
}
_STATES = {
    "": Run.STATE_UNSPECIFIED,
    "SCHEDULED": Run.STATE_SCHEDULED,
    "RUNNING": Run.STATE_RUNNING,
    "FINISHED": Run.STATE_FINISHED,
    "FAILED": Run.STATE_FAILED,
    "KILLED": Run.STATE_KILLED,
    "LOST": Run.STATE_LOST,
}


class Runs:
    """The run calls of one client. Safe for threads. All raise ``RunwireError``."""

    def __init__(self, caller: Caller):
        self._caller = caller

    def create(
        self,
        *,
        experiment_id: str = "",
        experiment_name: str = "",
        run_id: str = "",
        name: str = "",
        description: str = "",
        state: State | Literal[""] = "",
        user: str = "",
        source: Source | None = None,
        parent_run_id: str = "",
        forked_from: ForkPoint | None = None,
        start_time: Time | None = None,
        params: Mapping[str, str] | None = None,
        tags: Mapping[str, str] | None = None,
        inputs: Iterable[DatasetInput] = (),
        workspace: str = "",
    ) -> Run:
        """Make a run, in the experiment of an id, or of a name (made where it is missing).

        ``run_id``: 32 hex digits, chosen here unless given; a repeat of the call with it
        returns the run that is there. The run is RUNNING unless ``state`` says SCHEDULED.
        """
        run = Run(
            run_id=run_id or new_id(),
            experiment_id=experiment_id,
            name=name,
            description=description,
            state=_state("run.state", state),
            user=user,
            source=source,
            parent_run_id=parent_run_id,
            forked_from=forked_from,
            start_time=timestamp(start_time),
            params=params,
            tags=tags,
            inputs=inputs,
        )
        workspace = workspace or (self._caller.workspace if experiment_name else "")
        request = CreateRunRequest(run=run, experiment_name=experiment_name, workspace=workspace)
        response: CreateRunResponse = self._call("CreateRun", request)
        return response.run

    def get(self, run_id: str, *, view: View = "") -> Run:
        """With params, tags, last metrics and inputs (view FULL) unless ``view`` is BASIC.

        One in the trash too: its ``delete_time`` is set. Raises ``NotFoundError``.
        """
        response: GetRunResponse = self._call(
            "GetRun", GetRunRequest(run_id=run_id, view=_view(view))
        )
        return response.run

    def search(
        self,
        experiment_ids: Iterable[str] = (),
        *,
        filter: str = "",
        order_by: str = "",
        view: View = "",
        columns: Iterable[str] = (),
        page_size: int = 0,
        page_token: str = "",
        show_deleted: bool = False,
        workspace: str = "",
    ) -> Pager[Run, SearchRunsResponse]:
        """Runs of some experiments (none given: of all) that a filter finds, in order.

        View BASIC leaves params, tags and metrics out, but for ``columns``. Raises
        ``InvalidArgumentError`` when it is read.

        >>> for run in client.runs.search(filter="metrics.loss < 0.1 AND params.lr = 0.01",
        ...                               order_by="metrics.loss", columns=["metrics.loss"]):
        ...     print(run.name, run.metrics["loss"])
        """
        request = SearchRunsRequest(
            experiment_ids=experiment_ids,
            workspace=workspace or self._caller.workspace,
            filter=filter,
            order_by=order_by,
            page_size=page_size,
            view=_view(view),
            columns=columns,
            show_deleted=show_deleted,
        )

        def fetch(token: str) -> SearchRunsResponse:
            request.page_token = token
            response: SearchRunsResponse = self._call("SearchRuns", request)
            return response

        return Pager(fetch, lambda page: page.runs, page_token)

    def update(
        self,
        run_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        experiment_id: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        removed_tags: Iterable[str] = (),
        etag: str = "",
        update_mask: Sequence[str] | None = None,
    ) -> Run:
        """Change what is given and nothing else; another ``experiment_id`` moves the run.
        A tag whose value is None is removed.

        ``update_mask`` says it in the proto's words instead: ``["tags"]`` replaces all tags.
        With an ``etag`` of an older state: ``ConflictError``.
        """
        put, tag_paths = changed_tags(tags, removed_tags)
        fields = {"name": name, "description": description, "experiment_id": experiment_id}
        run = Run(
            run_id=run_id,
            name=name,
            description=description,
            experiment_id=experiment_id,
            tags=put,
            etag=etag,
        )
        request = UpdateRunRequest(run=run, update_mask=mask(fields, tag_paths, update_mask))
        response: UpdateRunResponse = self._call("UpdateRun", request)
        return response.run

    def finish(
        self,
        run_id: str,
        state: State = "FINISHED",
        *,
        end_time: Time | None = None,
        after: Mapping[str, int] | None = None,
    ) -> Run:
        """End a run as FINISHED, FAILED or KILLED; from then on it takes no data.

        ``after``: once these writers have reached these sequences, and not before.
        """
        request = FinishRunRequest(
            run_id=run_id, state=_state("state", state), end_time=timestamp(end_time), after=after
        )
        response: FinishRunResponse = self._call("FinishRun", request)
        return response.run

    def resume(self, run_id: str) -> Run:
        """A run that has ended is RUNNING again; a running one stays as it is."""
        response: ResumeRunResponse = self._call("ResumeRun", ResumeRunRequest(run_id=run_id))
        return response.run

    def stop(self, run_id: str, *, reason: str = "") -> Run:
        """Ask the training job to stop; it learns it with its next acknowledgement."""
        request = StopRunRequest(run_id=run_id, reason=reason)
        response: StopRunResponse = self._call("StopRun", request)
        return response.run

    def delete(self, run_id: str, *, etag: str = "") -> Run:
        """Put it in the trash."""
        request = DeleteRunRequest(run_id=run_id, etag=etag)
        response: DeleteRunResponse = self._call("DeleteRun", request)
        return response.run

    def restore(self, run_id: str) -> Run:
        """Take it out of the trash."""
        response: RestoreRunResponse = self._call("RestoreRun", RestoreRunRequest(run_id=run_id))
        return response.run

    def watch(
        self,
        experiment_ids: Iterable[str] = (),
        *,
        filter: str = "",
        cursor: bytes = b"",
        view: View = "",
        columns: Iterable[str] = (),
        workspace: str = "",
    ) -> Feed[WatchRunsResponse]:
        """Changes from ``cursor`` (none: from now) on, without end; goes on after a cut.

        Events have ``changed``, a run as it is after its change, or they are Marks: nothing
        was missed up to here; the first one comes at once. A run in the trash is told with its
        ``delete_time``, its metrics every second or two. To have a list that stays right, watch
        first, then search. Close it, or use it in a ``with`` block.

        >>> with client.runs.watch(filter="tags.team = 'nlp'", columns=["metrics.loss"]) as watch:
        ...     for event in watch:
        ...         if event.HasField("changed"):
        ...             print(event.changed.name, event.changed.metrics["loss"])
        """
        request = WatchRunsRequest(
            experiment_ids=experiment_ids,
            workspace=workspace or self._caller.workspace,
            filter=filter,
            cursor=cursor,
            view=_view(view),
            columns=columns,
        )
        return Feed(self._caller, (RunServiceStub, "WatchRuns"), request, lambda event: event)

    def _call(self, method: str, request: Message) -> Any:
        return self._caller.unary(RunServiceStub, method, request)


def _view(name: str) -> RunView:
    try:
        return _VIEWS[name.upper()]
    except KeyError:
        raise invalid("view", f"{name!r} is neither BASIC nor FULL") from None


def _state(field: str, name: str) -> Run.State:
    try:
        return _STATES[name.upper()]
    except KeyError:
        raise invalid(field, f"{name!r} is none; FINISHED, FAILED and KILLED end a run") from None
