"""One group of batches in one transaction: all that an acknowledgement promises.

Order of locks, for every transaction that writes to runs: the rows of ``runs`` by
run id, then what hangs on them. Writers of a run change under the lock of its row
only, so that ``committed_sequence`` read after it is the truth; so do arrivals, which
number the frames of a run without a gap, in the order in which they are committed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import sqlalchemy as sa
from runwire.v1.common_pb2 import Fault
from runwire.v1.metric_pb2 import WriteAck
from runwire.v1.run_pb2 import Run

from runwire_server.errors import Deleted, Diverged, NotFound, RunSealed, SequenceGap, ServiceError
from runwire_server.metrics import frames
from runwire_server.metrics.catalogue import Admission, Catalogue
from runwire_server.metrics.columns import Columns
from runwire_server.metrics.intake import Entry, Points
from runwire_server.retry import TransactionConflict
from runwire_server.store import run as run_store
from runwire_server.store import run_change
from runwire_server.store.database import Transaction
from runwire_server.store.tables import experiments, metric_frames, metric_writers, runs

OPEN_STATES = frozenset((Run.STATE_SCHEDULED, Run.STATE_RUNNING, Run.STATE_LOST))

_INSERT_FRAMES = metric_frames.insert()
_INSERT_WRITERS = metric_writers.insert()
# Compare and set: should two servers ever get this far at once, one of them fails.
_ADVANCE_WRITERS = (
    metric_writers.update()
    .where(
        metric_writers.c.run_id == sa.bindparam("of_run"),
        metric_writers.c.writer_id == sa.bindparam("of_writer"),
        metric_writers.c.committed_sequence == sa.bindparam("stored_sequence"),
    )
    .values(committed_sequence=sa.bindparam("sequence"), position=sa.bindparam("at"))
)
_TOUCH_RUNS = (
    runs.update()
    .where(runs.c.run_id == sa.bindparam("of_run"))
    .values(
        state=sa.bindparam("new_state"),
        heartbeat_time=sa.bindparam("now"),
        last_arrival=sa.bindparam("arrived"),
        summaries_stale=sa.bindparam("stale"),
        revision=runs.c.revision + 1,
    )
)
_RUNS = (
    sa.select(
        runs.c.run_id,
        runs.c.state,
        runs.c.delete_time,
        # The id of its experiment where that is in the trash. Not a join: that would lock it.
        sa.select(experiments.c.experiment_id)
        .where(
            experiments.c.experiment_id == runs.c.experiment_id,
            experiments.c.delete_time.is_not(None),
        )
        .scalar_subquery()
        .label("deleted_experiment"),
        runs.c.stop_reason,
        runs.c.pending_finish,
        runs.c.last_arrival,
        runs.c.summaries_stale,
    )
    .where(runs.c.run_id.in_(sa.bindparam("run_ids", expanding=True)))
    .order_by(runs.c.run_id)
)
_WRITERS = sa.select(
    metric_writers.c.run_id,
    metric_writers.c.writer_id,
    metric_writers.c.committed_sequence,
    metric_writers.c.position,
    metric_writers.c.closed,
).where(
    metric_writers.c.run_id.in_(sa.bindparam("run_ids", expanding=True)),
    metric_writers.c.writer_id.in_(sa.bindparam("writer_ids", expanding=True)),
)
# SQLite looks for pairs, (run_id, writer_id) IN ..., by a scan of the whole table; two
# lists are probes of the key, but of every combination: so only for some runs at a time.
_RUNS_A_QUERY = 16


@dataclass(slots=True)
class _Run:
    state: int
    delete_time: int | None
    deleted_experiment: int | None
    stop_requested: bool
    pending_finish: bool
    last_arrival: int
    stale: bool
    touched: bool = False
    new_bytes: int = 0


@dataclass(slots=True)
class _Writer:
    committed: int = 0
    position: int = 0
    closed: bool = False
    stored: int | None = None  # committed_sequence of its row; None: it has no row yet
    touched: bool = False


@dataclass(frozen=True, slots=True)
class Committed:
    """What a committed group means to those who wait, one outcome for each entry."""

    outcomes: list[WriteAck | ServiceError]
    stop_requested: dict[str, bool]  # by run id
    got: dict[str, int]  # runs that got points: bytes of them


class Group:
    """The entries of one group in one transaction.

    ``apply`` writes them; ``committed``, after the commit, says what became of them.
    An entry that may not be written is left out by itself. Anything else that goes
    wrong is raised, and the whole transaction is to be rolled back.
    """

    def __init__(self, tx: Transaction, catalogue: Catalogue, entries: Sequence[Entry]):
        self._tx = tx
        self._entries = entries
        self._admission = Admission(tx, catalogue)
        self._faults: dict[Entry, list[tuple[str, int, Fault]]] = {}
        self._errors: dict[Entry, ServiceError] = {}
        self._runs: dict[str, _Run] = {}
        self._writers: dict[tuple[str, str], _Writer] = {}

    def apply(self) -> None:
        self._load()
        accepted = [entry for entry in self._entries if self._accept(entry)]
        self._write_points([entry for entry in accepted if entry.points is not None])
        for entry in accepted:
            self._write_entries(entry)
        self._write_writers()
        self._write_runs()

    def committed(self) -> Committed:
        self._admission.commit()
        return Committed(
            [self._errors.get(entry) or self._ack(entry) for entry in self._entries],
            {run_id: run.stop_requested for run_id, run in self._runs.items()},
            {run_id: run.new_bytes for run_id, run in self._runs.items() if run.new_bytes},
        )

    def _load(self) -> None:
        run_ids = sorted({entry.run_id for entry in self._entries})
        for row in self._tx.execute(self._tx.locked(_RUNS), {"run_ids": run_ids}):
            self._runs[row.run_id] = _Run(
                row.state,
                row.delete_time,
                row.deleted_experiment,
                row.stop_reason is not None,
                row.pending_finish is not None,
                row.last_arrival,
                row.summaries_stale,
            )
        for start in range(0, len(run_ids), _RUNS_A_QUERY):
            self._load_writers(set(run_ids[start : start + _RUNS_A_QUERY]))

    def _load_writers(self, run_ids: set[str]) -> None:
        writer_ids = {entry.writer_id for entry in self._entries if entry.run_id in run_ids}
        wanted = {"run_ids": sorted(run_ids), "writer_ids": sorted(writer_ids)}
        for row in self._tx.execute(_WRITERS, wanted):
            committed = row.committed_sequence
            self._writers[row.run_id, row.writer_id] = _Writer(
                committed, row.position, row.closed, committed
            )

    def _accept(self, entry: Entry) -> bool:
        """Whether the entry is to be written; if not, it has an error or is there already."""
        try:
            run, writer = self._check(entry)
        except ServiceError as error:
            self._errors[entry] = error
            return False
        if entry.sequence and entry.sequence <= writer.committed:
            return False
        if not entry.sequence and not _may_write(run, writer):
            return False  # a known writer of a finished run is told where it stands
        run.touched = True
        if entry.writer_id:
            self._writers[entry.run_id, entry.writer_id] = writer
            writer.touched = writer.touched or bool(entry.sequence)
        if entry.sequence:
            writer.committed, writer.position = entry.sequence, entry.position
        return True

    def _check(self, entry: Entry) -> tuple[_Run, _Writer]:
        run = self._runs.get(entry.run_id)
        if run is None:
            raise NotFound("run", entry.run_id)
        if run.delete_time is not None:
            raise Deleted("run", entry.run_id)
        if run.deleted_experiment is not None:
            raise Deleted("experiment", run.deleted_experiment)
        writer = self._writers.get((entry.run_id, entry.writer_id))
        if writer is not None and entry.sequence <= writer.committed:
            return run, writer
        if not _may_write(run, writer):
            raise RunSealed(entry.run_id, Run.State.Name(run.state).removeprefix("STATE_"))
        writer = writer or _Writer()
        if entry.sequence > writer.committed + 1:
            raise SequenceGap(entry.sequence, writer.committed)
        if entry.sequence and entry.after_position not in (None, writer.position):
            raise Diverged(entry.sequence, writer.committed, writer.position)
        return run, writer

    def _write_points(self, entries: list[Entry]) -> None:
        wanted = {
            columns: entry.run_id
            for entry in entries
            for columns, _ in _points(entry).columns
            if not columns.admitted
        }
        refused = self._admission.admit(wanted) if wanted else {}
        rows: list[dict[str, object]] = []
        for entry in entries:
            points = self._kept(entry, refused)
            if points is None:
                continue
            run = self._runs[entry.run_id]
            run.new_bytes += len(points.payload)
            run.last_arrival += 1
            rows.append(
                {
                    "run_id": entry.run_id,
                    "arrival": run.last_arrival,
                    "writer_id": entry.writer_id,
                    "sequence": entry.sequence,
                    "points": points.count,
                    "step_min": points.step_min,
                    "step_max": points.step_max,
                    "time_min": points.time_min,
                    "time_max": points.time_max,
                    "receive_time": self._tx.now,
                    "data": points.payload,
                }
            )
        if rows:
            self._tx.execute(_INSERT_FRAMES, rows)

    def _kept(self, entry: Entry, refused: dict[Columns, dict[int, Fault]]) -> Points | None:
        """The entry's points less the refused columns, which are counted."""
        points = _points(entry)
        dropped: set[int] = set()
        for columns, rows in points.columns:
            faults = refused.get(columns)
            if faults:
                names = dict(zip(columns.key_ids.tolist(), columns.names, strict=True))
                dropped |= faults.keys()
                self._faults.setdefault(entry, []).extend(
                    (names[key], rows, fault) for key, fault in faults.items()
                )
        if not dropped:
            return points
        origin = frames.Origin(entry.run_id, entry.writer_id, entry.sequence)
        left = frames.without(
            frames.decode(points.payload, origin), np.array(sorted(dropped), frames.INT)
        )
        if not left:
            return None
        count = sum(frame.values.size for frame in left)
        return replace(points, payload=frames.encode(left), count=count, columns=[])

    def _write_entries(self, entry: Entry) -> None:
        """Params, tags and inputs; what was removed first may be set again in the same batch."""
        tx, run_id = self._tx, entry.run_id
        if entry.removed_tags or entry.params or entry.tags or entry.inputs:
            run_change.note(tx, run_id)
        faults: list[tuple[str, Fault]] = []
        if entry.removed_tags:
            run_store.remove_tags(tx, run_id, entry.removed_tags)
        if entry.params:
            faults += run_store.log_params(tx, run_id, entry.params)
        if entry.tags:
            faults += run_store.set_tags(tx, run_id, entry.tags)
        if entry.inputs:
            faults += run_store.add_inputs(tx, run_id, entry.inputs)
        if faults:
            self._faults.setdefault(entry, []).extend((key, 0, fault) for key, fault in faults)

    def _write_writers(self) -> None:
        new, advanced = [], []
        for (run_id, writer_id), writer in sorted(self._writers.items()):
            if writer.stored is None:
                new.append(
                    {
                        "run_id": run_id,
                        "writer_id": writer_id,
                        "committed_sequence": writer.committed,
                        "position": writer.position,
                        "closed": False,
                        "open_time": self._tx.now,
                    }
                )
            elif writer.touched:
                advanced.append(
                    {
                        "of_run": run_id,
                        "of_writer": writer_id,
                        "stored_sequence": writer.stored,
                        "sequence": writer.committed,
                        "at": writer.position,
                    }
                )
        if new:
            self._tx.execute(_INSERT_WRITERS, new)
        if advanced and self._tx.execute(_ADVANCE_WRITERS, advanced).rowcount != len(advanced):
            raise TransactionConflict(what="another server wrote for the same writer")

    def _write_runs(self) -> None:
        touched = [
            {
                "of_run": run_id,
                "new_state": Run.STATE_RUNNING if run.state == Run.STATE_LOST else run.state,
                "now": self._tx.now,
                "arrived": run.last_arrival,
                "stale": run.stale or run.new_bytes > 0,
            }
            for run_id, run in sorted(self._runs.items())
            if run.touched
        ]
        if touched:
            self._tx.execute(_TOUCH_RUNS, touched)
        for run_id, run in self._runs.items():
            if run.touched and run.state == Run.STATE_LOST:
                run_change.note(self._tx, run_id)
        for run_id in _sorted_pending(self._runs.items()):
            run_store.finish_if_reached(self._tx, run_id)

    def _ack(self, entry: Entry) -> WriteAck:
        for key, points, fault in self._faults.get(entry, ()):
            entry.refusals.add(key, points, fault)
        writer = self._writers.get((entry.run_id, entry.writer_id)) or _Writer()
        return WriteAck(
            committed_sequence=writer.committed,
            position=writer.position,
            rejections=entry.refusals.messages(entry.sequence),
        )


def _may_write(run: _Run, writer: _Writer | None) -> bool:
    if run.state in OPEN_STATES:
        return True
    # It wrote before the run was finished by others: what it still has is welcome.
    return writer is not None and writer.stored is not None and not writer.closed


def _points(entry: Entry) -> Points:
    assert entry.points is not None  # noqa: S101 - callers select entries that have points
    return entry.points


def _sorted_pending(items: Iterable[tuple[str, _Run]]) -> list[str]:
    return sorted(run_id for run_id, run in items if run.touched and run.pending_finish)
