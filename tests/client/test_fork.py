"""Forks beside calls: every child and the parent go on."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import runwire
from drills.processes import eventually
from runwire._fork import Gate


def _in_child(work: Callable[[], bool]) -> int:
    """Fork; the child does its work and exits with 0 where it went well. Gives its pid."""
    pid = os.fork()
    if pid:
        return pid
    code = 1
    try:
        signal.alarm(120)
        code = 0 if work() else 2
    finally:
        os._exit(code)


def _codes(pids: list[int]) -> list[int]:
    return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_25_forks_leave_every_child_and_the_parent_able_to_call() -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        # Where other tests of the process have left channels behind, their forks are tested.
        _in_a_process_of_its_own("test_25_forks_leave_every_child_and_the_parent_able_to_call")
        return
    stop = threading.Event()
    counts = [0, 0]

    def keep_calling(client: runwire.Client, which: int) -> None:
        while not stop.is_set():
            client.runs.get("x")
            counts[which] += 1

    with _in_another_process() as uri, runwire.Client(uri) as client:
        client.server_info()
        threads = [
            threading.Thread(target=keep_calling, args=(client, which)) for which in range(2)
        ]
        for thread in threads:
            thread.start()
        try:
            callers = [_in_child(lambda: client.runs.get("y").run_id == "y") for _ in range(15)]
            idle = [_in_child(lambda: True) for _ in range(10)]
            assert _codes(callers + idle) == [0] * 25
            eventually(lambda: min(counts) > 0, "a call of each thread")
        finally:
            stop.set()
            for thread in threads:
                thread.join()
        assert client.runs.get("z").run_id == "z"


@contextmanager
def _in_another_process() -> Iterator[str]:
    """The misbehaving server, well-behaved, in a process that is not forked with us."""
    program = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from client.misbehaving import Info, Runs, serving\n"
        "with serving(Runs([]), Info()) as uri:\n"
        "    print(uri, flush=True); sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(Path(__file__).parents[1])],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.communicate()


@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_child_of_a_fork_opens_local_mode_anew(client: runwire.Client) -> None:
    run_id = client.runs.create(name="before").run_id
    assert _codes([_in_child(lambda: client.runs.get(run_id).name == "before")]) == [0]
    assert client.runs.get(run_id).name == "before"


def test_fork_waits_for_calls_under_way_and_holds_new_ones_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("runwire._fork.PATIENCE_S", 60.0)
    gate = Gate()
    order: list[str] = []
    entered, leave = threading.Event(), threading.Event()

    def call() -> None:
        with gate.passing():
            entered.set()
            leave.wait(120)
            order.append("call")

    def fork() -> None:
        gate._close()
        order.append("fork")

    caller, forker = threading.Thread(target=call), threading.Thread(target=fork)
    caller.start()
    entered.wait(120)
    forker.start()
    leave.set()
    caller.join()
    forker.join()
    late = threading.Thread(target=call)
    late.start()
    assert order == ["call", "fork"]
    gate._open()
    late.join()
    assert order == ["call", "fork", "call"]


def _in_a_process_of_its_own(test: str) -> None:
    environment = {key: one for key, one in os.environ.items() if "PYTEST" not in key}
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        f"{__file__}::{test}",
    ]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout
