"""``RunLog``: the events of one run, into the journal. ``log_metrics`` is the hot path."""

from __future__ import annotations

import os
import shutil
import struct
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from time import time_ns
from typing import TYPE_CHECKING, Any, NoReturn

from runwire._errors import invalid
from runwire._journal_format import (
    ARTIFACT,
    FINISH,
    INPUTS,
    PARAMS,
    REMOVE_TAGS,
    TAGS,
    check_key,
    header_word,
    row_struct,
)
from runwire._journal_status import RUN_STOP_REQUESTED

if TYPE_CHECKING:
    from runwire._journal import Journal

# A job that logs ever new sets of keys would grow both sides without end; past this
# many sets its rows are stored key by key.
MAX_KEY_SETS = 4096

_INT64 = 1 << 63

RowSchema = tuple[Callable[..., bytes], int, int]  # pack, header word, bytes of a record


class RunSchemas:
    """A run's number in a journal and the key sets that it has declared there."""

    __slots__ = ("by_key", "by_keys", "index", "journal", "run_id")

    def __init__(self, journal: Journal, run_id: str, index: int):
        self.journal, self.run_id, self.index = journal, run_id, index
        self.by_keys: dict[tuple[str, ...], RowSchema] = {}
        self.by_key: dict[str, RowSchema] = {}  # the sets of one key

    def declare(self, keys: tuple[str, ...]) -> RowSchema | None:
        """The schema of a key set. None: there is no room for a new one."""
        for key in keys:
            check_key("metric", key)
        if self.journal.inherited:
            return None
        with self.journal.segments.lock:
            known = self.by_keys.get(keys)
            if known is not None:
                return known
            number = self.journal.define_schema(self.index, keys)
            if number is None:
                return None
            row = row_struct(len(keys))
            size = row.size + 8
            schema = self.by_keys[keys] = (row.pack, header_word(number, size), size)
            if len(keys) == 1:
                self.by_key[keys[0]] = schema
            return schema


