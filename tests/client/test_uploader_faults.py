"""Faults of the machine around an uploader: they cost time at most, and never data."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import resource
import select
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from runwire import (
    _uploader_artifacts,
    _uploader_delivery,
    _uploader_loop,
    _waiting,
)
from runwire._artifact import Artifacts
from runwire._call import Caller
from runwire._connect import Connection, connect
from runwire._errors import (
    InternalError,
    PermissionDeniedError,
    RunwireError,
    UnauthenticatedError,
    UnavailableError,
)
from runwire._journal import Journal
from runwire._journal_format import CREATE
from runwire._journal_place import place
from runwire._journal_refused import read_refused
from runwire._journal_status import RUN_REFUSED
from runwire._run import Runs
from runwire._uploader import journals, sync
from runwire._uploader_delivery import MAX_FAULTS, Delivery
from runwire._uploader_link import Link
from runwire._uploader_outbox import Event, Outbox
from runwire._uploader_report import Report
from runwire._uploader_trainer import Trainer
from runwire.v1.run_pb2 import Run

from client.deliveries import (
    OFFLINE,
    deliver,
    new_id,
    new_run,
    now_micros,
    stored,
    uploader,
)

# Far more than any of it takes: a test that fails must still end.
PATIENCE_S = 120.0


def ends(work: Callable[[], bool]) -> bool:
    """What the work returns; it fails where that is never."""
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(work()), daemon=True)
    thread.start()
    thread.join(PATIENCE_S)
    assert not thread.is_alive(), "it hangs"
    return results[0]


def rewrite(directory: Path, **changes: Any) -> dict[str, Any]:
    """Change what a journal says of where its trainer runs."""
    path = directory / "meta.json"
    meta: dict[str, Any] = json.loads(path.read_text()) | changes
    path.write_text(json.dumps(meta))
    return meta


# Where the trainer runs -------------------------------------------------------------

# A process that is not there, whoever asks.
NO_PROCESS = {"pid": 2**22 + 1, "process_start": "1"}
CONTAINER = {**place(), "pid_namespace": "pid:[1]"}
OTHER_HOST = {**place(), "host": "elsewhere", "boot_id": "another boot"}
OTHER_MACHINE = {**place(), "machine_id": "another", "boot_id": "another boot"}
BEFORE_REBOOT = {**place(), "pid_namespace": "pid:[1]", "boot_id": "another boot"}


def open_run(tmp_path: Path, where: dict[str, str]) -> tuple[Journal, str]:
    """A journal whose trainer was not heard of again, or runs on where we cannot look."""
    journal = Journal.open(tmp_path / "journals", str(tmp_path / "data"), settings=OFFLINE)
    run = new_run(journal)
    run.log_metrics({"loss": 1.0}, 1, 1)
    rewrite(journal.directory, **NO_PROCESS, **where)
    return journal, run.run_id


def state_of(tmp_path: Path, run_id: str) -> int:
    with closing(connect(tmp_path / "data")) as connection:
        return int(Runs(Caller(connection)).get(run_id).state)


@pytest.mark.parametrize("where", [CONTAINER, OTHER_HOST, OTHER_MACHINE])
def test_sync_never_ends_a_run_whose_job_cannot_be_seen_from_here(
    tmp_path: Path, where: dict[str, str]
) -> None:
    journal, run_id = open_run(tmp_path, where)
    assert [one.state for one in _waiting.find(journal.base)] == ["waiting"]
    (first,) = sync(journal.base)
    assert first.state == "sent"
    assert "another machine" in first.message
    assert state_of(tmp_path, run_id) == Run.STATE_RUNNING
    run = journal.attach_run(run_id, resume=False)
    run.log_metrics({"loss": 2.0}, 2, 2)
    assert [one.state for one in sync(journal.base)] == ["sent"]
    with closing(connect(tmp_path / "data")) as connection:
        assert stored(connection, run_id)["loss"].total() == 2
    journal.close()
    assert [one.message for one in sync(journal.base)] == [""]
    assert not journal.directory.exists()


@pytest.mark.parametrize("where", [place(), BEFORE_REBOOT])
def test_sync_ends_a_run_whose_job_has_died_here_be_it_before_a_reboot(
    tmp_path: Path, where: dict[str, str]
) -> None:
    journal, run_id = open_run(tmp_path, where)
    journal.status.synced = journal.segments.position
    assert [one.state for one in sync(journal.base)] == ["sent"]
    assert state_of(tmp_path, run_id) == Run.STATE_KILLED
    assert not journal.directory.exists()


def test_trainer_is_watched_by_a_high_descriptor(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if not hasattr(os, "pidfd_open") or (hard != resource.RLIM_INFINITY and hard < 4096):
        pytest.skip("no descriptors of processes here, or too few of them")
    pidfd_open = os.pidfd_open

    def open_high(pid: int) -> int:
        low = pidfd_open(pid)
        try:
            return fcntl.fcntl(low, fcntl.F_DUPFD_CLOEXEC, 2000)
        finally:
            os.close(low)

    monkeypatch.setattr(os, "pidfd_open", open_high)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 4096), hard))
    try:
        with closing(Trainer(rewrite(journal.directory))) as trainer:
            assert trainer._fd >= 2000
            assert trainer.alive
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_trainer_is_watched_where_there_is_no_poll(
    journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(select, "poll")
    with closing(Trainer(rewrite(journal.directory))) as trainer:
        assert trainer.alive
    with closing(Trainer(rewrite(journal.directory, **NO_PROCESS))) as trainer:
        assert not trainer.alive


# Artifacts --------------------------------------------------------------------------


def fail_puts(monkeypatch: pytest.MonkeyPatch, failures: Iterator[Exception]) -> list[str]:
    """Uploads fail as told, then go through. Returns the paths that were tried."""
    tried: list[str] = []
    put = Link.put_artifact

    def failing(self: Link, run_id: str, local: Path, path: str) -> None:
        tried.append(path)
        failure = next(failures, None)
        if failure is not None:
            raise failure
        put(self, run_id, local, path)

    monkeypatch.setattr(Link, "put_artifact", failing)
    monkeypatch.setattr(_uploader_artifacts, "pause_s", lambda failures: 0.0)
    return tried


def test_an_artifact_outlives_faults_that_may_pass(
    connection: Connection, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    failures: list[Exception] = [
        InternalError("Received RST_STREAM with error code 2"),
        OSError(errno.EMFILE, "too many open files"),
        RuntimeError("can't start new thread"),
        *(UnavailableError("busy", reason="OVERLOADED") for _ in range(2 * MAX_FAULTS)),
        InternalError("Received RST_STREAM with error code 2"),
    ]
    tried = fail_puts(monkeypatch, iter(failures))
    run = new_run(journal)
    run.log_artifact_bytes(b"x", "model.bin")
    run.finish("FINISHED", now_micros())
    assert deliver(journal.directory, connection, []) == 1
    assert len(tried) == len(failures) + 1
    assert Artifacts(Caller(connection)).download(run.run_id, "model.bin").read() == b"x"
    assert journal.status.rejected_entries == 0


@pytest.mark.parametrize("failure", [InternalError("a bug"), RuntimeError("another")])
def test_an_artifact_that_always_fails_is_given_up_and_stops_nothing(
    connection: Connection,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    failure: Exception,
) -> None:
    tried = fail_puts(monkeypatch, iter(lambda: failure, None))
    run = new_run(journal)
    run.log_artifact_bytes(b"x", "model.bin")
    run.finish("FINISHED", now_micros())
    assert deliver(journal.directory, connection, []) == 1
    assert len(tried) == MAX_FAULTS + 1
    assert journal.status.rejected_entries == 1
    assert Runs(Caller(connection)).get(run.run_id).state == Run.STATE_FINISHED


@pytest.mark.parametrize("barred", [UnauthenticatedError("token"), PermissionDeniedError("role")])
def test_a_run_whose_files_are_barred_is_kept_for_another_time(
    connection: Connection,
    journal: Journal,
    monkeypatch: pytest.MonkeyPatch,
    barred: RunwireError,
) -> None:
    fail_puts(monkeypatch, iter([barred]))
    run = new_run(journal)
    run.log_artifact_bytes(b"x", "model.bin")
    run.finish("FINISHED", now_micros())
    assert not ends(uploader(journal.directory, connection, []).run)
    assert list(read_refused(journal.directory)) == [run.run_id]
    assert len(list((journal.directory / "artifacts").iterdir())) == 1
    deliver(journal.directory, connection, [])
    assert Artifacts(Caller(connection)).download(run.run_id, "model.bin").read() == b"x"
    assert Runs(Caller(connection)).get(run.run_id).state == Run.STATE_FINISHED
    assert journal.status.rejected_entries == 0


def test_a_file_may_have_its_run_refused_while_another_call_is_under_way(
    connection: Connection, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    fail_puts(monkeypatch, iter([PermissionDeniedError("role")]))
    run = new_run(journal)
    run.log_artifact_bytes(b"x", "model.bin")
    journal.attach_run(run.run_id, resume=False).log_metrics({"loss": 1.0}, 1, 1)
    run.finish("FINISHED", now_micros())
    refused = threading.Event()
    log_batch, refuse = Link.log_batch, Delivery.refuse

    def late(self: Link, run_id: str, batch: bytes | None, names: bytes = b"") -> Any:
        response = log_batch(self, run_id, batch, names)
        assert refused.wait(PATIENCE_S)
        return response

    def heard(self: Delivery, outbox: Outbox, reason: str) -> None:
        refuse(self, outbox, reason)
        refused.set()

    monkeypatch.setattr(Link, "log_batch", late)
    monkeypatch.setattr(Delivery, "refuse", heard)
    assert not ends(uploader(journal.directory, connection, []).run)
    assert list(read_refused(journal.directory)) == [run.run_id]
    deliver(journal.directory, connection, [])
    assert Artifacts(Caller(connection)).download(run.run_id, "model.bin").read() == b"x"
    assert stored(connection, run.run_id)["loss"].total() == 1
    assert Runs(Caller(connection)).get(run.run_id).state == Run.STATE_FINISHED


# Damaged journals -------------------------------------------------------------------


def _lose_segment(directory: Path) -> None:
    (directory / "000001.seg").unlink()


def _empty_meta(directory: Path) -> None:
    (directory / "meta.json").write_text("")


def _null_meta(directory: Path) -> None:
    (directory / "meta.json").write_text("null")


def _lose_key(directory: Path) -> None:
    (directory / "meta.json").write_text("{}")


def _damage_header(directory: Path) -> None:
    with (directory / "000001.seg").open("r+b") as file:
        file.write(b"damaged!")


def _damage_status(directory: Path) -> None:
    (directory / "status").write_bytes(b"")


def _damage_record(directory: Path) -> None:
    with (directory / "000001.seg").open("r+b") as file:
        file.seek(64 + 8)
        file.write(b"\xff" * 32)


def _lose_definitions(directory: Path) -> None:
    (directory / "schemas.jsonl").write_bytes(b"")


def _lose_last_definition(directory: Path) -> None:
    path = directory / "schemas.jsonl"
    path.write_bytes(path.read_bytes().splitlines(keepends=True)[0])


DAMAGES = [
    _lose_segment,
    _empty_meta,
    _null_meta,
    _lose_key,
    _damage_header,
    _damage_status,
    _damage_record,
    _lose_definitions,
    _lose_last_definition,
]
# Without reading the records.
SEEN_AT_ONCE = [_empty_meta, _null_meta, _lose_key, _damage_status]


def journal_left(base: Path, uri: str) -> Path:
    journal = Journal.open(base, uri, settings=OFFLINE)
    run = new_run(journal)
    run.log_metrics({"loss": 1.0}, 1, 1)
    run.finish("FINISHED", now_micros())
    journal.close()
    return journal.directory


@pytest.mark.parametrize("damage", DAMAGES)
def test_sync_reports_a_damaged_journal_and_sends_the_others(
    tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    uri, base = str(tmp_path / "data"), tmp_path / "journals"
    first, damaged, last = (journal_left(base, uri) for _ in range(3))
    damage(damaged)
    results = {one.directory: one for one in sync(base)}
    assert results[first].state == results[last].state == "sent"
    assert results[damaged].state == "damaged"
    assert str(damaged) in results[damaged].message
    assert journals(base) == [damaged]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_journal_stops_no_read(
    tmp_path: Path, damage: Callable[[Path], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, base = str(tmp_path / "data"), tmp_path / "journals"
    monkeypatch.setenv("RUNWIRE_DIR", str(base))
    damaged, kept = journal_left(base, uri), journal_left(base, uri)
    damage(damaged)
    _waiting.settle(uri, PATIENCE_S)
    found = {one.directory: one for one in _waiting.find(base)}
    assert found[kept].state == "logging", "this process lives"
    if damage in SEEN_AT_ONCE:
        assert found[damaged].state == "damaged"
        assert str(damaged) in found[damaged].problem


def test_a_folder_that_may_not_be_read_is_reported_and_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    uri, base = str(tmp_path / "data"), tmp_path / "journals"
    monkeypatch.setenv("RUNWIRE_DIR", str(base))
    closed, kept = journal_left(base, uri), journal_left(base, uri)
    read_text = Path.read_text

    def read_own(self: Path, *args: Any, **options: Any) -> str:
        if closed in self.parents:
            raise PermissionError(errno.EACCES, "not yours", str(self))
        return read_text(self, *args, **options)

    monkeypatch.setattr(Path, "read_text", read_own)
    _waiting.settle(uri, PATIENCE_S)
    found = {one.directory: one.state for one in _waiting.find(base)}
    assert found == {closed: "damaged", kept: "logging"}
    results = {one.directory: one for one in sync(base)}
    assert (results[closed].state, results[kept].state) == ("damaged", "sent")
    assert "PermissionError" in results[closed].message


def test_a_folder_of_journals_that_may_not_be_listed_stops_no_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNWIRE_DIR", str(tmp_path))

    def closed(self: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "not yours", str(self))

    monkeypatch.setattr(Path, "iterdir", closed)
    _waiting.settle("unused", PATIENCE_S)


# No stderr, no room -----------------------------------------------------------------


def test_metrics_arrive_where_there_is_no_stderr(
    connection: Connection, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = new_run(journal)
    run.log_metrics({"loss": 1.0}, 1, 1)
    run.finish("FINISHED", now_micros())
    serving = uploader(journal.directory, connection, [])
    report = serving._delivery._report
    report._quiet = False
    monkeypatch.setattr(sys, "stderr", None)
    assert ends(serving.run)
    assert stored(connection, run.run_id)["loss"].total() == 1
    duplicated: list[int] = []
    monkeypatch.setattr(os, "dup2", lambda fd, *_: duplicated.append(fd))
    Report(journal.directory).let_go_of_terminal()
    assert not duplicated, "descriptor 2 may be a file of somebody else's"


def test_a_refused_run_on_a_full_disk_ends_its_uploader(
    connection: Connection, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(directory: Path, reasons: dict[str, str]) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    for module in (_uploader_delivery, _uploader_loop):
        monkeypatch.setattr(module, "write_refused", full)
    run_id = new_id()
    run = journal.create_run(run_id, {"run": {"run_id": run_id, "experiment_id": "424242"}})
    run.log_metrics({"loss": 1.0}, 1)
    serving = uploader(journal.directory, connection, [])
    assert not ends(serving.run)
    assert "424242" in serving.refused[run_id]
    assert journal.status.run_flags(0) & RUN_REFUSED


def test_sync_says_refused_where_the_reasons_cannot_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(directory: Path, reasons: dict[str, str]) -> None:
        raise OSError(errno.ENOSPC, "no space left on device")

    for module in (_uploader_delivery, _uploader_loop):
        monkeypatch.setattr(module, "write_refused", full)
    journal = Journal.open(tmp_path / "journals", str(tmp_path / "data"), settings=OFFLINE)
    run_id = new_id()
    journal.create_run(run_id, {"run": {"run_id": run_id, "experiment_id": "424242"}})
    journal.close()
    assert ends(lambda: [one.state for one in sync(journal.base)] == ["refused"])


def test_an_outbox_is_free_again_whatever_its_delivery_meets(
    connection: Connection, journal: Journal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any) -> None:
        raise MemoryError

    delivery = uploader(journal.directory, connection, [])._delivery
    monkeypatch.setattr(delivery, "_deliver", fail)
    monkeypatch.setattr(delivery, "_fault", fail)
    outbox = Outbox(0, new_id(), None, bytes, fail)  # type: ignore[arg-type]
    outbox.items.append(Event(CREATE, 0, {}))
    delivery.outboxes[0] = outbox
    with pytest.raises(MemoryError):
        delivery._work()
    assert not outbox.busy
