"""What is kept of a registry in memory is what the database says, whoever changes it."""

from __future__ import annotations

import threading
from contextlib import suppress
from functools import partial
from typing import Any

import pytest
import sqlalchemy as sa
from google.protobuf.field_mask_pb2 import FieldMask
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire.v1 import registry_service_pb2 as pb
from runwire.v1.artifact_pb2 import ModelVersionKey
from runwire.v1.model_pb2 import Model
from runwire_server import errors
from runwire_server.store import model_event, model_snapshot
from runwire_server.store.database import Announcement, Database, Transaction
from runwire_server.store.model_answers import Answers
from runwire_server.store.model_resolve import Answer
from runwire_server.store.model_snapshot import ModelSnapshot
from runwire_server.store.tables import models, registry_revisions

from server.registries import NAMES, Queries, Service, operation, other, service

__all__ = ["other", "service"]

REFERENCES = [
    f"{name}{selector}"
    for name in (*NAMES, "other")
    for selector in ("@champion", "@challenger", "/1", "/2", "/latest", "/production", "/none")
] + ["not a reference"]


@settings(max_examples=30)
@given(
    steps=st.lists(
        st.tuples(operation, st.booleans(), st.lists(st.sampled_from(REFERENCES))), max_size=25
    )
)
def test_snapshot_answers_as_the_database_after_any_changes(
    service: Service, other: Service, db: Database, steps: Any
) -> None:
    """Changed here or by another server, asked for now or later: the same as asked afresh."""
    for (method, fields), elsewhere, references in steps:
        with suppress(errors.ServiceError):
            getattr(other if elsewhere else service, method)(**fields)
        with db.read() as tx:
            revision = model_event.current(tx, "default")
            marked = tx.execute(sa.select(sa.func.max(models.c.revision))).scalar()
        assert marked is None or marked == revision, "every change marks its model"
        asked_afresh = ModelSnapshot(db).resolve(references, "")
        kept = service.resolve(references, min_revision=revision)
        assert kept == pb.ResolveModelsResponse.FromString(asked_afresh)


def test_known_answers_cost_no_statement(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_snapshot, "DUE_S", 60.0)
    monkeypatch.setattr(model_snapshot, "STALE_S", 60.0)
    service.publish(aliases=["champion"])
    references = ["m@champion", "m/2", "nothing@all", "no reference"]
    first = service.resolve(references)
    queries = Queries(db)
    for _ in range(50):
        assert service.resolve(references) == first
    assert queries.count == 0


def test_change_of_one_model_leaves_the_answers_of_others(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_snapshot, "DUE_S", 60.0)
    monkeypatch.setattr(model_snapshot, "STALE_S", 60.0)
    for number in range(20):
        service.publish(f"m{number}")
    references = [f"m{number}/latest" for number in range(20)]
    service.resolve(references)
    service.publish("m7")
    queries = Queries(db)
    assert service.resolve(references).resolved[7].model_version.version == 2
    assert queries.count < 20


def test_change_at_another_server_is_seen_at_once_with_its_revision(
    service: Service, other: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_snapshot, "DUE_S", 60.0)
    monkeypatch.setattr(model_snapshot, "STALE_S", 60.0)
    for _ in range(2):
        service.publish(aliases=["champion"])
    assert service.resolve(["m@champion"]).resolved[0].model_version.version == 2
    moved = other.SetModelAlias(model="m", alias="champion", version=1)
    assert service.resolve(["m@champion"]).resolved[0].model_version.version == 2
    found = service.resolve(["m@champion"], min_revision=moved.revision)
    assert found.resolved[0].model_version.version == 1
    assert found.revision == moved.revision


def test_change_at_another_server_is_seen_when_the_snapshot_is_stale(
    service: Service, other: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_snapshot, "DUE_S", 0.0)
    monkeypatch.setattr(model_snapshot, "STALE_S", 0.0)
    for _ in range(2):
        service.publish(aliases=["champion"])
    for turn in range(20):
        version = turn % 2 + 1
        other.SetModelAlias(model="m", alias="champion", version=version)
        assert service.resolve(["m@champion"]).resolved[0].model_version.version == version


def test_own_changes_are_seen_by_all_threads_at_once(service: Service) -> None:
    for _ in range(2):
        service.publish(aliases=["champion"])
    acknowledged = [0]
    stop, faults = threading.Event(), []

    def read() -> None:
        while not stop.is_set():
            least = acknowledged[0]
            found = service.resolve(["m@champion"])
            if found.revision < least:
                faults.append((found.revision, least))

    readers = [threading.Thread(target=read) for _ in range(4)]
    for reader in readers:
        reader.start()
    for turn in range(100):
        moved = service.SetModelAlias(model="m", alias="champion", version=turn % 2 + 1)
        acknowledged[0] = moved.revision
    stop.set()
    for reader in readers:
        reader.join()
    assert faults == []


