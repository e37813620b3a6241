"""TailSeries: what is there behind a cursor, then what arrives, until the caller hangs up.

A tail queues nothing: it has its place in each run, and reads on from there when there is
more. So it takes the memory of one read however slow its reader is, and falls behind
without losing anything: what is folded and removed meanwhile comes out of blocks.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable, Iterator, Mapping
from typing import Any, NamedTuple

import sqlalchemy as sa
from runwire.v1.metric_service_pb2 import TailSeriesRequest, TailSeriesResponse

from runwire_server.errors import Deleted, FieldInvalid, NotFound
from runwire_server.metrics import tail_cursor
from runwire_server.metrics.selection import Chosen, Selection
from runwire_server.metrics.tail_cursor import Cursor, Place
from runwire_server.metrics.tail_read import Arrived, TailReader
from runwire_server.metrics.tail_wire import DataMessage, Names, pieces
from runwire_server.retry import retrying
from runwire_server.store.check import check_run_id
from runwire_server.store.database import Database
from runwire_server.store.run_state import OVER
from runwire_server.store.tables import runs

MAX_INTERVAL_S = 60
_IN = 1000

_RUN = sa.select(
    runs.c.run_id, runs.c.last_arrival, runs.c.folded_arrival, runs.c.state, runs.c.delete_time
)


class Head(NamedTuple):
    """What can change of a run that matters to a tail."""

    last_arrival: int
    state: int
    deleted: bool


def heads(db: Database, run_ids: Collection[str]) -> dict[str, Head]:
    """Of the runs that exist."""
    wanted = sorted(run_ids)
    with db.read() as tx:
        return {
            row.run_id: Head(row.last_arrival, row.state, row.delete_time is not None)
            for start in range(0, len(wanted), _IN)
            for row in tx.execute(_RUN.where(runs.c.run_id.in_(wanted[start : start + _IN])))
        }


class Tail:
    """The source of one TailSeries call; its events are serialized.

    ``begin`` and ``news`` raise ``NotFound`` and ``Deleted``, also of a run that goes to the
    trash meanwhile; ``begin`` and the constructor ``FieldInvalid``.
    """

    def __init__(self, db: Database, request: TailSeriesRequest):
        self._db, self._request = db, request
        selection = self._selection = Selection.of(request.select)
        for run_id in selection.run_ids:
            check_run_id("select.run_ids", run_id)
        self.interval_s = _interval_s(request)
        chosen = Chosen(selection)
        self._names = Names(chosen)
        self._readers = {run_id: TailReader(run_id, chosen) for run_id in selection.run_ids}
        self._cursor = Cursor({run_id: Place() for run_id in selection.run_ids}, selection.digest)

    @property
    def topics(self) -> Collection[str]:
        return self._selection.run_ids

    def begin(self) -> Mapping[str, Hashable]:
        run_ids = self._selection.run_ids
        found = heads(self._db, run_ids)
        for run_id in run_ids:
            if run_id not in found:
                raise NotFound("run", run_id)
            if found[run_id].deleted:
                raise Deleted("run", run_id)
        start = self._request.WhichOneof("start") or "from_now"
        if start == "cursor":
            self._cursor = tail_cursor.decode(self._request.cursor, self._selection.digest, run_ids)
            for run_id, place in self._cursor.places.items():
                if place.arrival > found[run_id].last_arrival:
                    raise tail_cursor.ahead(run_id)
        elif not getattr(self._request, start):
            raise FieldInvalid(start, "is true, or not set")
        elif start == "from_now":
            places = {run_id: Place.behind(found[run_id].last_arrival) for run_id in run_ids}
            self._cursor = Cursor(places, self._selection.digest)
        return found

    def news(self, changes: Mapping[str, Hashable]) -> Iterator[bytes]:
        """A part of each run in turn, until there is no more of any."""
        behind = [run_id for run_id, head in changes.items() if self._is_behind(run_id, head)]
        while behind:
            further = []
            for run_id in behind:
                row, arrived = retrying(lambda run_id=run_id: self._read(run_id))  # type: ignore[misc]
                yield from self._tell(row, arrived)
                if self._cursor.places[run_id].arrival < row.last_arrival:
                    further.append(run_id)
            behind = further

    def mark(self) -> bytes:
        return self._event(mark=TailSeriesResponse.Mark())

    def _is_behind(self, run_id: str, head: Any) -> bool:
        place = self._cursor.places[run_id]
        if head is None or head.deleted or head.last_arrival > place.arrival:
            return True
        return place.ended is not (head.state in OVER)

    def _read(self, run_id: str) -> tuple[sa.Row[Any], Arrived | None]:
        """The run's row, and what it got behind our place."""
        place = self._cursor.places[run_id]
        with self._db.read() as tx:
            row = tx.execute(_RUN.where(runs.c.run_id == run_id)).one_or_none()
            if row is None:
                raise NotFound("run", run_id)
            if row.delete_time is not None:
                raise Deleted("run", run_id)
            if row.last_arrival <= place.arrival:
                return row, None
            return row, self._readers[run_id].read(tx, row, place.next)

    def _tell(self, row: sa.Row[Any], arrived: Arrived | None) -> Iterator[bytes]:
        place = self._cursor.places[row.run_id]
        if arrived is not None:
            yield from self._data(row.run_id, arrived)
            if arrived.left_out:
                yield self._event(row.run_id, lagged=TailSeriesResponse.Lagged())
        is_over = row.state in OVER
        if is_over and not place.ended and place.arrival >= row.last_arrival:
            place.ended = True
            ended = TailSeriesResponse.RunEnded(run_id=row.run_id, state=row.state)
            yield self._event(row.run_id, run_ended=ended)
        elif not is_over and place.ended:
            place.ended = False
            self._cursor.moved(row.run_id)

    def _data(self, run_id: str, arrived: Arrived) -> Iterator[bytes]:
        place = self._cursor.places[run_id]
        message = DataMessage(run_id, self._names)
        for span in arrived.spans:
            for piece in pieces(span, place.next, place.sent):
                if not message.add(piece.rows):
                    yield message.bytes(self._cursor.moved(run_id))
                    message = DataMessage(run_id, self._names)
                    message.add(piece.rows)
                place.move(piece.next, piece.sent)
        place.move(Place.behind(arrived.until).next)
        cursor = self._cursor.moved(run_id)
        if not message.is_empty:
            yield message.bytes(cursor)

    def _event(self, run_id: str = "", **event: Any) -> bytes:
        cursor = self._cursor.moved(run_id) if run_id else self._cursor.bytes
        return TailSeriesResponse(cursor=cursor, **event).SerializeToString()


def _interval_s(request: TailSeriesRequest) -> float:
    wanted = request.min_interval
    if not 0 <= wanted.seconds <= MAX_INTERVAL_S or not 0 <= wanted.nanos < 1_000_000_000:
        raise FieldInvalid("min_interval", f"must be 0 to {MAX_INTERVAL_S} seconds")
    return wanted.seconds + wanted.nanos / 1e9
