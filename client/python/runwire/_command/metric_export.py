"""Every point of some series to a file: Parquet, CSV or JSON lines.

A row a point: run_id, key, step, time (UTC, to the microsecond), value. NaN and infinities
come back from each of them: as such from Parquet, as ``nan`` and ``inf`` from CSV, and
from JSON, which has no numbers for them, as the strings "NaN", "Infinity" and "-Infinity".
"""

from __future__ import annotations

import argparse
import csv
import io
import json
import secrets
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from runwire._command.failure import NOT_FOUND, CommandError
from runwire._command.find import connected, run_id_of
from runwire._command.metric_range import range_of
from runwire._command.output import Done, json_number, progress

if TYPE_CHECKING:
    from runwire import Client
    from runwire._series import Series

COLUMNS = ("run_id", "key", "step", "time", "value")
# Points of a row group of Parquet: enough to be read fast, few enough for memory.
GROUP_POINTS = 1 << 18

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001  a base to add to; the text says Z
Rows = Iterator[tuple[str, str, int, str, float]]
Write = Callable[["Series"], None]


def export(args: argparse.Namespace) -> Done | None:
    """The handler of ``runwire metrics export``."""
    kind = args.format or Path(args.output).suffix.removeprefix(".")
    if kind not in WRITERS:
        raise CommandError("--format is one of " + ", ".join(WRITERS), code=2)
    with connected(args) as client:
        run_ids = [run_id_of(client, run) for run in args.run]
        with _target(args.output) as file, WRITERS[kind](file) as write:
            points = _copy(client, run_ids, args, write)
    if args.output == "-":
        return None
    text = f"exported {points:,} points to {args.output}"
    return Done(text, str(points), {"path": args.output, "points": points})


def _copy(client: Client, run_ids: list[str], args: argparse.Namespace, write: Write) -> int:
    """The points that were written."""
    from runwire._series import Series, rows_of

    done, missing = 0, set(args.key)
    messages = client.metrics.read_stream(
        run_ids, args.key, key_prefixes=args.prefix, **range_of(args)
    )
    with progress("exporting", unit="points") as bar:
        total = _points(client, run_ids, args) if bar else 0
        for part in map(rows_of, messages):
            missing.discard(part.key)
            if isinstance(part, Series):
                write(part)
            done += len(part)
            if bar:
                bar(done, total)
    if missing:
        raise CommandError(f"no run has a metric {min(missing)!r}", code=NOT_FOUND)
    return done


def _points(client: Client, run_ids: list[str], args: argparse.Namespace) -> int:
    """Of the series, a range left aside."""
    prefixes = tuple(args.prefix)
    everything = not (args.key or prefixes)
    return sum(
        one.points
        for run_id in run_ids
        for one in client.metrics.list(run_id)
        if everything or one.key in args.key or one.key.startswith(prefixes)
    )


@contextmanager
def _target(output: str) -> Iterator[BinaryIO]:
    """Where to write: a file that appears when it is whole, or standard output for "-"."""
    if output == "-":
        yield sys.stdout.buffer
        return
    path = Path(output)
    part = path.with_name(f".runwire-{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            yield file
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _parquet(file: BinaryIO) -> Iterator[Write]:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        hint = "pip install 'runwire[arrow]'"
        raise CommandError(f"Parquet needs {error.name}, which is not installed", hint) from None
    from runwire._series import SeriesSet

    held: list[Any] = [SeriesSet().to_arrow()]

    def flush() -> None:
        if sum(table.num_rows for table in held):
            writer.write_table(pa.concat_tables(held))
        del held[1:]

    def write(part: Series) -> None:
        held.append(part.to_arrow())
        if sum(table.num_rows for table in held) >= GROUP_POINTS:
            flush()

    with parquet.ParquetWriter(file, held[0].schema, compression="zstd") as writer:
        yield write
        flush()


@contextmanager
def _csv(file: BinaryIO) -> Iterator[Write]:
    text = io.TextIOWrapper(file, "utf-8", newline="", write_through=True)
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    yield lambda part: writer.writerows(_rows(part))
    text.detach()


@contextmanager
def _jsonl(file: BinaryIO) -> Iterator[Write]:
    dump = json.JSONEncoder(ensure_ascii=False, allow_nan=False).encode

    def write(part: Series) -> None:
        lines = (
            dump(dict(zip(COLUMNS, (*row[:-1], json_number(row[-1])), strict=True)))
            for row in _rows(part)
        )
        file.write("".join(f"{line}\n" for line in lines).encode())

    yield write


WRITERS = {"parquet": _parquet, "csv": _csv, "jsonl": _jsonl}


def _rows(part: Series) -> Rows:
    columns = (column.tolist() for column in part.columns().values())
    for step, time, value in zip(*columns, strict=True):
        try:
            moment = _EPOCH + timedelta(microseconds=time)
        except OverflowError:
            where = f"step {step} of {part.key!r} in run {part.run_id}"
            problem = f"{where} has a time outside of the years 1 to 9999"
            raise CommandError(problem, "Parquet can hold it") from None
        yield part.run_id, part.key, step, moment.isoformat(timespec="microseconds") + "Z", value
