"""Kill it, cut it, fork it: what returned is there in the end, once."""

from __future__ import annotations

import multiprocessing
import os
import random
import shutil
import signal
import struct
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path

import pytest
from drills.processes import eventually
from ports import lasting_port
from runwire._call import Caller
from runwire._connect import connect
from runwire._journal import Journal, JournalSettings, RunLog
from runwire._journal_files import hold_lock
from runwire._journal_status import AWAY, CONNECTED, Status
from runwire._run import Runs
from runwire._uploader import journals
from runwire.v1.run_pb2 import Run
from runwire_server.app import App
from runwire_server.settings import Settings
from runwire_server.transport import GrpcServer

from client.deliveries import (
    OFFLINE,
    Points,
    new_id,
    new_run,
    now_micros,
    stored,
)

DEADLINE_S = 240.0  # 25 uploaders on two slow cores take a while
TRAINER = Path(__file__).parent / "trainer.py"
PROCESS = JournalSettings(uploader="process")


def delivered(base: Path) -> None:
    """Wait until the uploaders have sent and removed every journal."""
    eventually(lambda: not journals(base), f"journals in {base}", DEADLINE_S)


def expected(rows: int) -> dict[str, Points]:
    return {
        key: Counter((step, step, struct.pack("d", value(step))) for step in range(rows))
        for key, value in (("loss", lambda step: 1.0 / (step + 1)), ("acc", float))
        if rows
    }


