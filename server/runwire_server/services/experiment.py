"""ExperimentService over the store."""

from __future__ import annotations

from grpc import ServicerContext
from runwire.v1 import experiment_service_pb2 as pb
from runwire.v1.experiment_service_pb2_grpc import ExperimentServiceServicer

from runwire_server.store import experiment
from runwire_server.store.database import Database


class ExperimentService(ExperimentServiceServicer):
    def __init__(self, db: Database):
        self._db = db

    def CreateExperiment(
        self, request: pb.CreateExperimentRequest, context: ServicerContext
    ) -> pb.CreateExperimentResponse:
        with self._db.write() as tx:
            created, existed = experiment.create(tx, request)
            return pb.CreateExperimentResponse(experiment=created, existed=existed)

    def GetExperiment(
        self, request: pb.GetExperimentRequest, context: ServicerContext
    ) -> pb.GetExperimentResponse:
        with self._db.read() as tx:
            found = experiment.get(
                tx,
                experiment_id=request.experiment_id,
                name=request.name,
                workspace=request.workspace,
            )
            return pb.GetExperimentResponse(experiment=found)

    def SearchExperiments(
        self, request: pb.SearchExperimentsRequest, context: ServicerContext
    ) -> pb.SearchExperimentsResponse:
        with self._db.read() as tx:
            found, token = experiment.search(tx, request)
            return pb.SearchExperimentsResponse(experiments=found, next_page_token=token)

    def UpdateExperiment(
        self, request: pb.UpdateExperimentRequest, context: ServicerContext
    ) -> pb.UpdateExperimentResponse:
        with self._db.write() as tx:
            updated = experiment.update(tx, request.experiment, request.update_mask)
            return pb.UpdateExperimentResponse(experiment=updated)

    def DeleteExperiment(
        self, request: pb.DeleteExperimentRequest, context: ServicerContext
    ) -> pb.DeleteExperimentResponse:
        with self._db.write() as tx:
            deleted = experiment.delete(tx, request.experiment_id, request.etag)
            return pb.DeleteExperimentResponse(experiment=deleted)

    def RestoreExperiment(
        self, request: pb.RestoreExperimentRequest, context: ServicerContext
    ) -> pb.RestoreExperimentResponse:
        with self._db.write() as tx:
            restored = experiment.restore(tx, request.experiment_id)
            return pb.RestoreExperimentResponse(experiment=restored)