class RunLog:
    """One run of a journal. Safe for threads; survives fork and pickling by attaching
    itself to the same run through a journal of the process it finds itself in."""

    __slots__ = ("_by_key", "_by_keys", "_run", "_segments")

    def __init__(self, run: RunSchemas):
        self._attach(run)

    def _attach(self, run: RunSchemas) -> None:
        # Segments last here, and first where a row is stored: who sees the new segments sees
        # their schemas. The old ones take no row any more, whatever its schema.
        self._run, self._by_keys, self._by_key = run, run.by_keys, run.by_key
        self._segments = run.journal.segments

    @property
    def run_id(self) -> str:
        return self._run.run_id

    @property
    def journal(self) -> Journal:
        """Where this run's events go now (another one after a fork)."""
        return self._run.journal

    @property
    def stop_requested(self) -> bool:
        """Somebody asked the run to stop; known from the server's acknowledgements."""
        run = self._run
        if run.journal.inherited:
            return False
        return bool(run.journal.status.run_flags(run.index) & RUN_STOP_REQUESTED)

    def log_metrics(
        self, metrics: Mapping[str, float], step: int, time_micros: int | None = None
    ) -> None:
        """Store one row: in the page cache when this returns, about a microsecond.

        Values are what ``float()`` takes (numpy and torch scalars too), NaN and
        infinities included; step is any int64. Raises TypeError or InvalidArgumentError, naming
        the key, before anything is stored.
        """
        # Before the schema: the run may be attached elsewhere by the end of a value's __float__.
        segments = self._segments
        schema = self._by_keys.get(tuple(metrics))
        if schema is None:
            self._log_slowly(metrics, step, time_micros)
            return
        pack, header, size = schema
        try:
            row = pack(
                step, time_ns() // 1000 if time_micros is None else time_micros, *metrics.values()
            )
        except (struct.error, AttributeError, TypeError, ValueError, OverflowError):
            _explain(metrics, step, time_micros)
        # Nothing from here to the header word is a call: see ``_journal_segments``.
        offset = segments.offset
        end = offset + size
        if end > segments.limit:
            self._log_slowly(metrics, step, time_micros)
            return
        segments.offset = end
        try:
            segments.view[offset + 8 : end] = row
            segments.words[offset >> 3] = header
        except BaseException:
            segments.void(offset, size)
            raise

    def log_metric(self, key: str, value: float, step: int) -> None:
        """``log_metrics`` of one value, now, in two thirds of the time."""
        segments = self._segments
        schema = self._by_key.get(key)
        if schema is None:
            self._log_slowly({key: value}, step, None)
            return
        pack, header, size = schema
        try:
            row = pack(step, time_ns() // 1000, value)
        except (struct.error, AttributeError, TypeError, ValueError, OverflowError):
            _explain({key: value}, step, None)
        # The same steps again, since a call would cost as much as they do.
        offset = segments.offset
        end = offset + size
        if end > segments.limit:
            self._log_slowly({key: value}, step, None)
            return
        segments.offset = end
        try:
            segments.view[offset + 8 : end] = row
            segments.words[offset >> 3] = header
        except BaseException:
            segments.void(offset, size)
            raise

    def _log_slowly(self, metrics: Mapping[str, float], step: int, time_micros: int | None) -> None:
        """New keys, a full segment, a fork behind us, or a mistake of the caller."""
        run = self._be_here()
        is_here = not run.journal.inherited
        if time_micros is None:
            time_micros = time_ns() // 1000
        keys = tuple(metrics)
        if not keys:
            return
        schema = run.by_keys.get(keys)
        if schema is None and len(run.by_keys) >= MAX_KEY_SETS and len(keys) > 1:
            self._log_by_key(metrics, step, time_micros)
            return
        try:
            row = row_struct(len(keys)).pack(step, time_micros, *metrics.values())
        except (struct.error, AttributeError, TypeError, ValueError, OverflowError):
            _explain(metrics, step, time_micros)
        schema = schema or run.declare(keys)
        if is_here and schema is not None and run.journal.segments.append(schema[1] >> 32, row):
            run.journal.stored_row()
        elif is_here and run.journal.inherited:  # since a moment ago: by a fork, or given up
            self._log_slowly(metrics, step, time_micros)
        else:
            run.journal.count_dropped(run.index, len(keys))

    def _log_by_key(self, metrics: Mapping[str, float], step: int, time_micros: int) -> None:
        try:
            row_struct(len(metrics)).pack(step, time_micros, *metrics.values())
        except (struct.error, AttributeError, TypeError, ValueError, OverflowError):
            _explain(metrics, step, time_micros)
        for key in metrics:
            check_key("metric", key)
        for key, value in metrics.items():
            self.log_metrics({key: value}, step, time_micros)

    def log_params(self, params: Mapping[str, str]) -> None:
        """Write-once values; the server reports another value for a known key."""
        self._record(PARAMS, "params", _texts("param", params))

    def set_tags(self, tags: Mapping[str, str]) -> None:
        self._record(TAGS, "tags", _texts("tag", tags))

    def remove_tags(self, keys: Sequence[str]) -> None:
        for key in keys:
            check_key("tag", key)
        self._record(REMOVE_TAGS, "keys", list(keys))

    def log_inputs(self, inputs: Sequence[Mapping[str, Any]]) -> None:
        """Datasets, each a DatasetInput as JSON with proto field names."""
        self._record(INPUTS, "inputs", [dict(each) for each in inputs])

    def log_artifact_file(
        self, local: Path | str, artifact_path: str, *, copy: bool = True
    ) -> None:
        """Upload a file as ``artifact_path``. With ``copy`` the caller may change or delete
        it at once; without, only after ``journal.flush()``. Raises OSError."""
        run = self._must_be_here()
        source = Path(local).absolute()
        if not copy:
            payload = {"file": str(source), "path": artifact_path}
            run.journal.record(ARTIFACT, run.index, payload)
            return
        target = run.journal.spool_path()
        try:
            _clone(source, target)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        _record_spooled(run, target, artifact_path)

    def log_artifact_bytes(self, data: bytes, artifact_path: str) -> None:
        """Upload bytes as ``artifact_path``. Raises OSError where the spool has no room."""
        run = self._must_be_here()
        target = run.journal.spool_path()
        try:
            target.write_bytes(data)
        except BaseException:
            target.unlink(missing_ok=True)
            raise
        _record_spooled(run, target, artifact_path)

    def finish(self, state: str, end_time_micros: int) -> None:
        """The run ends as FINISHED, FAILED or KILLED, once all before this is in."""
        run = self._be_here()
        run.journal.tell_dropped()
        payload = {"state": state, "end_time_micros": end_time_micros}
        run.journal.record(FINISH, run.index, payload)

    def _record(self, kind: int, name: str, value: Any) -> None:
        run = self._be_here()
        if value:
            run.journal.record(kind, run.index, {name: value})

    def _be_here(self) -> RunSchemas:
        """After a fork or unpickling: go on as a writer of this process. Where that finds no
        room, the run stays one of an inherited journal, which takes nothing and counts it."""
        run = self._run
        if not run.journal.inherited:
            run.journal.check_open()
            return run
        twin = run.journal.successor_of(run)
        if twin is None:
            return run
        self._attach(twin)
        return twin

    def _must_be_here(self) -> RunSchemas:
        run = self._be_here()
        if run.journal.inherited:
            raise OSError(f"no journal can be written in {run.journal.base}")
        return run

    def __reduce__(self) -> tuple[Any, ...]:
        from runwire._journal import attached_run

        run, journal = self._run, self._run.journal
        return attached_run, (journal.base, journal.tracking_uri, run.run_id, journal.settings)


def _record_spooled(run: RunSchemas, target: Path, artifact_path: str) -> None:
    payload = {"spooled": target.name, "path": artifact_path}
    run.journal.record(ARTIFACT, run.index, payload)


def _texts(what: str, values: Mapping[str, str]) -> dict[str, str]:
    for key, value in values.items():
        check_key(what, key)
        if not isinstance(value, str):
            raise TypeError(f"{what} {key!r} must be a str, not {type(value).__name__}")
    return dict(values)


def _explain(metrics: Mapping[str, float], step: Any, time_micros: Any) -> NoReturn:
    """Find out which argument ``struct`` did not take, and say so."""
    if not isinstance(metrics, Mapping):
        raise TypeError(f"metrics must be a mapping of keys to numbers, not {metrics!r:.80}")
    for name, value in (("step", step), ("time_micros", time_micros)):
        if value is None and name == "time_micros":
            continue
        try:
            number = value.__index__()
        except AttributeError:
            raise TypeError(f"{name} must be an int, not {type(value).__name__}") from None
        if not -_INT64 <= number < _INT64:
            raise invalid(name, f"{number} does not fit in 64 bits") from None
    for key, value in metrics.items():
        check_key("metric", key)
        try:
            struct.pack("d", value)
        except Exception as error:  # whatever the value's own __float__ raises
            raise TypeError(
                f"metric {key!r}: {type(value).__name__} is not a number ({error})"
            ) from None
    raise TypeError("metrics changed while they were logged")


def _clone(source: Path, target: Path) -> None:
    """Copy a file; on file systems that can, without copying its blocks (reflink)."""
    if not hasattr(os, "copy_file_range"):
        shutil.copyfile(source, target)
        return
    with source.open("rb") as reader, target.open("xb") as writer:
        left = os.fstat(reader.fileno()).st_size
        try:
            while left > 0:
                copied = os.copy_file_range(reader.fileno(), writer.fileno(), left)
                if copied == 0:
                    break
                left -= copied
        except OSError:  # across file systems of different kinds
            reader.seek(0)
            writer.seek(0)
            writer.truncate()
            shutil.copyfileobj(reader, writer, 1 << 20)