def test_what_an_older_call_brings_does_not_hide_what_a_newer_one_has_seen(
    service: Service, db: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(2):
        service.publish(aliases=["champion"])
    snapshot, references, current = ModelSnapshot(db), ["m@champion"], model_event.current
    snapshot.resolve(references, "")
    known = snapshot._known("default")
    service.SetModelAlias(model="m", alias="champion", version=1)
    older = threading.Thread(target=snapshot._ask, args=(known, references, [None], known.revision))
    has_read, may_end, is_moved = threading.Event(), threading.Event(), threading.Event()

    def interleaved(tx: Transaction, workspace: str) -> int:
        revision = current(tx, workspace)
        if threading.current_thread() is older:
            has_read.set()
            assert may_end.wait(120)
        elif is_moved.is_set():
            may_end.set()
            older.join()
        return revision

    monkeypatch.setattr(model_event, "current", interleaved)
    older.start()
    assert has_read.wait(120)
    moved = service.SetModelAlias(model="m", alias="champion", version=2)
    is_moved.set()
    found = pb.ResolveModelsResponse.FromString(snapshot.resolve(references, ""))
    assert found.revision == moved.revision
    assert found.resolved[0].model_version.version == 2


def test_registry_that_went_back_is_known_anew(service: Service, db: Database) -> None:
    """A database restored from a backup under a running server."""
    for _ in range(2):
        service.publish(aliases=["champion"])
    revision = service.resolve(["m@champion"]).revision
    with db.write() as tx:
        tx.execute(sa.update(models).values(name="restored"))
        tx.execute(sa.update(registry_revisions).values(revision=revision - 1))
        tx.announce(model_event.REGISTRY, "default")
    assert service.resolve(["m@champion"]).resolved[0].fault.reason == "NOT_FOUND"
    with pytest.raises(errors.RevisionAhead):
        service.resolve([], min_revision=revision)


def test_more_workspaces_than_are_kept_do_no_harm(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_snapshot, "MAX_WORKSPACES", 3)
    for turn in range(3):
        for number in range(8):
            workspace = f"w{number}"
            service.publish(workspace=workspace)
            found = service.resolve(["m/latest"], workspace=workspace)
            assert found.resolved[0].model_version.version == turn + 1


def test_answers_are_bounded_and_the_longest_unused_go_first() -> None:
    answers, scope = Answers(max_bytes=20_000), object()
    for number in range(100):
        answers.put(scope, f"m/{number}", Answer(bytes(1000), 1000, "m", "id"))
        assert answers.get(scope, "m/0") is not None
    kept = [number for number in range(100) if answers.get(scope, f"m/{number}")]
    assert kept == [0, *range(92, 100)]
    answers.drop(scope, "id")
    assert not any(answers.get(scope, f"m/{number}") for number in range(100))
    assert answers.get(object(), "m/0") is None


def test_what_a_repeat_is_told_is_seen_before_the_first_call_ends(
    service: Service, db: Database
) -> None:
    for _ in range(2):
        service.publish(aliases=["champion"])
    service.resolve(["m@champion"])
    move = partial(service.SetModelAlias, model="m", alias="champion", version=1)
    first, is_late, may_end = threading.Thread(target=move), threading.Event(), threading.Event()
    listen = db._listeners[0]

    def late(change: Announcement) -> None:
        if threading.current_thread() is first:
            is_late.set()
            assert may_end.wait(120)
        listen(change)

    db._listeners[0] = late
    first.start()
    assert is_late.wait(120)
    assert move().previous_version == 1
    assert service.resolve(["m@champion"]).resolved[0].model_version.version == 1
    may_end.set()
    first.join()


def test_copy_names_its_source_as_it_is_called_now(service: Service) -> None:
    service.publish("a")
    source = ModelVersionKey(model="a", version=1)
    service.CreateModelVersion(model="copy", create_model=True, source_version=source)
    service.resolve(["copy/1"])
    renaming = FieldMask(paths=["name"])
    service.UpdateModel(model=Model(name="a"), new_name="b", update_mask=renaming)
    found = service.resolve(["copy/1"]).resolved[0].model_version
    assert found.source_version == ModelVersionKey(model="b", version=1, workspace="default")


def test_alias_that_cannot_be_stored_is_that_references_fault(service: Service) -> None:
    service.publish(aliases=["champion"])
    good, bad = service.resolve(["m@champion", "m@a\0"]).resolved
    assert good.model_version.version == 1
    assert bad.fault.reason == "FIELD_INVALID"
