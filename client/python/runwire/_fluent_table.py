"""The fluent API's tables: rows that grow with each call, as a JSON file of the run."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from runwire._errors import NotFoundError, RunwireError, UnavailableError, invalid
from runwire._fluent import to, warn
from runwire._fluent_artifact import check_file

if TYPE_CHECKING:
    from runwire._active import ActiveRun

Row = dict[Any, Any]
_lock = threading.Lock()


@dataclass
class Table:
    """What the file at ``path`` holds, with what this process has added to it."""

    path: str
    columns: dict[Any, None] = field(default_factory=dict)
    rows: list[Row] = field(default_factory=list)

    def to_json(self) -> bytes:
        """pandas' ``orient="split"``. NaN and infinities are written as Python's ``json`` does."""
        data = [[row.get(name) for name in self.columns] for row in self.rows]
        return json.dumps({"columns": list(self.columns), "data": data}).encode()


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Log rows of a table as JSON; later calls for the same file append their rows.

    ``data``: a dict of columns (lists, or one value each), or a DataFrame. The file has
    the form of pandas' ``orient="split"``. A column that some rows lack is null there. Times
    become ISO 8601, PIL images files beside the table (``table_images/…``), and what JSON has
    no form for its ``str()``.

    Each call writes the whole file anew. Of two processes that append to one file at once the
    last wins: give each its own, ``load_table`` puts runs together. A run that this process
    resumed goes on from what the server has; where that cannot be asked, the rows go to a file
    of their own beside it, and a warning names it.

    >>> runwire.log_table({"input": ["a", "b"], "output": [1, 2]}, "eval.json")
    """
    path = check_file(artifact_file)
    if not path.endswith(".json"):
        raise invalid("artifact_file", f"{path!r}: tables are stored as .json")
    columns, rows = _parts(data)
    run = to(run_id)
    rows = [{name: _cell(run, value) for name, value in row.items()} for row in rows]
    table = run.tables.get(path) or run.tables.setdefault(path, _begun(run, path))
    with _lock:
        table.columns |= dict.fromkeys(columns)
        table.rows += rows
        run.log.log_artifact_bytes(table.to_json(), table.path)


def _parts(data: Any) -> tuple[list[Any], list[Row]]:
    """Names of the columns, and the rows."""
    if hasattr(data, "to_dicts"):  # polars
        return [str(name) for name in data.columns], data.to_dicts()
    if hasattr(data, "columns") and hasattr(data, "itertuples"):
        if not data.columns.is_unique:
            raise invalid("data", "two columns of the table have one name")
        names = [name if isinstance(name, str | int) else str(name) for name in data.columns]
        return names, [_row(names, row) for row in data.itertuples(index=False, name=None)]
    if not isinstance(data, Mapping):
        raise TypeError(f"a table is a dict of columns or a DataFrame, not {type(data).__name__}")
    columns = {name: _column(values) for name, values in data.items()}
    if len({len(values) for values in columns.values()}) > 1:
        sizes = ", ".join(f"{name}: {len(values)}" for name, values in columns.items())
        raise invalid("data", f"columns of a table are equally long ({sizes})")
    return list(columns), [_row(columns, row) for row in zip(*columns.values(), strict=True)]


def _row(names: Any, values: Any) -> Row:
    return dict(zip(names, values, strict=True))


def _column(values: Any) -> list[Any]:
    is_array = hasattr(values, "tolist") and getattr(values, "ndim", 0) > 0
    if is_array or (isinstance(values, Sequence) and not isinstance(values, str | bytes)):
        return list(values)
    return [values]


def _cell(run: ActiveRun, value: Any) -> Any:
    """A value as JSON has it."""
    if value is None or type(value) in (str, int, float, bool):
        return value
    if type(value).__name__ in ("NAType", "NaTType"):  # of pandas
        return None
    if isinstance(value, Mapping):
        return {str(key): _cell(run, one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_cell(run, one) for one in value]
    if hasattr(value, "save") and hasattr(value, "mode"):
        return _image(run, value)
    if getattr(getattr(value, "dtype", None), "kind", "") in ("M", "m"):
        return value.astype("U").tolist()
    if hasattr(value, "tolist"):
        return _cell(run, value.tolist())
    return value.isoformat() if hasattr(value, "isoformat") else str(value)


def _image(run: ActiveRun, image: Any) -> dict[str, str]:
    """In the form that mlflow has for it."""
    from runwire._fluent_image import encoded

    path = f"table_images/{os.urandom(16).hex()}.png"
    run.log.log_artifact_bytes(encoded(image, path), path)
    return {"type": "image", "filepath": path}


def _begun(run: ActiveRun, path: str) -> Table:
    """A new table, or the one that another process has logged to this run."""
    if run.is_ours and "start_time" in run.known:
        return Table(path)
    try:
        return _stored(run, path)
    except RunwireError as error:
        aside = Table(f"{path.removesuffix('.json')}-{os.urandom(4).hex()}.json")
        warn(
            "log_table: what %s of run %s holds is not known here (%s); rows go to %s",
            *(path, run.run_id, error, aside.path),
        )
        return aside


def _stored(run: ActiveRun, path: str) -> Table:
    from runwire import _session

    if run.log.journal.settings.uploader == "off":
        raise UnavailableError("offline")
    _session.flush_own()
    try:
        data = _session.client().artifacts.download(run.run_id, path).read()
    except NotFoundError:
        return Table(path)
    return read_table(path, data)


def read_table(path: str, data: bytes) -> Table:
    """Raises ``InvalidArgumentError`` where the bytes are no table."""
    try:
        stored = json.loads(data)
        names, rows = stored["columns"], stored["data"]
        return Table(path, dict.fromkeys(names), [_row(names, row) for row in rows])
    except (ValueError, KeyError, TypeError) as error:
        raise invalid("artifact_file", f"{path!r} is no table: {error!r}") from error


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
