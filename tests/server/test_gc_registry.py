"""Models and versions that are in the trash for long enough go for good, and nothing else."""

from __future__ import annotations

import threading

import pytest
from google.protobuf.field_mask_pb2 import FieldMask
from runwire.v1 import registry_service_pb2 as pb
from runwire.v1.artifact_pb2 import Artifact, ModelVersionKey
from runwire.v1.model_pb2 import Model, ModelEvent
from runwire_server import errors, gc_registry
from runwire_server.inprocess import InProcessContext
from runwire_server.services.model import RegistryService
from runwire_server.store import model_purge, scan
from runwire_server.store.database import Database
from runwire_server.store.registry import Registry
from runwire_server.store.tables import metadata

from server.batches import counted

KEPT = {"model_events", "registry_revisions", "experiments", "alembic_version"}
CALL = InProcessContext(None, ())


class Killed(BaseException):
    pass


@pytest.fixture
def service(db: Database) -> RegistryService:
    return RegistryService(db, Registry(db), threading.Event())


def publish(service: RegistryService, model: str, versions: int = 3) -> None:
    """A model with something in every table."""
    files = [Artifact(path=f"a/{number}", uri="s3://kept/x") for number in range(3)]
    for number in range(versions):
        request = pb.CreateModelVersionRequest(
            model=model,
            create_model=True,
            artifacts=files,
            tags={"number": str(number)},
            aliases=[f"a{number}"],
        )
        service.CreateModelVersion(request, CALL)
    tagged = pb.UpdateModelRequest(
        model=Model(name=model, tags={"team": "risk"}), update_mask=FieldMask(paths=["tags"])
    )
    service.UpdateModel(tagged, CALL)


def delete(service: RegistryService, model: str, version: int = 0) -> None:
    if version:
        key = ModelVersionKey(model=model, version=version)
        service.DeleteModelVersion(pb.DeleteModelVersionRequest(key=key), CALL)
    else:
        service.DeleteModel(pb.DeleteModelRequest(name=model), CALL)


def rows(db: Database) -> dict[str, int]:
    return {
        table.name: found
        for table in metadata.sorted_tables
        if table.name not in KEPT and (found := counted(db, table))
    }


def test_deleted_model_leaves_its_history_and_its_neighbour_everything(
    db: Database, service: RegistryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "PAGE", 2)
    publish(service, "kept")
    before = rows(db)
    publish(service, "fraud")
    delete(service, "fraud")
    told: list[str] = []
    assert gc_registry.collect(db, 3600.0) == (0, 0)  # not old enough
    assert gc_registry.collect(db, 0.0, dry_run=True, on_removed=told.append) == (1, 0)
    assert told == ["fraud"]
    assert gc_registry.collect(db, 0.0) == (1, 0)
    assert rows(db) == before
    with pytest.raises(errors.NotFound):
        service.RestoreModel(pb.RestoreModelRequest(name="fraud"), CALL)
    events = service.ListModelEvents(pb.ListModelEventsRequest(model="fraud"), CALL).events
    assert events[0].kind == ModelEvent.KIND_MODEL_DELETED
    assert gc_registry.collect(db, 0.0) == (0, 0)


def test_deleted_versions_go_and_their_numbers_stay_used(
    db: Database, service: RegistryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan, "PAGE", 1)
    publish(service, "fraud", versions=4)
    for version in (2, 3, 4):
        delete(service, "fraud", version)
    told: list[str] = []
    assert gc_registry.collect(db, 0.0, on_removed=told.append) == (0, 3)
    assert told == ["fraud/2", "fraud/3", "fraud/4"]
    assert (rows(db)["model_versions"], rows(db)["artifacts"]) == (1, 3)
    for version in (2, 4):
        key = ModelVersionKey(model="fraud", version=version)
        with pytest.raises(errors.NotFound):
            service.RestoreModelVersion(pb.RestoreModelVersionRequest(key=key), CALL)
    publish(service, "fraud", versions=1)
    model = service.GetModel(pb.GetModelRequest(name="fraud"), CALL).model
    assert model.latest_version == 5


def test_restored_model_and_version_are_kept(db: Database, service: RegistryService) -> None:
    publish(service, "fraud")
    delete(service, "fraud", 2)
    key = ModelVersionKey(model="fraud", version=2)
    service.RestoreModelVersion(pb.RestoreModelVersionRequest(key=key), CALL)
    delete(service, "fraud")
    service.RestoreModel(pb.RestoreModelRequest(name="fraud"), CALL)
    before = rows(db)
    assert gc_registry.collect(db, 0.0) == (0, 0)
    assert rows(db) == before


def test_model_restored_after_it_was_found_is_kept(db: Database, service: RegistryService) -> None:
    publish(service, "fraud", versions=2)
    delete(service, "fraud", 2)
    with db.read() as tx:
        (key,) = model_purge.purgeable_versions(tx, tx.now, ("", 0), 10)
    restored = ModelVersionKey(model="fraud", version=2)
    service.RestoreModelVersion(pb.RestoreModelVersionRequest(key=restored), CALL)
    with db.write() as tx:
        assert not model_purge.purge_version(tx, key, tx.now)
        assert not model_purge.begin(tx, key[0], tx.now)
    assert rows(db)["model_versions"] == 2


def test_gc_that_was_killed_goes_on_and_the_model_cannot_be_restored(
    db: Database, service: RegistryService, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(service, "fraud")
    delete(service, "fraud")

    def die(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(model_purge, "remaining", die)
        with pytest.raises(Killed):
            gc_registry.collect(db, 0.0)
    with pytest.raises(errors.NotFound):
        service.RestoreModel(pb.RestoreModelRequest(name="fraud"), CALL)
    listed = pb.SearchModelsRequest(show_deleted=True)
    assert not service.SearchModels(listed, CALL).models
    assert gc_registry.collect(db, 0.0) == (1, 0)
    assert {name for name in rows(db) if name.startswith("model")} == set()
