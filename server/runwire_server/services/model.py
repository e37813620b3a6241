"""The model registry: models, versions, aliases, stages, references and their history."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import cast

from grpc import ServicerContext
from runwire.v1 import registry_service_pb2 as pb
from runwire.v1.registry_service_pb2_grpc import RegistryServiceServicer

from runwire_server.services.caller import user_of
from runwire_server.services.lifetime import lasts_s
from runwire_server.store import (
    model,
    model_alias,
    model_event,
    model_lineage,
    model_restore,
    model_stage,
    model_version,
)
from runwire_server.store.database import Database, Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.registry import Registry
from runwire_server.store.times import from_proto


class RegistryService(RegistryServiceServicer):
    def __init__(self, db: Database, registry: Registry, drain: threading.Event):
        self._db, self._registry, self._drain = db, registry, drain

    @contextmanager
    def _writing(self, workspace: str) -> Iterator[Transaction]:
        """Its end is announced also where it has found its work done: the call that did it
        may not have come to that yet, and what is acknowledged must be seen."""
        with self._db.write() as tx:
            tx.announce(model_event.REGISTRY, workspace_of(workspace))
            yield tx

    def CreateModel(
        self, request: pb.CreateModelRequest, context: ServicerContext
    ) -> pb.CreateModelResponse:
        with self._writing(request.workspace) as tx:
            created, existed = model.create(tx, request, actor=user_of(context))
            return pb.CreateModelResponse(model=created, existed=existed)

    def GetModel(
        self, request: pb.GetModelRequest, context: ServicerContext
    ) -> pb.GetModelResponse:
        with self._db.read() as tx:
            return pb.GetModelResponse(model=model.get(tx, request.name, request.workspace))

    def SearchModels(
        self, request: pb.SearchModelsRequest, context: ServicerContext
    ) -> pb.SearchModelsResponse:
        with self._db.read() as tx:
            models, token = model.search(tx, request)
            return pb.SearchModelsResponse(models=models, next_page_token=token)

    def UpdateModel(
        self, request: pb.UpdateModelRequest, context: ServicerContext
    ) -> pb.UpdateModelResponse:
        with self._writing(request.model.workspace) as tx:
            updated = model.update(tx, request, actor=user_of(context))
            return pb.UpdateModelResponse(model=updated)

    def DeleteModel(
        self, request: pb.DeleteModelRequest, context: ServicerContext
    ) -> pb.DeleteModelResponse:
        with self._writing(request.workspace) as tx:
            model.delete(tx, request, actor=user_of(context))
            return pb.DeleteModelResponse()

    def RestoreModel(
        self, request: pb.RestoreModelRequest, context: ServicerContext
    ) -> pb.RestoreModelResponse:
        with self._writing(request.workspace) as tx:
            restored, existed = model_restore.restore(tx, request, actor=user_of(context))
            return pb.RestoreModelResponse(model=restored, existed=existed)

    def CreateModelVersion(
        self, request: pb.CreateModelVersionRequest, context: ServicerContext
    ) -> pb.CreateModelVersionResponse:
        with self._writing(request.workspace) as tx:
            created, existed = model_version.create(tx, request, actor=user_of(context))
            return pb.CreateModelVersionResponse(model_version=created, existed=existed)

    def GetModelVersion(
        self, request: pb.GetModelVersionRequest, context: ServicerContext
    ) -> pb.GetModelVersionResponse:
        with self._db.read() as tx:
            found = model_version.get(tx, request.key)
            return pb.GetModelVersionResponse(model_version=found)

    def SearchModelVersions(
        self, request: pb.SearchModelVersionsRequest, context: ServicerContext
    ) -> pb.SearchModelVersionsResponse:
        with self._db.read() as tx:
            versions, token = model_version.search(tx, request)
            return pb.SearchModelVersionsResponse(model_versions=versions, next_page_token=token)

    def UpdateModelVersion(
        self, request: pb.UpdateModelVersionRequest, context: ServicerContext
    ) -> pb.UpdateModelVersionResponse:
        with self._writing(request.model_version.workspace) as tx:
            updated = model_version.update(tx, request, actor=user_of(context))
            return pb.UpdateModelVersionResponse(model_version=updated)

    def DeleteModelVersion(
        self, request: pb.DeleteModelVersionRequest, context: ServicerContext
    ) -> pb.DeleteModelVersionResponse:
        with self._writing(request.key.workspace) as tx:
            model_version.delete(tx, request, actor=user_of(context))
            return pb.DeleteModelVersionResponse()

    def RestoreModelVersion(
        self, request: pb.RestoreModelVersionRequest, context: ServicerContext
    ) -> pb.RestoreModelVersionResponse:
        with self._writing(request.key.workspace) as tx:
            restored = model_restore.restore_version(
                tx, request.key, comment=request.comment, actor=user_of(context)
            )
            return pb.RestoreModelVersionResponse(model_version=restored)

    def SetModelAlias(
        self, request: pb.SetModelAliasRequest, context: ServicerContext
    ) -> pb.SetModelAliasResponse:
        with self._writing(request.workspace) as tx:
            before, revision = model_alias.set_alias(tx, request, actor=user_of(context))
            return pb.SetModelAliasResponse(previous_version=before, revision=revision)

    def DeleteModelAlias(
        self, request: pb.DeleteModelAliasRequest, context: ServicerContext
    ) -> pb.DeleteModelAliasResponse:
        with self._writing(request.workspace) as tx:
            revision = model_alias.delete_alias(tx, request, actor=user_of(context))
            return pb.DeleteModelAliasResponse(revision=revision)

    def RollbackModelAlias(
        self, request: pb.RollbackModelAliasRequest, context: ServicerContext
    ) -> pb.RollbackModelAliasResponse:
        with self._writing(request.workspace) as tx:
            return model_alias.rollback_alias(tx, request, actor=user_of(context))

    def TransitionModelVersion(
        self, request: pb.TransitionModelVersionRequest, context: ServicerContext
    ) -> pb.TransitionModelVersionResponse:
        with self._writing(request.key.workspace) as tx:
            moved = model_stage.transition(tx, request, actor=user_of(context))
            return pb.TransitionModelVersionResponse(model_version=moved)

    def ResolveModels(
        self, request: pb.ResolveModelsRequest, context: ServicerContext
    ) -> pb.ResolveModelsResponse:
        at = from_proto("at", request.at) if request.HasField("at") else None
        found = self._registry.resolve(
            request.references, request.workspace, request.min_revision, at
        )
        return cast(pb.ResolveModelsResponse, found)

    def ListModelEvents(
        self, request: pb.ListModelEventsRequest, context: ServicerContext
    ) -> pb.ListModelEventsResponse:
        with self._db.read() as tx:
            events, token = model_event.list_events(tx, request)
            return pb.ListModelEventsResponse(events=events, next_page_token=token)

    def QueryLineage(
        self, request: pb.QueryLineageRequest, context: ServicerContext
    ) -> pb.QueryLineageResponse:
        with self._db.read() as tx:
            return model_lineage.query(tx, request)

    def WatchModels(
        self, request: pb.WatchModelsRequest, context: ServicerContext
    ) -> Iterator[pb.WatchModelsResponse]:
        watching = self._registry.watch(request, self._drain, lasts_s(context))
        context.add_callback(watching.cancel)
        return cast(Iterator[pb.WatchModelsResponse], watching.events())
