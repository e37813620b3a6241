"""Runs as tables: a list, one run, several side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from runwire._command.output import Id, Record, Table
from runwire._command.resource import document, enum_name, time_of

ATTRIBUTES: dict[str, Callable[[Any], object]] = {
    "run_id": lambda run: Id(run.run_id),
    "experiment_id": lambda run: run.experiment_id,
    "name": lambda run: run.name,
    "description": lambda run: run.description,
    "state": lambda run: state(run),
    "user": lambda run: run.user,
    "start_time": lambda run: time_of(run.start_time),
    "end_time": lambda run: time_of(run.end_time),
    "heartbeat_time": lambda run: time_of(run.heartbeat_time),
    "delete_time": lambda run: time_of(run.delete_time),
    "duration": lambda run: duration(run),
    "git_commit": lambda run: run.source.git_commit,
    "source": lambda run: run.source.name,
    "host": lambda run: run.source.host,
    "parent_run_id": lambda run: run.parent_run_id,
}
LISTED = ("run_id", "name", "experiment_id", "state", "start_time", "duration", "user")


def split_columns(text: str) -> list[str]:
    """The names in ``a,b``; a comma inside quotes belongs to the name."""
    names, name, quote = [], "", ""
    for character in text:
        if character == "," and not quote:
            names.append(name)
            name = ""
            continue
        if character in "\"`'" and quote in ("", character):
            quote = "" if quote else character
        name += character
    return [one.strip() for one in [*names, name] if one.strip()]


def is_attribute(column: str) -> bool:
    return column in ATTRIBUTES


def listing(runs: Sequence[Any], columns: Sequence[str], *, more: bool) -> Table:
    rows = [
        [ATTRIBUTES[name](run) for name in LISTED] + [value(run, name) for name in columns]
        for run in runs
    ]
    headers = ["run", "name", "experiment", "state", "started", "duration", "user", *columns]
    return Table(headers, rows, [document(run) for run in runs], empty="no runs", more=more)


def value(run: Any, column: str) -> object:
    """What a run has in a column such as ``params.lr`` or ``min(metrics.loss)``; None: nothing."""
    if column in ATTRIBUTES:
        return ATTRIBUTES[column](run)
    function, _, inner = column.rstrip(")").rpartition("(")
    kind, _, key = inner.partition(".")
    key = key.strip("\"`'")
    entries = {"param": run.params, "tag": run.tags, "metric": run.metrics}.get(kind.rstrip("s"))
    return None if entries is None else entries.get(f"{function}({key})" if function else key)


def state(run: Any) -> str:
    return enum_name(run.DESCRIPTOR.fields_by_name["state"].enum_type, run.state)


def duration(run: Any) -> timedelta | None:
    """From start to end, or to now while it is running."""
    start, end = time_of(run.start_time), time_of(run.end_time)
    if start is None or (end is None and state(run) != "RUNNING"):
        return None
    return (end or datetime.now(UTC)) - start


def record(run: Any) -> Record:
    fields: list[tuple[str, object]] = [
        (name, str(run.run_id) if name == "run_id" else get(run))
        for name, get in ATTRIBUTES.items()
    ]
    for kind, entries in (("params", run.params), ("metrics", run.metrics), ("tags", run.tags)):
        fields += [(f"{kind}.{key}", entries[key]) for key in sorted(entries)]
    fields += [
        (f"input.{one.tags.get('context', '')}".rstrip("."), _input(one)) for one in run.inputs
    ]
    if run.truncated:
        fields.append(("truncated", "there is more: 'runwire metrics ls' lists every metric"))
    return Record(fields, document(run))


def _input(one: Any) -> str:
    return " ".join(filter(None, (one.name, one.digest, one.source)))


def comparison(runs: Sequence[Any], *, only_differences: bool) -> Table:
    """A row for each thing that one of the runs has; rows that differ are marked."""
    rows: list[list[object]] = []
    marked: set[int] = set()
    for name, values in _compared(runs):
        differ = len({repr(one) for one in values}) > 1  # so that NaN equals NaN
        if only_differences and not differ:
            continue
        if differ:
            marked.add(len(rows))
        rows.append(["*" if differ else "", name, *values])
    ids = [Id(run.run_id) for run in runs]
    heads = [f"{run.name or 'run'} {Id(run.run_id).short}" for run in runs]
    documents = {
        str(name): {"differs": bool(mark), "values": dict(zip(ids, values, strict=True))}
        for mark, name, *values in rows
    }
    return Table(["", "", *heads], rows, documents, frozenset(marked), empty="no differences")


def _compared(runs: Sequence[Any]) -> list[tuple[str, list[object]]]:
    found: list[tuple[str, list[object]]] = []
    for name in ("state", "user", "git_commit", "source"):
        values = [ATTRIBUTES[name](run) for run in runs]
        if any(values):
            found.append((name, values))
    for kind in ("params", "metrics", "tags"):
        maps = [getattr(run, kind) for run in runs]
        for key in sorted(set().union(*maps)):
            found.append((f"{kind}.{key}", [one.get(key) for one in maps]))
    inputs = [{one.name: one.digest for one in run.inputs} for run in runs]
    for name in sorted(set().union(*inputs)):
        found.append((f"input.{name}", [one.get(name) for one in inputs]))
    return found
