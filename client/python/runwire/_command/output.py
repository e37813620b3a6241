"""What a command prints, in one of three styles.

- ``--json``: one JSON document.
- a terminal with rich installed: tables; times (in your zone), durations and sizes for people.
- else tab-separated lines without a header, whole values, times in ISO 8601, durations in
  seconds: a contract for scripts. Tabs and line ends inside a value become spaces.

rich is imported here and in ``top_screen``, and only for a terminal.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, TextIO

from runwire._command.failure import CommandError


class Size(int):
    """Bytes; people see "1.5 MiB"."""


class Id(str):
    """A run id; people see its first digits, with which commands find it too."""

    @property
    def short(self) -> str:
        return self[:8]


@dataclass
class Style:
    json: bool
    rich: bool
    color: bool

    @classmethod
    def of(cls, args: argparse.Namespace) -> Style:
        terminal = sys.stdout.isatty() and os.environ.get("TERM") != "dumb"
        rich = terminal and importlib.util.find_spec("rich") is not None
        color = not (getattr(args, "no_color", False) or os.environ.get("NO_COLOR"))
        return cls(getattr(args, "json", False), rich, color)


@dataclass
class Table:
    """Rows under columns. ``document`` is what --json prints, ``marked`` rows stand out."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    document: object
    marked: frozenset[int] = frozenset()
    empty: str = "nothing found"
    more: bool = False  # there is more than the limit let through
    more_hint: str = "--limit N, or 0 for all"
    code: int = 0


@dataclass
class Record:
    """One thing by its fields."""

    fields: Sequence[tuple[str, object]]
    document: object


@dataclass
class Done:
    """Something was done: ``value`` (an id, a number) is all that a script needs of it."""

    text: str
    value: str = ""
    document: object = field(default_factory=dict)
    code: int = 0


def show(printable: object, style: Style) -> int:
    """Print what a handler returned; returns the exit code."""
    if isinstance(printable, int):
        return printable
    if style.json:
        if printable is not None:
            _write_json(getattr(printable, "document", {}))
    elif isinstance(printable, Table):
        _show_table(printable, style)
    elif isinstance(printable, Record):
        rows = [(name, value) for name, value in printable.fields if value not in ("", None)]
        _show_table(Table(("field", "value"), rows, None), style, header=False)
    elif isinstance(printable, Done):
        print(printable.text if style.rich else printable.value or printable.text)
    return getattr(printable, "code", 0)


def _write_json(document: object) -> None:
    json.dump(_finite(document), sys.stdout, indent=2, ensure_ascii=False, allow_nan=False)
    print()


def json_number(value: float) -> float | str:
    """JSON has no NaN and no infinities: as in protobuf's JSON, these become strings."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _finite(value: object) -> object:
    if isinstance(value, float):
        return json_number(value)
    if isinstance(value, dict):
        return {key: _finite(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(one) for one in value]
    return iso_text(value) if isinstance(value, datetime) else value


def _show_table(table: Table, style: Style, *, header: bool = True) -> None:
    if not style.rich:
        for row in table.rows:
            print("\t".join(plain(value) for value in row))
        return
    if not table.rows:
        print(table.empty)
        return
    from rich.box import SIMPLE_HEAD
    from rich.table import Table as RichTable
    from rich.text import Text

    drawn = RichTable(box=SIMPLE_HEAD, show_header=header, header_style="bold", pad_edge=False)
    for number, name in enumerate(table.columns):
        right = all(_is_number(row[number]) for row in table.rows)
        first = "cyan" if number == 0 else ""
        drawn.add_column(
            Text(pretty(name)), justify="right" if right else "left", style=first, overflow="fold"
        )
    for index, row in enumerate(table.rows):
        bold = "bold yellow" if index in table.marked else None
        drawn.add_row(*(Text(pretty(value)) for value in row), style=bold)
    _console(style, sys.stdout).print(drawn)
    if table.more:
        print(f"… there are more: {table.more_hint}", file=sys.stderr)


def _console(style: Style, file: TextIO) -> Any:
    from rich.console import Console

    return Console(file=file, no_color=not style.color, highlight=False, soft_wrap=False)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def plain(value: object) -> str:
    """For scripts, in one line."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return iso_text(value)
    if isinstance(value, timedelta):
        return repr(value.total_seconds())
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(int(value))
    if isinstance(value, list | tuple):
        return ",".join(plain(one) for one in value)
    return " ".join(str(value).splitlines()).replace("\t", " ")


def pretty(value: object) -> str:
    """For people."""
    if isinstance(value, datetime):
        return value.astimezone().strftime("%Y-%m-%d %H:%M:%S")
    if isinstance(value, Id):
        return value.short
    if isinstance(value, Size):
        return size_text(value)
    if isinstance(value, timedelta):
        return duration_text(value.total_seconds())
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, list | tuple):
        return ", ".join(pretty(one) for one in value)
    # A terminal obeys control characters; what a stranger logged must not.
    text = "" if value is None else str(value)
    return "".join(one if one.isprintable() or one == "\n" else "�" for one in text)


def iso_text(time: datetime) -> str:
    """ "2026-11-20T21:27:58.825596Z"."""
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")


def duration_text(seconds: float) -> str:
    """ "16 ms", "4.6 s", "3:05", "27:03:05"."""
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def size_text(size_bytes: int) -> str:
    """ "1.5 MiB"."""
    size, units = float(size_bytes), iter(("B", "KiB", "MiB", "GiB", "TiB"))
    unit = next(units)
    while size >= 1024 and unit != "TiB":
        size, unit = size / 1024, next(units)
    return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"


def confirm(question: str, args: argparse.Namespace) -> None:
    """Ask before something is destroyed, on a terminal only. Raises where the answer is no."""
    if args.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise CommandError("nothing was done")


@contextmanager
def progress(text: str, *, unit: str = "bytes") -> Iterator[Callable[[int, int], None] | None]:
    """A bar of (bytes done, bytes in all), or of another unit, on standard error, where that
    is a terminal with rich installed; else None."""
    if not sys.stderr.isatty() or importlib.util.find_spec("rich") is None:
        yield None
        return
    from rich import progress as rich_progress
    from rich.console import Console

    amounts = (
        [rich_progress.DownloadColumn(binary_units=True), rich_progress.TransferSpeedColumn()]
        if unit == "bytes"
        else [rich_progress.MofNCompleteColumn(), rich_progress.TextColumn(unit)]
    )
    bar = rich_progress.Progress(
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        *amounts,
        rich_progress.TimeRemainingColumn(),
        console=Console(file=sys.stderr),
        transient=True,
    )
    with bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
