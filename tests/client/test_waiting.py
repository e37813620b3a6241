"""What a process has logged and left to its uploader is seen by whoever reads next."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import runwire
from runwire import _session, _waiting
from runwire._journal import Journal, JournalSettings

JOB = "import runwire; runwire.set_experiment('late'); runwire.log_metric('loss', 0.5)"
# The patience of a test, which need not be that of a person at a prompt.
LIST = """
import sys
from runwire import _waiting
from runwire._command import find, main
find.SETTLE_S = _waiting.STARTING_S = 120.0
sys.exit(main(["runs", "ls", "--experiment", "late"]))
"""


def _log_one(number: int) -> str:
    runwire.set_experiment("workers")
    with runwire.start_run() as run:
        runwire.log_metric("number", number)
    return str(run.run_id)


def test_command_sees_what_a_script_logged_that_has_just_ended(tmp_path: Path) -> None:
    environment = os.environ | {
        "RUNWIRE_TRACKING_URI": str(tmp_path / "data"),
        "RUNWIRE_QUIET": "1",
    }
    subprocess.run([sys.executable, "-c", JOB], check=True, env=environment)
    listed = subprocess.run(
        [sys.executable, "-c", LIST], check=True, capture_output=True, text=True, env=environment
    )
    assert listed.stdout.count("\n") == 1


def test_parent_sees_the_runs_of_worker_processes_that_have_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_session, "SETTLE_S", 120.0)
    monkeypatch.setattr(_waiting, "STARTING_S", 120.0)
    runwire.set_tracking_uri(tmp_path / "data")
    with multiprocessing.get_context("spawn").Pool(2) as pool:
        run_ids = pool.map(_log_one, range(4))
        pool.close()
        pool.join()
    found = runwire.search_runs(search_all_experiments=True, output_format="list")
    assert {run.run_id for run in found} == set(run_ids)


def test_a_read_does_not_wait_for_journals_that_nobody_sends(tmp_path: Path) -> None:
    uri = str(tmp_path / "data")
    journal = Journal.open(
        Path(os.environ["RUNWIRE_DIR"]), uri, settings=JournalSettings(uploader="off")
    )
    journal.create_run("ab" * 16, {"run": {"run_id": "ab" * 16, "experiment_id": "0"}})
    start = time.monotonic()
    _waiting.settle(uri, 30.0)
    assert time.monotonic() - start < 20.0
    journal.close()


def test_journal_that_is_removed_while_they_are_listed_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from runwire import _uploader

    kept, gone = (
        Journal.open(tmp_path, "sqlite:///x.db", settings=JournalSettings(uploader="off")).directory
        for _ in range(2)
    )
    (tmp_path / "notes.txt").write_text("no journal")
    read = _uploader._meta

    def read_late(directory: Path) -> dict[str, object]:
        if directory == gone and gone.exists():
            _uploader.remove(gone)
        return read(directory)

    monkeypatch.setattr(_uploader, "_meta", read_late)
    assert _uploader.journals(tmp_path) == [kept]
