"""``runwire top``: what it knows, what it shows, and how it ends."""

from __future__ import annotations

import io
import math
import os
import pty
import subprocess
import sys
import threading
from collections.abc import Sequence
from typing import Any

import pytest
import runwire
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console
from runwire._command import top_board
from runwire._command.sparkline import BARS, Course, draw
from runwire._command.top_board import Board
from runwire._command.top_screen import picture
from runwire._tail import Frame, TailEvent
from runwire.v1.run_pb2 import Run

PROGRAM = "import sys; from runwire._command import main; sys.exit(main())"


def a_run(number: int, state: str = "RUNNING", name: str = "") -> Run:
    run = Run(run_id=f"{number:032x}", name=name, state=f"STATE_{state}")
    run.start_time.FromSeconds(1_700_000_000 + number)
    return run


def arrived(run: Run, key: str, values: Sequence[float], first: int = 0) -> TailEvent:
    np = pytest.importorskip("numpy")
    steps = np.arange(first, first + len(values))
    frame = Frame([key], steps, steps * 100_000, [np.array(values, float)])
    return TailEvent(b"", run.run_id, [frame])


def drawn(board: Board, width: int = 80, height: int = 24, *, is_away: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=width, height=height, color_system=None)
    console.print(picture(board, width, height, is_away=is_away))
    file: Any = console.file
    return [line.rstrip() for line in file.getvalue().splitlines()]


def test_a_run_is_shown_with_its_speed_values_and_courses() -> None:
    board, run = Board((), 20), a_run(1, name="baseline")
    board.put(run)
    board.choose(run.run_id, ["a", "b", "c", "d"])
    assert board.selection() == ((run.run_id,), ("a", "b", "c"))
    board.take(arrived(run, "a", [float(step) for step in range(50)]))
    (line,) = board.lines()
    assert line.rate == pytest.approx(10.0)
    assert line.metrics["a"].last == 49.0
    head, columns, first, second, *_ = drawn(board)
    assert head.startswith("runwire top")
    assert columns.split() == ["run", "name", "state", "age", "steps/s"]
    assert first.split()[:3] == ["00000000", "baseline", "RUNNING"]
    assert second.split()[:2] == ["a", "49"]
    assert set(second.split()[2]) <= set(BARS)


def test_no_line_is_wider_than_the_terminal() -> None:
    board = Board((), 20)
    for number, name in enumerate(("x" * 200, "漢字" * 60, "a\nb\x1b[2J")):
        run = a_run(number, name=name)
        board.put(run)
        board.choose(run.run_id, ["k" * 300])
        board.take(arrived(run, "k" * 300, [1.0, -1e-300, math.nan, 1e300]))
    for width in (60, 80, 200):
        lines = drawn(board, width)
        assert max(map(cell_len, lines)) <= width
        assert not any("\x1b" in line for line in lines)


def test_what_does_not_fit_is_counted() -> None:
    board = Board((), 4)
    for number in range(9):
        board.put(a_run(number))
    assert drawn(board, height=5)[-1].split() == ["7", "more", "q", "ends"]
    assert "5 more" in drawn(board, height=40)[-1]


def test_ended_runs_linger_at_the_end_and_deleted_ones_go(monkeypatch: pytest.MonkeyPatch) -> None:
    board = Board((), 20)
    for number in range(3):
        board.put(a_run(number))
    board.put(a_run(2, "FINISHED"))
    board.put(a_run(7, "FAILED"))  # never seen running
    assert [line.run.run_id[-1] for line in board.lines()] == ["1", "0", "2"]
    deleted = a_run(1)
    deleted.delete_time.GetCurrentTime()
    board.put(deleted)
    monkeypatch.setattr(top_board, "LINGER_S", -1.0)
    assert [line.run.run_id[-1] for line in board.lines()] == ["0"]
    assert drawn(Board((), 20))[-1] == "nothing is running   q ends"
    assert "away" in drawn(board, is_away=True)[0]


@given(st.lists(st.floats(), max_size=300), st.integers(1, 9))
def test_a_course_fits_its_width_whatever_comes(values: list[float], stretch: int) -> None:
    course = Course(10)
    course.add(values, stretch)
    assert len(str(course)) <= 10
    course.add(values)
    assert len(str(course)) <= 10


def test_a_course_is_that_of_the_whole_series() -> None:
    course = Course(8)
    for number in range(1000):
        course.add([float(number)])
    assert str(course) == "".join(sorted(str(course)))
    assert str(course)[0] == BARS[0]
    assert str(course)[-1] == BARS[-1]
    assert draw([math.nan, math.inf]) == ""


def test_elsewhere_than_on_a_terminal_it_is_printed_once(tmp_path: Any) -> None:
    uri = f"sqlite:///{tmp_path / 'x.db'}"
    with runwire.Client(uri) as client:
        run_id = client.runs.create(name="one").run_id
        client.runs.finish(client.runs.create(name="over").run_id)
        for step in range(5):
            client.metrics.log(run_id, {"loss": float(step)}, step=step)
    command = [sys.executable, "-c", PROGRAM, "top", "--tracking-uri", uri]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    ((shown, name, state, _, key, last, course),) = [
        line.split("\t") for line in found.splitlines()
    ]
    assert (shown, name, state, key, last) == (run_id, "one", "RUNNING", "loss", "4.0")
    assert course[0] == BARS[0]
    assert course[-1] == BARS[-1]


def test_on_a_terminal_it_stays_until_q(tmp_path: Any) -> None:
    uri = f"sqlite:///{tmp_path / 'x.db'}"
    ours, theirs = pty.openpty()
    with runwire.Client(uri) as client:
        run_id = client.runs.create(name="living").run_id
        command = [sys.executable, "-c", PROGRAM, "top", "--tracking-uri", uri]
        environment = os.environ | {"TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        with subprocess.Popen(
            command, stdin=theirs, stdout=theirs, stderr=theirs, env=environment
        ) as process:
            seen = _read_until(ours, "living")
            client.metrics.log(run_id, {"loss": 0.125}, step=1)
            seen += _read_until(ours, "0.125")
            client.runs.finish(run_id)
            seen += _read_until(ours, "FINISHED")
            os.write(ours, b"q")
            drain = threading.Thread(target=_drain, args=(ours,), daemon=True)
            drain.start()
            assert process.wait(120) == 0
    os.close(theirs)
    assert "Traceback" not in seen


def _read_until(terminal: int, text: str) -> str:
    seen = ""
    while text not in seen:
        seen += os.read(terminal, 65536).decode(errors="replace")
    return seen


def _drain(terminal: int) -> None:
    try:
        while os.read(terminal, 65536):
            pass
    except OSError:  # the other end is closed
        os.close(terminal)
