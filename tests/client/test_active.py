"""Which run is the active one: in threads, tasks, forked and spawned processes."""

from __future__ import annotations

import asyncio
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import backends
import pytest
import runwire
from drills.processes import eventually
from runwire import _active, _session

from client.sessions import session


@pytest.fixture(autouse=True)
def fluent(server: backends.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with session(server, monkeypatch):
        yield


def _series(run_id: str) -> dict[tuple[str, str], Any]:
    assert runwire.flush(timeout=120)
    with runwire.Client() as client:
        return client.metrics.read(run_id)


def test_thread_without_a_run_logs_to_the_latest_of_the_process() -> None:
    with runwire.start_run() as run, ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: runwire.log_metric("m", i, step=i), range(100)))
    read = _series(run.run_id)
    assert sorted(read[run.run_id, "m"].steps) == list(range(100))


def test_threads_may_each_have_a_run() -> None:
    barrier = threading.Barrier(4)

    def work(number: int) -> str:
        with runwire.start_run(run_name=str(number)) as run:
            barrier.wait()
            runwire.log_metric("m", number)
            barrier.wait()
            assert runwire.active_run() is run
        return run.run_id

    with ThreadPoolExecutor(4) as pool:
        run_ids = list(pool.map(work, range(4)))
    runs = [runwire.get_run(run_id) for run_id in run_ids]
    assert [run.data.metrics for run in runs] == [{"m": float(i)} for i in range(4)]


def test_tasks_may_each_have_a_run() -> None:
    async def work(number: int) -> str:
        with runwire.start_run(run_name=str(number)) as run:
            await asyncio.sleep(0)
            runwire.log_metric("m", number)
            await asyncio.sleep(0)
        return run.run_id

    async def all_of_them() -> list[str]:
        return await asyncio.gather(*map(work, range(4)))

    run_ids = asyncio.run(all_of_them())
    runs = [runwire.get_run(run_id) for run_id in run_ids]
    assert [run.data.metrics for run in runs] == [{"m": float(i)} for i in range(4)]


def test_run_is_ended_from_another_context_of_its_thread() -> None:
    """Notebooks give each cell a context of its own."""
    import contextvars

    run = contextvars.Context().run(runwire.start_run)
    contextvars.Context().run(runwire.log_metric, "m", 1)
    contextvars.Context().run(runwire.end_run)
    assert runwire.active_run() is None
    read = runwire.get_run(run.run_id)
    assert (read.info.status, read.data.metrics) == ("FINISHED", {"m": 1.0})


def test_thread_does_not_end_the_run_of_another() -> None:
    with runwire.start_run() as run:
        thread = threading.Thread(target=runwire.end_run)
        thread.start()
        thread.join()
        assert runwire.active_run() is run


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_child_logs_to_the_run_and_does_not_end_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RUNWIRE_UPLOADER", "process")
    monkeypatch.setenv("RUNWIRE_UPLOADER_GIVE_UP_S", "3")  # not to outlive the test's server
    with runwire.start_run() as run:
        runwire.log_metric("parent", 1)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                runwire.log_metric("child", 2)
                runwire.end_run()
                code = 0 if runwire.flush(60) else 2
                _session.close()
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert runwire.active_run() is run
        read = runwire.get_run(run.run_id)
        assert (read.info.status, read.data.metrics) == ("RUNNING", {"parent": 1.0, "child": 2.0})


def test_pickled_run_is_another_writer_of_the_same_run() -> None:
    with runwire.start_run(run_name="shared") as run:
        runwire.log_metric("m", 1)
        _session.flush(60)
        copy = pickle.loads(pickle.dumps(run))
        assert (copy.run_id, copy.info.run_name) == (run.run_id, "shared")
        copy.log_metric("n", 2)
        copy.log.journal.flush(60)
        assert runwire.get_run(run.run_id).data.metrics == {"m": 1.0, "n": 2.0}
        copy.log.journal.close()


def test_unpickled_run_is_active_for_a_block_and_is_not_ended_by_it() -> None:
    with runwire.start_run() as run:
        _session.flush(60)
        copy: runwire.ActiveRun = pickle.loads(pickle.dumps(run))
        with copy:
            assert runwire.active_run() is copy
            runwire.log_metric("n", 2)
        assert runwire.active_run() is run
        assert copy.log.journal.flush(60)
        read = runwire.get_run(run.run_id)
        assert (read.info.status, read.data.metrics) == ("RUNNING", {"n": 2.0})
        copy.log.journal.close()


def test_nested_runs_of_worker_threads_belong_to_the_run_of_the_main_thread() -> None:
    barrier = threading.Barrier(3)

    def trial(number: int) -> str:
        with runwire.start_run(nested=True) as first:
            barrier.wait()  # the others' are under way
            runwire.log_metric("m", number)
        barrier.wait()
        with runwire.start_run(nested=True) as second:
            barrier.wait()
        return f"{first.run_id} {second.run_id}"

    with runwire.start_run() as study, ThreadPoolExecutor(3) as pool:
        trials = " ".join(pool.map(trial, range(3))).split()
    parents = [runwire.get_parent_run(run_id) for run_id in trials]
    assert {parent.run_id for parent in parents if parent} == {study.run_id}
    assert len(parents) == 6


def test_run_left_open_in_a_block_ends_with_the_block() -> None:
    with runwire.start_run() as outer:
        inner = runwire.start_run(nested=True)
    assert runwire.active_run() is None
    statuses = [runwire.get_run(run.run_id).info.status for run in (outer, inner)]
    assert statuses == ["FINISHED", "FINISHED"]


def test_error_at_a_prompt_does_not_fail_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_active, "_uncaught", None)
    runwire.start_run()
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    sys.excepthook(ValueError, ValueError("typed in"), None)
    assert _active._uncaught is None
    monkeypatch.delattr(sys, "ps1")
    sys.excepthook(ValueError, ValueError("of the script"), None)
    assert _active._uncaught is ValueError


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_forked_child_that_ends_as_programs_do_does_not_end_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNWIRE_UPLOADER", "process")
    program = (
        "import os, sys, runwire\n"
        "run = runwire.start_run()\n"
        "pid = os.fork()\n"
        "runwire.log_metric('child' if pid == 0 else 'parent', 1)\n"
        "if pid == 0:\n"
        "    own = runwire.start_run(run_name='own', nested=True)\n"
        "    sys.exit(0)\n"
        "assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0\n"
        "assert runwire.flush(60)\n"
        "print(runwire.get_run(run.run_id).info.status, run.run_id)\n"
    )
    said = tmp_path / "said.txt"
    with said.open("w") as file:  # uploaders would hold a pipe open
        subprocess.run([sys.executable, "-c", program], check=True, stdout=file, timeout=120)
    status, run_id = said.read_text().split()
    assert status == "RUNNING"
    with runwire.Client() as client:
        # Both end with their own process, FINISHED (3).
        eventually(lambda: [one.state for one in client.runs.search()] == [3, 3], "both have ended")
    both = {"parent", "child"}
    eventually(lambda: set(runwire.get_run(run_id).data.metrics) == both, "both points arrive")