@contextmanager
def trainer(base: Path, uri: str, run_id: str, rows: int) -> Iterator[subprocess.Popen[bytes]]:
    counter = base.parent / "counter"
    counter.write_bytes(bytes(8))
    base.mkdir(exist_ok=True)
    command = [sys.executable, str(TRAINER), str(base), uri, run_id, str(counter), str(rows)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            yield process
        finally:
            process.kill()


def returned(base: Path) -> int:
    return int.from_bytes((base.parent / "counter").read_bytes(), sys.byteorder)


@pytest.mark.parametrize("seed", range(4))
def test_what_returned_before_sigkill_arrives_once(tmp_path: Path, seed: int) -> None:
    uri, base, run_id = str(tmp_path / "data"), tmp_path / "journals", new_id()
    kill_at = random.Random(seed).randrange(1, 60_000)
    with trainer(base, uri, run_id, 10_000_000) as process:
        eventually(lambda: returned(base) >= kill_at, "rows")
        process.kill()
        process.wait()
    count = returned(base)
    delivered(base)
    with closing(connect(uri)) as connection:
        found = stored(connection, run_id)
        # The kill may have come between the return of a call and its counting.
        assert found in (expected(count), expected(count + 1))
        run = Runs(Caller(connection)).get(run_id)
    assert run.state == Run.STATE_KILLED
    assert len(run.params) in (-(-count // 1000), -(-(count + 1) // 1000))


def test_an_uploader_killed_again_and_again_loses_and_repeats_nothing(tmp_path: Path) -> None:
    uri, base, run_id = str(tmp_path / "data"), tmp_path / "journals", new_id()
    journal = Journal.open(base, uri, settings=PROCESS)
    run = journal.create_run(run_id, {"run": {"run_id": run_id}, "experiment_name": "drill"})
    rows = kills = 0
    for _ in range(5):
        before = journal.status.acknowledged
        for step in range(rows, rows + 20_000):
            run.log_metrics({"loss": 1.0 / (step + 1), "acc": float(step)}, step, step)
        rows += 20_000
        eventually(partial(_acknowledged_past, journal, before), "an ack")
        os.kill(journal.status.uploader_pid, signal.SIGKILL)
        kills += 1
        eventually(lambda: _lock_is_free(journal), "the end of the uploader")
    run.finish("FINISHED", now_micros())
    journal.close()
    delivered(base)
    assert kills == 5
    with closing(connect(uri)) as connection:
        assert stored(connection, run_id) == expected(rows)
        assert Runs(Caller(connection)).get(run_id).state == Run.STATE_FINISHED


def _acknowledged_past(journal: Journal, position: int) -> bool:
    journal.ensure_uploader(now=True)  # one that was killed may hold its place for a moment
    return journal.status.acknowledged > position


def _lock_is_free(journal: Journal) -> bool:
    held = hold_lock(journal.directory / "lock")
    if held is not None:
        os.close(held)
    return held is not None


def test_two_uploaders_never_serve_one_journal(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path / "journals", str(tmp_path / "data"), settings=OFFLINE)
    new_run(journal)
    held = hold_lock(journal.directory / "lock")
    assert held is not None
    command = [sys.executable, "-m", "runwire._uploader", str(journal.directory)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert (done.returncode, done.stderr) == (0, "")
    assert journal.status.generation == 0
    os.close(held)
    journal.close()


@contextmanager
def server(data: Path, port: int) -> Iterator[None]:
    """A real server over a socket."""
    url = f"sqlite:///{data}/x.db"
    data.mkdir(exist_ok=True)
    settings = Settings(
        backend_store_uri=url, artifacts_destination=str(data / "blobs"), grpc_port=port
    )
    with closing(App(url, str(data / "blobs"))) as app:
        running = GrpcServer(app, settings)
        running.start()
        try:
            yield
        finally:
            running.stop(grace_s=1)


def test_a_server_that_is_away_at_start_and_goes_again_gets_everything(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data, port = tmp_path / "data", lasting_port()
    uri = f"grpc://127.0.0.1:{port}"
    journal = Journal.open(tmp_path / "journals", uri, settings=PROCESS)
    run = new_run(journal)
    log, logged = journal.directory / "uploader.log", 0
    for _ in range(2):
        for logged in range(logged + 1, logged + 5001):  # noqa: B020
            run.log_metrics({"loss": 1.0}, logged, logged)
        run.log_params({f"p{logged}": "1"})
        eventually(lambda: journal.status.server_state == AWAY, "the server to be missed")
        eventually(partial(_says_it_is_away, log), "a warning")
        assert not journal.flush(0.05)
        with server(data, port):
            assert journal.flush(DEADLINE_S)
            assert journal.status.server_state == CONNECTED
            with closing(connect(uri)) as connection:
                assert Runs(Caller(connection)).get(run.run_id).state == Run.STATE_RUNNING
        run.log_params({f"q{logged}": "1"})
    with server(data, port):
        run.finish("FINISHED", now_micros())
        journal.close()
        delivered(tmp_path / "journals")
        with closing(connect(uri)) as connection:
            assert stored(connection, run.run_id)["loss"].total() == logged
            assert Runs(Caller(connection)).get(run.run_id).state == Run.STATE_FINISHED
    said = capfd.readouterr().err
    # Once for each time that it went away (the last time it may have, unseen).
    assert said.count("nothing is lost") == said.count("is back") <= 3
    assert said.count("is back") >= 2


def _says_it_is_away(log: Path) -> bool:
    return log.exists() and "nothing is lost" in log.read_text().rpartition("is back")[2]


@pytest.mark.timeout(900)
def test_25_forked_children_log_to_their_parents_run(tmp_path: Path) -> None:
    uri, base = str(tmp_path / "data"), tmp_path / "journals"
    journal = Journal.open(base, uri, settings=PROCESS)
    run = new_run(journal)
    pids = []
    for child in range(25):
        run.log_metrics({"parent": 1.0}, child, child)
        pid = os.fork()
        if pid == 0:
            try:
                signal.alarm(int(DEADLINE_S))
                for step in range(100):
                    run.log_metrics({f"child{child}": float(step)}, step, step)
            finally:
                os._exit(0)
        pids.append(pid)
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0] * 25
    assert journal.flush(DEADLINE_S)
    run.finish("FINISHED", now_micros())
    journal.close()
    delivered(base)
    with closing(connect(uri)) as connection:
        found = stored(connection, run.run_id)
        assert Runs(Caller(connection)).get(run.run_id).state == Run.STATE_FINISHED
    assert found.pop("parent").total() == 25
    assert {key: points.total() for key, points in found.items()} == {
        f"child{child}": 100 for child in range(25)
    }


def _log_in_a_spawned_process(run: RunLog, rank: int) -> None:
    for step in range(100):
        run.log_metrics({f"rank{rank}": 1.0}, step, step)


def test_spawned_processes_log_through_a_pickled_run(tmp_path: Path) -> None:
    uri, base = str(tmp_path / "data"), tmp_path / "journals"
    journal = Journal.open(base, uri, settings=PROCESS)
    run = new_run(journal)
    spawn = multiprocessing.get_context("spawn")
    ranks = [spawn.Process(target=_log_in_a_spawned_process, args=(run, rank)) for rank in (0, 1)]
    for rank in ranks:
        rank.start()
    for rank in ranks:
        rank.join(DEADLINE_S)
        assert rank.exitcode == 0
        rank.close()
    run.finish("FINISHED", now_micros())
    journal.close()
    delivered(base)
    with closing(connect(uri)) as connection:
        found = stored(connection, run.run_id)
        assert Runs(Caller(connection)).get(run.run_id).state == Run.STATE_FINISHED
    assert {key: points.total() for key, points in found.items()} == {"rank0": 100, "rank1": 100}


def test_an_uploader_may_be_a_thread(tmp_path: Path) -> None:
    uri = str(tmp_path / "data")
    journal = Journal.open(tmp_path / "journals", uri, settings=JournalSettings(uploader="thread"))
    run = new_run(journal)
    run.log_metrics({"loss": 1.0}, 1, 1)
    assert journal.flush(DEADLINE_S)
    run.log_artifact_bytes(b"x", "x.txt")
    run.finish("FINISHED", now_micros())
    journal.close()
    delivered(tmp_path / "journals")
    with closing(connect(uri)) as connection:
        assert Runs(Caller(connection)).get(run.run_id).state == Run.STATE_FINISHED


def test_nobody_who_reads_a_trainers_output_waits_for_its_uploader(tmp_path: Path) -> None:
    (tmp_path / "counter").write_bytes(bytes(8))
    command = [sys.executable, str(TRAINER), str(tmp_path / "journals"), "grpc://127.0.0.1:9"]
    environment = {**os.environ, "RUNWIRE_UPLOADER_GIVE_UP_S": "400"}
    done = subprocess.run(
        [*command, new_id(), str(tmp_path / "counter"), "10"],
        capture_output=True,
        env=environment,
        timeout=200,  # the uploader has its output for longer
    )
    assert done.returncode == 0
    (left,) = journals(tmp_path / "journals")
    status = Status.open(left / "status")
    os.kill(eventually(lambda: status.uploader_pid, "the uploader"), signal.SIGTERM)


def test_a_quota_that_was_reached_is_freed_by_the_uploader(tmp_path: Path) -> None:
    small = PROCESS._replace(quota_bytes=1 << 20, block_s=DEADLINE_S)
    uri, base = str(tmp_path / "data"), tmp_path / "journals"
    journal = Journal.open(base, uri, settings=small)
    run = new_run(journal)
    for step in range(200_000):  # about 6 MB
        run.log_metrics({"loss": 1.0}, step, step)
    run.finish("FINISHED", now_micros())
    journal.close()
    delivered(base)
    with closing(connect(uri)) as connection:
        assert stored(connection, run.run_id)["loss"].total() == 200_000
        assert "runwire.dropped_points" not in Runs(Caller(connection)).get(run.run_id).tags


def test_an_uploader_ends_when_its_journal_is_deleted(tmp_path: Path) -> None:
    journal = Journal.open(tmp_path, "grpc://127.0.0.1:9", settings=PROCESS)
    new_run(journal)
    eventually(lambda: journal.status.server_state == AWAY, "the uploader")
    pid = journal.status.uploader_pid
    gone = journal.directory.rename(tmp_path / "gone")  # at once: the uploader writes there
    shutil.rmtree(gone)
    command_line = Path(f"/proc/{pid}/cmdline")  # a zombie has none
    eventually(lambda: not command_line.read_bytes(), "its end")
    journal.close()
