"""ModelWatcher's own part: callbacks, its file, its threads, forks."""

from __future__ import annotations

import json
import logging
import multiprocessing
import os
import queue
import threading
from pathlib import Path
from typing import Any

import pytest
import runwire
from runwire._model_change import Announcer, Meaning, ModelChange
from runwire._model_file import ModelFile
from runwire.registry import ModelWatcher
from runwire.v1.common_pb2 import Fault
from runwire.v1.model_pb2 import ModelVersion
from runwire.v1.registry_service_pb2 import ResolveModelsResponse

REFERENCE = "fraud@champion"


def publish(client: runwire.Client) -> int:
    made = client.models.create_version(
        "fraud", source_uri="s3://elsewhere/model", create_model=True, aliases=["champion"]
    )
    return made.version


def meaning(version: int) -> dict[str, Meaning]:
    return {REFERENCE: ModelVersion(model="fraud", version=version)}


def versions(change: ModelChange) -> tuple[int | None, int | None]:
    before, now = change.before, change.now
    return before.version if before else None, now.version if now else None


def test_callback_that_raises_is_logged_and_called_again(
    client: runwire.Client, caplog: pytest.LogCaptureFixture
) -> None:
    told: queue.Queue[ModelChange] = queue.Queue()

    def on_change(change: ModelChange) -> None:
        told.put(change)
        raise ValueError("the caller's own fault")

    publish(client)
    with (
        caplog.at_level(logging.ERROR, "runwire"),
        ModelWatcher([REFERENCE], uri=client.tracking_uri, on_change=on_change),
    ):
        assert versions(told.get(timeout=120)) == (None, 1)
        publish(client)
        assert versions(told.get(timeout=120)) == (1, 2)
    assert "the caller's own fault" in caplog.text


def test_changes_during_a_callback_are_told_as_one_and_not_where_they_cancel_out() -> None:
    told: queue.Queue[ModelChange] = queue.Queue()
    may_go_on = threading.Semaphore(0)

    def on_change(change: ModelChange) -> None:
        told.put(change)
        assert may_go_on.acquire(timeout=120)

    announcer = Announcer(on_change)
    announcer.tell(meaning(1))
    assert versions(told.get(timeout=120)) == (None, 1)
    for version in (2, 3, 4):
        announcer.tell(meaning(version))
    may_go_on.release()
    assert versions(told.get(timeout=120)) == (1, 4)
    announcer.tell(meaning(5))
    announcer.tell(meaning(4))
    announcer.tell(meaning(4) | {"fraud@other": Fault(reason="NOT_FOUND")})
    may_go_on.release()
    change = told.get(timeout=120)
    assert change.reference == "fraud@other"
    assert isinstance(change.error, runwire.NotFoundError)
    may_go_on.release()
    announcer.close()
    assert told.empty()


def test_watcher_may_be_closed_by_its_callback(client: runwire.Client) -> None:
    publish(client)
    opened, closed = threading.Event(), threading.Event()

    def on_change(_change: ModelChange) -> None:
        assert opened.wait(120)
        models.wait_ready(30)
        models.close()
        closed.set()

    models = ModelWatcher([REFERENCE], uri=client.tracking_uri, on_change=on_change)
    opened.set()
    assert closed.wait(120)
    assert models.get(REFERENCE).version == 1
    models.close()


def test_closed_watcher_leaves_no_thread(client: runwire.Client) -> None:
    publish(client)
    for _ in range(3):
        with ModelWatcher([REFERENCE], uri=client.tracking_uri, on_change=print) as models:
            models.wait_ready(30)
    left = [thread.name for thread in threading.enumerate() if "runwire-models" in thread.name]
    assert left == []
    assert not models.connected


def test_get_from_the_file_needs_no_server(tmp_path: Path) -> None:
    path = tmp_path / "models.json"
    answer = ResolveModelsResponse(revision=7)
    answer.resolved.add(reference=REFERENCE).model_version.version = 3
    answer.resolved.add(reference="fraud@none").fault.reason = "NOT_FOUND"
    uri = "grpc://127.0.0.1:1"
    ModelFile(path, uri, "default").save(answer, 1.0)
    ModelFile(path, uri, "").save(answer, 1.0)
    with ModelWatcher([REFERENCE, "fraud@none"], uri=uri, path=path) as models:
        assert models.wait_ready(0)
        assert models.get(REFERENCE).version == 3
        with pytest.raises(runwire.NotFoundError):
            models.get("fraud@none")
        assert models.age_s is not None
        assert models.age_s > 1e6
        assert not models.connected


@pytest.mark.parametrize("damage", ["", "{", "[]", '{"answer": 7}', "\x00\xff", "of another"])
def test_damaged_file_is_no_answer_and_no_error(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "models.json"
    path.write_bytes(damage.encode("latin-1"))
    if damage == "of another":
        ModelFile(path, "grpc://another:1", "").save(ResolveModelsResponse(), 1.0)
    assert ModelFile(path, "grpc://127.0.0.1:1", "").load() is None


def test_file_that_cannot_be_written_is_logged(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING, "runwire"):
        kept = ModelFile(tmp_path / "file" / "models.json", "grpc://x:1", "")
        kept.save(ResolveModelsResponse(), 1.0)
    assert "cannot be written" in caplog.text


def test_file_is_replaced_as_a_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    kept = ModelFile(tmp_path / "models.json", "grpc://x:1", "")
    for revision in range(3):
        kept.save(ResolveModelsResponse(revision=revision), 1.0)
        loaded = kept.load()
        assert loaded is not None
        assert loaded.answer.revision == revision
    assert [each.name for each in tmp_path.iterdir()] == ["models.json"]
    assert json.loads((tmp_path / "models.json").read_text())["confirmed"] == 1.0


def _in_child(models: ModelWatcher, told: Any) -> None:
    told.put(models.get(REFERENCE).version)
    while models.get(REFERENCE).version != 2:
        threading.Event().wait(0.01)
    told.put(models.get(REFERENCE).version)
    models.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_child_of_a_fork_follows_by_itself(server: Any, client: runwire.Client) -> None:
    publish(client)
    context = multiprocessing.get_context("fork")
    with ModelWatcher([REFERENCE], uri=server.uri) as models:
        assert models.wait_ready(30)
        told = context.Queue()
        child = context.Process(target=_in_child, args=(models, told))
        child.start()
        assert told.get(timeout=120) == 1
        publish(client)
        assert told.get(timeout=120) == 2
        child.join(120)
        assert child.exitcode == 0
