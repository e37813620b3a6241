"""RunService over the store and the metric engine.

Whatever shows a run's metrics asks the engine to refresh them first, before its own
transaction begins: so an answer holds everything that was acknowledged before the call.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator

from grpc import ServicerContext
from runwire.v1 import run_service_pb2 as pb
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2_grpc import RunServiceServicer

from runwire_server.metrics import Engine
from runwire_server.services.lifetime import lasts_s
from runwire_server.store import run
from runwire_server.store.database import Database
from runwire_server.store.live import Live
from runwire_server.store.pulse import Pulse
from runwire_server.store.run_watch import Watch


class RunService(RunServiceServicer):
    """``pulse``: of all runs. ``drain``: set when the server goes away."""

    def __init__(self, db: Database, engine: Engine, pulse: Pulse, drain: threading.Event):
        self._db, self._engine = db, engine
        self._pulse, self._drain = pulse, drain

    def CreateRun(
        self, request: pb.CreateRunRequest, context: ServicerContext
    ) -> pb.CreateRunResponse:
        with self._db.write() as tx:
            created, existed = run.create(
                tx, request.run, request.experiment_name, request.workspace
            )
        if existed:
            created = self._present(created.run_id)
        return pb.CreateRunResponse(run=created, existed=existed)

    def GetRun(self, request: pb.GetRunRequest, context: ServicerContext) -> pb.GetRunResponse:
        return pb.GetRunResponse(run=self._present(request.run_id, request.view))

    def SearchRuns(
        self, request: pb.SearchRunsRequest, context: ServicerContext
    ) -> pb.SearchRunsResponse:
        if run.shows_metrics(request):
            self._engine.refresh(experiment_ids=run.experiment_keys(request))
        with self._db.read() as tx:
            found, token = run.search(tx, request)
            return pb.SearchRunsResponse(runs=found, next_page_token=token)

    def UpdateRun(
        self, request: pb.UpdateRunRequest, context: ServicerContext
    ) -> pb.UpdateRunResponse:
        with self._db.write() as tx:
            run.update(tx, request.run, request.update_mask)
        return pb.UpdateRunResponse(run=self._present(request.run.run_id))

    def FinishRun(
        self, request: pb.FinishRunRequest, context: ServicerContext
    ) -> pb.FinishRunResponse:
        with self._db.write() as tx:
            run.finish(tx, request)
        return pb.FinishRunResponse(run=self._present(request.run_id))

    def ResumeRun(
        self, request: pb.ResumeRunRequest, context: ServicerContext
    ) -> pb.ResumeRunResponse:
        with self._db.write() as tx:
            run.resume(tx, request.run_id)
        return pb.ResumeRunResponse(run=self._present(request.run_id))

    def StopRun(self, request: pb.StopRunRequest, context: ServicerContext) -> pb.StopRunResponse:
        with self._db.write() as tx:
            run.stop(tx, request.run_id, request.reason)
        return pb.StopRunResponse(run=self._present(request.run_id))

    def DeleteRun(
        self, request: pb.DeleteRunRequest, context: ServicerContext
    ) -> pb.DeleteRunResponse:
        with self._db.write() as tx:
            run.delete(tx, request.run_id, request.etag)
        return pb.DeleteRunResponse(run=self._present(request.run_id))

    def RestoreRun(
        self, request: pb.RestoreRunRequest, context: ServicerContext
    ) -> pb.RestoreRunResponse:
        with self._db.write() as tx:
            run.restore(tx, request.run_id)
        return pb.RestoreRunResponse(run=self._present(request.run_id))

    def WatchRuns(
        self, request: pb.WatchRunsRequest, context: ServicerContext
    ) -> Iterator[pb.WatchRunsResponse]:
        live = Live(Watch(self._db, request), self._pulse, self._drain, lasts_s(context))
        context.add_callback(live.cancel)
        return live.events()

    def _present(self, run_id: str, view: pb.RunView = pb.RUN_VIEW_FULL) -> Run:
        """The run as it is now; nothing of a run is shown before its metrics are refreshed."""
        with self._db.read() as tx:
            fresh = run.get_fresh(tx, run_id, view)
        if fresh is not None:
            return fresh
        self._engine.refresh(run_ids=[run_id])
        with self._db.read() as tx:
            return run.get(tx, run_id, view)
