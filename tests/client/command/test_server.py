"""The server, its database, and what keeps both tidy."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from .calls import FIRST, PROGRAM, SECOND, Command, process

# Server -----------------------------------------------------------------------


def test_database_is_upgraded_once(command: Command, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'new.db'}"
    assert command("db", "upgrade", "--backend-store-uri", uri).out.startswith("upgraded to")
    assert command("db", "upgrade", "--backend-store-uri", uri).out.startswith("already at")
    refused = command("db", "upgrade", "--backend-store-uri", "mysql://x/y")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)


def test_server_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    arguments = ["server", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        grpc, web = server.stdout.readline().rpartition(": ")[2].split()
        try:
            for uri in (grpc, web):
                assert process("-u", uri, "experiments", "create", uri).returncode == 0
                found = process("-u", uri, "doctor")
                assert found.returncode == 0, found.stdout
                states = dict(line.split("\t")[:2] for line in found.stdout.splitlines())
                assert states["server"] == states["clock"] == "ok"
                assert "the server's is" in found.stdout
        finally:
            server.terminate()
        assert server.wait(120) == 0


# Doctor and sync --------------------------------------------------------------


OFFLINE_JOB = """
import os, sys
from runwire._journal import Journal, JournalSettings
settings = JournalSettings(uploader="off", quota_bytes=16 << 20)
log = Journal.open(os.environ["RUNWIRE_DIR"], sys.argv[1], settings=settings)
run_id = "c3" * 16
run = log.create_run(run_id, {"run": {"run_id": run_id}, "experiment_name": "offline"})
for step in range(10):
    run.log_metrics({"loss": 1.0 / (step + 1)}, step, None)
run.finish("FINISHED", 1_800_000_000_000_000)
log.close()
"""


def offline_job(tracking_uri: str) -> None:
    """A job that has ended and left a journal: a run of ten points."""
    subprocess.run([sys.executable, "-c", OFFLINE_JOB, tracking_uri], check=True)


def test_sync_sends_what_an_offline_job_left_and_removes_it(command: Command, data: Path) -> None:
    offline_job(str(data))
    (row,) = command("sync").rows
    assert row[1:] == ["sent", ""]
    assert command("metrics", "ls", "c3c3").rows[0][:2] == ["loss", "10"]
    assert dict(command("runs", "show", "c3c3").rows)["state"] == "FINISHED"
    assert command("sync").out == ""


def test_sync_keeps_what_no_server_takes_now(command: Command) -> None:
    offline_job("grpc://127.0.0.1:1")
    ended = command("sync", "--timeout", "0.2", "--json")
    assert ended.code == 4
    assert [one["state"] for one in ended.json] == ["away"]
    assert len(list(Path(os.environ["RUNWIRE_DIR"]).iterdir())) == 1


def test_sync_of_a_folder_that_is_not_there_is_code_3(command: Command) -> None:
    assert command("sync", "nowhere").code == 3


def test_doctor_finds_nothing_wrong_with_good_data(command: Command) -> None:
    ended = command("doctor")
    assert ended.code == 0
    assert {row[1] for row in ended.rows} <= {"ok", "warning"}, "a nearly full disk is no fault"


def test_doctor_tells_of_data_that_waits(command: Command, data: Path) -> None:
    offline_job(str(data))
    ended = command("doctor")
    assert "waiting\twarning\t" in ended.out
    assert ended.code == 0


@pytest.mark.parametrize("uri", ["grpc://127.0.0.1:1", "mysql://x/y"])
def test_doctor_ends_with_1_where_something_is_wrong(uri: str) -> None:
    ended = process("-u", uri, "doctor", "--json")
    assert ended.returncode == 1
    assert "wrong" in {finding["state"] for finding in json.loads(ended.stdout)}


def test_compact_tells_what_it_saved_and_doctor_what_metrics_take(command: Command) -> None:
    ended = command("metrics", "compact", FIRST, SECOND, "--json")
    assert ended.code == 0
    assert [(one["run_id"], one["frames"]) for one in ended.json] == [(FIRST, 0), (SECOND, 0)]
    assert all(int(one["block_points"]) == 200 for one in ended.json)
    (told,) = [row[2] for row in command("doctor").rows if row[0] == "metrics"]
    assert told.startswith("400 points in 2 blocks, ")
    assert "; 0 points to fold; " in told


def test_gc_removes_deleted_runs_once_they_are_old_enough(command: Command, data: Path) -> None:
    assert command("runs", "delete", FIRST).code == 0
    database = ("--backend-store-uri", f"sqlite:///{data / 'runwire.db'}")
    blobs = ("--artifacts-destination", str(data / "blobs"))
    registry, now = "0 models, 0 model versions", (*database, *blobs, "--older-than", "0s")
    nothing = "0 blobs, 0 uploads, 0 orphans removed, 0 B"
    told = command("gc", *database, *blobs).out.splitlines()
    assert told == [f"0 runs, {registry} removed", nothing]
    assert command("gc", *now, "--dry-run").out.startswith(f"1 run, {registry} to remove\n")
    assert command("runs", "show", FIRST).code == 0
    assert command("gc", *now).out.startswith(f"1 run, {registry} removed\n")
    assert command("runs", "show", FIRST).code == 3
    assert command("gc", *database, "--older-than", "a while").code == 2
