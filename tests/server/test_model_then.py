"""Time travel against what was recorded at the time, over random histories of one model."""

from __future__ import annotations

import threading
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire.v1 import registry_service_pb2 as pb
from runwire.v1.artifact_pb2 import ModelVersionKey
from runwire_server.errors import ServiceError
from runwire_server.inprocess import InProcessContext
from runwire_server.services.model import RegistryService
from runwire_server.store.database import Database
from runwire_server.store.registry import Registry as InMemory
from runwire_server.store.tables import metadata

ALIASES = ("a", "b")
STAGES = ("none", "staging", "production", "archived")
REFERENCES = [
    *(f"m@{alias}" for alias in ALIASES),
    *(f"m/{stage}" for stage in STAGES),
    *(f"m/{number}" for number in range(1, 6)),
    "m/latest",
]
CALL = InProcessContext(None, ())

versions = st.integers(1, 5)
aliases = st.sampled_from(ALIASES)
changes = st.lists(
    st.one_of(
        st.just(("publish",)),
        st.tuples(st.just("alias"), aliases, versions),
        st.tuples(st.just("unalias"), aliases),
        st.tuples(st.just("rollback"), aliases),
        st.tuples(st.just("stage"), versions, st.sampled_from(STAGES), st.booleans()),
        st.tuples(st.just("delete"), versions),
        st.tuples(st.just("restore"), versions),
        st.just(("trash",)),
    ),
    min_size=1,
    max_size=25,
)


class Registry:
    """The changes of a history, by their names above."""

    def __init__(self, service: RegistryService):
        self._service = service
        self.publish()

    def publish(self) -> None:
        request = pb.CreateModelVersionRequest(model="m", source_uri="s3://x", create_model=True)
        self._service.CreateModelVersion(request, CALL)

    def alias(self, alias: str, version: int) -> None:
        request = pb.SetModelAliasRequest(model="m", alias=alias, version=version)
        self._service.SetModelAlias(request, CALL)

    def unalias(self, alias: str) -> None:
        self._service.DeleteModelAlias(pb.DeleteModelAliasRequest(model="m", alias=alias), CALL)

    def rollback(self, alias: str) -> None:
        request = pb.RollbackModelAliasRequest(model="m", alias=alias)
        self._service.RollbackModelAlias(request, CALL)

    def stage(self, version: int, stage: str, archive_others: bool) -> None:
        request = pb.TransitionModelVersionRequest(
            key=_key(version), to_stage=stage, archive_others=archive_others
        )
        self._service.TransitionModelVersion(request, CALL)

    def delete(self, version: int) -> None:
        self._service.DeleteModelVersion(pb.DeleteModelVersionRequest(key=_key(version)), CALL)

    def restore(self, version: int) -> None:
        self._service.RestoreModelVersion(pb.RestoreModelVersionRequest(key=_key(version)), CALL)

    def trash(self) -> None:
        self._service.DeleteModel(pb.DeleteModelRequest(name="m"), CALL)
        self._service.RestoreModel(pb.RestoreModelRequest(name="m"), CALL)

    def meant(self, at: Timestamp | None = None) -> dict[str, int]:
        """Of every reference the version, or 0."""
        request = pb.ResolveModelsRequest(references=REFERENCES, at=at)
        found: Any = self._service.ResolveModels(request, CALL)
        resolved = pb.ResolveModelsResponse.FromString(found).resolved
        return {one.reference: one.model_version.version for one in resolved}

    def last_time(self) -> Timestamp:
        request = pb.ListModelEventsRequest(model="m", page_size=1)
        return self._service.ListModelEvents(request, CALL).events[0].time


def _key(version: int) -> ModelVersionKey:
    return ModelVersionKey(model="m", version=version)


def _empty(db: Database) -> None:
    with db.write() as tx:
        for table in metadata.sorted_tables:
            if table.name.startswith(("model", "registry")):
                tx.execute(table.delete())


@settings(max_examples=30)
@given(history=changes)
def test_past_is_as_it_was_recorded(db: Database, history: list[tuple[Any, ...]]) -> None:
    _empty(db)
    registry = Registry(RegistryService(db, InMemory(db), threading.Event()))
    recorded = [(registry.last_time(), registry.meant())]
    for name, *arguments in history:
        try:
            getattr(registry, name)(*arguments)
        except ServiceError:
            continue  # there was nothing to do it with
        recorded.append((registry.last_time(), registry.meant()))
    for time, meant in recorded:
        assert registry.meant(time) == meant
