"""The states of a run and the verbs that change them.

A run is under way while it is SCHEDULED, RUNNING or LOST, and over once it is
FINISHED, FAILED or KILLED. Verbs can be repeated: where there is nothing left to
do, nothing is written and no revision drawn.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import sqlalchemy as sa
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2 import FinishRunRequest

from runwire_server.errors import FieldInvalid, RunSealed, TooLarge
from runwire_server.limits import check_value
from runwire_server.store import run_change, run_row
from runwire_server.store.check import check_name
from runwire_server.store.database import Transaction
from runwire_server.store.run_row import RunRow
from runwire_server.store.tables import metric_writers, runs
from runwire_server.store.times import from_proto

OVER = (Run.STATE_FINISHED, Run.STATE_FAILED, Run.STATE_KILLED)
MAX_WRITER_ID_BYTES = 64
# A waiting request is kept in the run's row, which is read with every search.
MAX_PENDING_BYTES = 256 * 1024


def finish(tx: Transaction, request: FinishRunRequest) -> None:
    """End the run: at once, or when the writers in ``after`` have reached their sequences.

    Closes those writers, or every writer of the run where ``after`` is empty. A later
    call takes the place of one that still waits. A run that is over in the same state
    stays as it is. Raises ``RunSealed`` where it is over in another one, ``NotFound``,
    ``Deleted``, ``FieldInvalid`` and ``TooLarge``.
    """
    _check(request)
    row = run_row.locked_live(tx, request.run_id)
    if row.state in OVER:
        if row.state != request.state:
            raise RunSealed(request.run_id, state_name(row.state))
        return
    waiting = FinishRunRequest()
    waiting.CopyFrom(request)
    if not request.HasField("end_time"):
        waiting.end_time.FromMicroseconds(tx.now)
    if _reached(tx, request.run_id, request.after):
        _apply(tx, row, waiting)
    elif not _same(row.pending_finish, request):
        run_row.change(tx, row, pending_finish=waiting.SerializeToString(deterministic=True))


def finish_if_reached(tx: Transaction, run_id: str) -> bool:
    """Apply the run's ``pending_finish`` where all its writers have reached their sequences.

    Call it in the transaction that advanced a writer; it locks the run's row, closes the
    writers named and draws a revision. True where the run is over by this call.
    """
    row = run_row.locked(tx, run_id)
    if row.pending_finish is None or row.delete_time is not None:
        return False
    waiting = FinishRunRequest.FromString(row.pending_finish)
    if not _reached(tx, run_id, waiting.after):
        return False
    _apply(tx, row, waiting)
    return True


def resume(tx: Transaction, run_id: str) -> None:
    """RUNNING again: no end, no finish that waits, no wish that it stop.

    Closed writers stay closed; whoever goes on is a new writer. Raises ``NotFound``,
    ``Deleted``, ``FieldInvalid``.
    """
    row = run_row.locked_live(tx, run_id)
    wanted = {
        "state": Run.STATE_RUNNING,
        "end_time": None,
        "pending_finish": None,
        "stop_reason": None,
    }
    if any(getattr(row, name) != value for name, value in wanted.items()):
        # It is not silent: somebody has just asked for it.
        run_row.change(tx, row, **wanted, heartbeat_time=tx.now)


def stop(tx: Transaction, run_id: str, reason: str) -> None:
    """Ask the job to stop; it learns of it with its next acknowledgement.

    The state stays, and a run that is over has nothing to stop. Raises ``NotFound``,
    ``Deleted``, ``FieldInvalid`` and ``TooLarge``.
    """
    check_value("reason", reason)
    row = run_row.locked_live(tx, run_id)
    if row.state not in OVER and row.stop_reason != reason:
        run_row.change(tx, row, stop_reason=reason)


def heartbeats(tx: Transaction) -> dict[str, int]:
    """The last heartbeat (µs) of every RUNNING run that ever had one, the trash aside."""
    query = sa.select(runs.c.run_id, runs.c.heartbeat_time).where(
        runs.c.state == Run.STATE_RUNNING,
        runs.c.heartbeat_time.is_not(None),
        runs.c.delete_time.is_(None),
    )
    return {row.run_id: row.heartbeat_time for row in tx.execute(query)}


def lose(tx: Transaction, silent: Mapping[str, int]) -> list[str]:
    """LOST: those of these runs that are RUNNING with just this heartbeat (µs).

    Gives the runs that this call has changed; the next batch or heartbeat makes such a
    run RUNNING again.
    """
    return [run_id for run_id in sorted(silent) if _lose(tx, run_id, silent[run_id])]


def _lose(tx: Transaction, run_id: str, heartbeat_time: int) -> bool:
    unheard = (
        runs.c.run_id == run_id,
        runs.c.state == Run.STATE_RUNNING,
        runs.c.heartbeat_time == heartbeat_time,
        runs.c.delete_time.is_(None),
    )
    lost = sa.update(runs).where(*unheard)
    done = tx.execute(lost.values(state=Run.STATE_LOST, revision=runs.c.revision + 1))
    if not done.rowcount:
        return False
    run_change.note(tx, run_id)
    return True


def state_name(state: int) -> str:
    """ "FINISHED" for ``Run.STATE_FINISHED``."""
    return Run.State.Name(state).removeprefix("STATE_")


def _check(request: FinishRunRequest) -> None:
    if request.state not in OVER:
        raise FieldInvalid("state", "must be FINISHED, FAILED or KILLED")
    if request.HasField("end_time"):
        from_proto("end_time", request.end_time)
    for writer_id, sequence in request.after.items():
        check_name("after", writer_id, MAX_WRITER_ID_BYTES)
        if sequence < 0:
            raise FieldInvalid("after", f"writer {writer_id!r}: a sequence is not negative")
    if request.ByteSize() > MAX_PENDING_BYTES:
        raise TooLarge("after", request.ByteSize(), MAX_PENDING_BYTES)


def _reached(tx: Transaction, run_id: str, after: Mapping[str, int]) -> bool:
    missing = {writer_id for writer_id, sequence in after.items() if sequence > 0}
    if not missing:
        return True
    writers = sa.select(metric_writers.c.writer_id, metric_writers.c.committed_sequence).where(
        metric_writers.c.run_id == run_id
    )
    for row in tx.execute(writers):
        if row.committed_sequence >= after.get(row.writer_id, 0):
            missing.discard(row.writer_id)
    return not missing


def _same(stored: bytes | None, request: FinishRunRequest) -> bool:
    """Whether what waits already is this request: a repeat keeps the first one's end."""
    if stored is None:
        return False
    waiting = FinishRunRequest.FromString(stored)
    if not request.HasField("end_time"):
        waiting.ClearField("end_time")
    return waiting == request


def _apply(tx: Transaction, row: RunRow, finish: FinishRunRequest) -> None:
    _close_writers(tx, row.run_id, finish.after.keys())
    run_row.change(
        tx,
        row,
        state=finish.state,
        end_time=from_proto("end_time", finish.end_time),
        pending_finish=None,
    )


def _close_writers(tx: Transaction, run_id: str, writer_ids: Collection[str]) -> None:
    """Close these writers of the run, or all of them where none is named."""
    of_run = metric_writers.c.run_id == run_id
    named = metric_writers.c.writer_id.in_(writer_ids) if writer_ids else sa.true()
    tx.execute(sa.update(metric_writers).where(of_run, named).values(closed=True))
