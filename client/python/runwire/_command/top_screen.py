"""How ``runwire top`` looks on a terminal, and the keys it obeys. rich is imported here and in
``output`` only."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from runwire._command import run_table
from runwire._command.output import Style, duration_text, pretty
from runwire._command.top_board import WIDTH, Board, Line
from runwire._command.top_feeds import Feeds

REFRESH_S = 0.25
_COLORS = {"RUNNING": "green", "LOST": "yellow", "SCHEDULED": "cyan", "FAILED": "red"}


def show(board: Board, feeds: Feeds, style: Style) -> None:
    """Until q, Ctrl-C, or an error of the feeds, which is raised."""
    from rich.console import Console
    from rich.live import Live

    console = Console(no_color=not style.color, highlight=False)
    with (
        keyboard() as pressed,
        Live(console=console, screen=True, auto_refresh=False) as screen,
    ):
        while feeds.error is None:
            drawn = picture(board, console.width, console.height, is_away=feeds.is_away)
            screen.update(drawn, refresh=True)
            if pressed(REFRESH_S) in ("q", "Q"):
                return
    raise feeds.error


def picture(board: Board, width: int, height: int, *, is_away: bool) -> Any:
    """As much of the board as fits."""
    from rich.console import Group
    from rich.text import Text

    clock = datetime.now().astimezone().strftime("%H:%M:%S")
    drawn = [Text(f"runwire top  {clock}", "bold")]
    if is_away:
        drawn[0].append("  the server is away, trying again", "red")
    shown, hidden = board.lines(), board.hidden()
    drawn.append(_row(width, ("run", "name", "state", "age", "steps/s"), ["dim"] * 5))
    for line in shown:
        if len(drawn) + 2 + len(line.keys) > height:
            hidden += 1
        else:
            drawn += _lines(line, width)
    foot = "" if shown else "nothing is running   "
    drawn.append(Text(foot + (f"{hidden} more   " if hidden else "") + "q ends", "dim"))
    return Group(*drawn)


def _lines(line: Line, width: int) -> Iterator[Any]:
    state = run_table.state(line.run)
    age = "" if line.age is None else duration_text(max(0.0, line.age.total_seconds()))
    rate = "" if line.rate is None else f"{line.rate:.4g}"
    texts = (line.run.run_id[:8], pretty(line.run.name), state, age, rate)
    yield _row(width, texts, ["cyan", "bold", _COLORS.get(state, ""), "", ""])
    for key in line.keys:
        metric = line.metrics.get(key)
        last, course = ("", "") if metric is None else (pretty(metric.last), str(metric.course))
        yield _cells(
            ("", 10, "left", ""),
            (pretty(key), width - 10 - 11 - 2 - WIDTH, "left", ""),
            (last, 11, "right", ""),
            ("", 2, "left", ""),
            (course, WIDTH, "left", "blue"),
        )


def _row(width: int, texts: Sequence[str], styles: Sequence[str]) -> Any:
    run, name, state, age, rate = zip(texts, styles, strict=True)
    return _cells(
        (run[0], 10, "left", run[1]),
        (name[0], width - 10 - 2 - 10 - 9 - 10, "left", name[1]),
        ("", 2, "left", ""),
        (state[0], 10, "left", state[1]),
        (age[0], 9, "right", age[1]),
        (rate[0], 10, "right", rate[1]),
    )


def _cells(*cells: tuple[str, int, str, str]) -> Any:
    """(text, width, side, style) of each, side by side in one line."""
    from rich.text import Text

    made = Text(no_wrap=True)
    for text, width, side, style in cells:
        cell = Text(text.replace("\n", " "), style)
        cell.truncate(max(0, width), overflow="ellipsis")
        cell.align(side, max(0, width))  # type: ignore[arg-type]
        made.append_text(cell)
    return made


@contextmanager
def keyboard() -> Iterator[Any]:
    """A function that waits so many seconds for a key; "" where none was pressed."""
    try:
        import termios
        import tty
    except ImportError:  # not a system with terminals of this kind: Ctrl-C ends it
        yield _sleep
        return
    if not sys.stdin.isatty():
        yield _sleep
        return
    before = termios.tcgetattr(sys.stdin)
    tty.setcbreak(sys.stdin)
    try:
        yield _key
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, before)


def _sleep(seconds: float) -> str:
    time.sleep(seconds)
    return ""


def _key(seconds: float) -> str:
    import os
    import select

    ready, _, _ = select.select([sys.stdin], [], [], seconds)
    return os.read(sys.stdin.fileno(), 1).decode(errors="replace") if ready else ""
