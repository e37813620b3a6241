"""``client.experiments``: one method for each call of ExperimentService."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from runwire._change import changed_tags, mask, new_id
from runwire._pager import Pager
from runwire.v1.experiment_pb2 import Experiment
from runwire.v1.experiment_service_pb2 import (
    CreateExperimentRequest,
    CreateExperimentResponse,
    DeleteExperimentRequest,
    DeleteExperimentResponse,
    GetExperimentRequest,
    GetExperimentResponse,
    RestoreExperimentRequest,
    RestoreExperimentResponse,
    SearchExperimentsRequest,
    SearchExperimentsResponse,
    UpdateExperimentRequest,
    UpdateExperimentResponse,
)
from runwire.v1.experiment_service_pb2_grpc import ExperimentServiceStub

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runwire._call import Caller


class Experiments:
    """The experiment calls of one client. Safe for threads. All raise ``RunwireError``."""

    def __init__(self, caller: Caller):
        self._caller = caller

    def create(
        self,
        name: str,
        *,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        get_existing: bool = False,
        workspace: str = "",
        request_id: str = "",
    ) -> Experiment:
        """Make an experiment; ``get_existing`` returns the one of that name where there is one.

        Safe to repeat with the same ``request_id`` (a fresh one unless given). Raises
        ``AlreadyExistsError``, ``InvalidArgumentError``.

        >>> client.experiments.create("nyc-taxi", tags={"team": "fares"}).experiment_id
        '1'
        """
        request = CreateExperimentRequest(
            name=name,
            workspace=workspace or self._caller.workspace,
            description=description,
            tags=tags,
            get_existing=get_existing,
            request_id=request_id or new_id(),
        )
        response: CreateExperimentResponse = self._call("CreateExperiment", request)
        return response.experiment

    def get(self, experiment_id: str = "", *, name: str = "", workspace: str = "") -> Experiment:
        """By id or by name; by id those in the trash too. Raises ``NotFoundError``."""
        request = GetExperimentRequest(workspace=workspace or self._caller.workspace)
        if name and not experiment_id:
            request.name = name
        else:
            request.experiment_id = experiment_id
        response: GetExperimentResponse = self._call("GetExperiment", request)
        return response.experiment

    def search(
        self,
        filter: str = "",
        *,
        order_by: str = "",
        page_size: int = 0,
        page_token: str = "",
        show_deleted: bool = False,
        workspace: str = "",
    ) -> Pager[Experiment, SearchExperimentsResponse]:
        """Those that a filter finds: ``"name LIKE 'nyc%' AND tags.team = 'fares'"``.

        ``show_deleted``: those in the trash too. ``page_size`` 0 is the server's default.
        Raises ``InvalidArgumentError`` (reason FILTER_SYNTAX) when it is read.
        """
        request = SearchExperimentsRequest(
            workspace=workspace or self._caller.workspace,
            filter=filter,
            order_by=order_by,
            page_size=page_size,
            show_deleted=show_deleted,
        )

        def fetch(token: str) -> SearchExperimentsResponse:
            request.page_token = token
            response: SearchExperimentsResponse = self._call("SearchExperiments", request)
            return response

        return Pager(fetch, lambda page: page.experiments, page_token)

    def update(
        self,
        experiment_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        removed_tags: Iterable[str] = (),
        etag: str = "",
        update_mask: Sequence[str] | None = None,
    ) -> Experiment:
        """Change what is given and nothing else; ``tags`` are added to those there are,
        and one whose value is None is removed.

        ``update_mask`` says it in the proto's words instead: ``["tags"]`` replaces all tags.
        With an ``etag`` of an older state: ``ConflictError``.
        """
        put, tag_paths = changed_tags(tags, removed_tags)
        fields = {"name": name, "description": description}
        request = UpdateExperimentRequest(
            experiment=Experiment(
                experiment_id=experiment_id,
                name=name,
                description=description,
                tags=put,
                etag=etag,
            ),
            update_mask=mask(fields, tag_paths, update_mask),
        )
        response: UpdateExperimentResponse = self._call("UpdateExperiment", request)
        return response.experiment

    def delete(self, experiment_id: str, *, etag: str = "") -> Experiment:
        """Put it and its runs in the trash; its name can be used again."""
        request = DeleteExperimentRequest(experiment_id=experiment_id, etag=etag)
        response: DeleteExperimentResponse = self._call("DeleteExperiment", request)
        return response.experiment

    def restore(self, experiment_id: str) -> Experiment:
        """Take it out of the trash. Raises ``AlreadyExistsError`` where its name is taken."""
        request = RestoreExperimentRequest(experiment_id=experiment_id)
        response: RestoreExperimentResponse = self._call("RestoreExperiment", request)
        return response.experiment

    def _call(self, method: str, request: Message) -> Any:
        return self._caller.unary(ExperimentServiceStub, method, request)
