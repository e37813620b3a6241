"""ReadSeries: points of many runs and keys, whole or reduced, in bounded messages."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import sqlalchemy as sa
from runwire.v1.metric_service_pb2 import ReadSeriesRequest, ReadSeriesResponse

from runwire_server.errors import DataDamaged, ServiceError
from runwire_server.metrics import read_place
from runwire_server.metrics.read_place import Place
from runwire_server.metrics.read_plan import Plan
from runwire_server.metrics.read_wire import answer
from runwire_server.metrics.reduce import BUCKET_POINTS, Buckets, Cutter, Range, part_of
from runwire_server.metrics.series import live_run, select_series
from runwire_server.metrics.sheets import Sheets
from runwire_server.metrics.stretch import Columns
from runwire_server.metrics.summaries import Summaries
from runwire_server.metrics.tail_cursor import Cursor
from runwire_server.metrics.tail_cursor import Place as TailPlace
from runwire_server.metrics.window import Window, windows
from runwire_server.store.database import Database

# 24 bytes a point: 768 KiB, which leaves room for keys and tokens below 1 MiB.
MESSAGE_POINTS = 1 << 15
# Numbers in memory at a time, beside what reduced series came to: columns as they are stored,
# and their steps, times and arrivals.
MAX_HELD_POINTS = 1 << 22
AXIS_COLUMNS = 3
SERIES_A_QUERY = 50_000


def read_series(db: Database, summaries: Summaries, request: ReadSeriesRequest) -> Iterator[bytes]:
    """The selected series, as serialized responses: run by run as asked, in each by the
    bytes of the key.

    A key that a run does not have gets no message; a series without a point in the
    range gets one, empty. No keys and no prefixes: every series. Without a transaction
    open between messages, so that a slow reader holds nothing but memory: some 70 MiB
    and the database's own cache, whether a series has 10^6 points or 10^8.

    Raises ``FieldInvalid``, ``NotFound``, ``Deleted`` at once, and ``FrameDamaged`` after
    all that could be read.
    """
    plan = Plan.of(request)
    with db.read() as tx:
        found = [live_run(tx, run_id, "select.run_ids") for run_id in plan.selection.run_ids]
    summaries.refresh(run_ids=plan.selection.run_ids)
    resume = plan.resume
    if resume is not None and (
        resume.run >= len(found) or len(resume.until) not in (0, len(found))
    ):
        raise read_place.damaged()
    with db.read() as tx:
        range = plan.range(tx, found)
    reading = _Reading(db, plan, found, range)
    return _with_cursor(reading.responses(), reading.cursor)


def _with_cursor(responses: Iterator[bytes], cursor: bytes) -> Iterator[bytes]:
    """The last response has the cursor. That is the last field of all, so that it can be
    put behind the others."""
    held = None
    try:
        for response in responses:
            if held is not None:
                yield held
            held = response
    except DataDamaged:
        if held is not None:
            yield held
        raise
    if held is not None:
        yield held + ReadSeriesResponse(cursor=cursor).SerializeToString()


class _Reading:
    def __init__(self, db: Database, plan: Plan, runs: Sequence[sa.Row[Any]], range: Range):
        self._db, self._plan, self._runs, self._range = db, plan, runs, range
        self._grid = plan.grid(range)
        told = plan.resume.until if plan.resume else ()
        self._until = list(told) or [run.last_arrival for run in runs]
        self._damaged: dict[object, ServiceError] = {}

    @property
    def cursor(self) -> bytes:
        """Where a tail goes on; empty where what was read before is not known."""
        if self._plan.resume is not None and not self._plan.resume.until:
            return b""
        selection = self._plan.selection
        places = map(TailPlace.behind, self._until)
        return Cursor(dict(zip(selection.run_ids, places, strict=True)), selection.digest).bytes

    def responses(self) -> Iterator[bytes]:
        first = self._plan.resume.run if self._plan.resume else 0
        for index in range(first, len(self._runs)):
            for group in self._groups(index):
                yield from self._read(index, group)
        for error in self._damaged.values():
            raise error

    def _groups(self, index: int) -> Iterator[list[sa.Row[Any]]]:
        """The series of a run, as many at a time as may be held in memory."""
        resume = self._plan.resume
        after: str | None = None
        group: list[sa.Row[Any]] = []
        held = 0
        if resume is not None and resume.run == index:
            # The series in which the last answer ended is read again, unless it was done.
            after = resume.key
            if not resume.done:
                with self._db.read() as tx:
                    run_id = self._runs[index].run_id
                    group += select_series(tx, run_id, keys=[resume.key], limit=1)
                held = sum(self._plan.held(series.points) for series in group)
        while True:
            with self._db.read() as tx:
                rows = select_series(
                    tx,
                    self._runs[index].run_id,
                    keys=self._plan.selection.keys,
                    prefixes=self._plan.selection.prefixes,
                    after=after,
                    limit=SERIES_A_QUERY,
                )
            for series in rows:
                kept = self._plan.held(series.points)
                if group and held + kept > MAX_HELD_POINTS:
                    yield group
                    group, held = [], 0
                group.append(series)
                held += kept
            if len(rows) < SERIES_A_QUERY:
                break
            after = rows[-1].name
        if group:
            yield group

    def _read(self, index: int, group: list[sa.Row[Any]]) -> Iterator[bytes]:
        run = self._runs[index]
        total = sum(series.points for series in group)
        most = MAX_HELD_POINTS * len(group) // (len(group) + AXIS_COLUMNS)
        with self._db.read() as tx:
            whole = self._plan.window(run, self._range, self._until[index])
            parts = windows(tx, run.run_id, whole, total, most)
        loaded = (self._load(run.run_id, group, part) for part in parts)
        if self._plan.reduces:
            yield from self._reduced(index, group, loaded)
        else:
            yield from self._whole(index, group, loaded, len(parts))

    def _whole(
        self, index: int, group: list[sa.Row[Any]], parts: Iterable[Sheets], count: int
    ) -> Iterator[bytes]:
        sent = [0] * len(group)
        for number, sheets in enumerate(parts, 1):
            for place, series in enumerate(group):
                found = sheets.of(series.key_id)
                for stretch in found:
                    points = stretch.columns(series.key_id)
                    last = number == count and stretch is found[-1]
                    yield from self._messages(index, series.name, points, sent[place], last)
                    sent[place] += len(points.steps)
            self._note(sheets)

    def _reduced(
        self, index: int, group: list[sa.Row[Any]], parts: Iterable[Sheets]
    ) -> Iterator[bytes]:
        cutter = Cutter(self._grid, self._plan.by_time, self._plan.origin(self._runs[index]))
        reducers = [self._plan.reducer(cutter) for _ in group]
        for sheets in parts:
            for stretch in sheets.stretches:
                for series, reducer in zip(group, reducers, strict=True):
                    if series.key_id in stretch:
                        reducer.add(stretch.columns(series.key_id))
            self._note(sheets)
        for series, reducer in zip(group, reducers, strict=True):
            yield from self._messages(index, series.name, reducer.rows(), 0, last=True)

    def _note(self, sheets: Sheets) -> None:
        for error in sheets.damaged:
            self._damaged.setdefault(error.origin, error)

    def _load(self, run_id: str, group: list[sa.Row[Any]], window: Window) -> Sheets:
        with self._db.read() as tx:
            return Sheets(tx, run_id, [series.key_id for series in group], window)

    def _messages(
        self, index: int, key: str, rows: Columns | Buckets, sent: int, last: bool
    ) -> Iterator[bytes]:
        """sent: rows of the series in earlier parts. last: this is the last part."""
        start, total = 0, len(rows[0])
        most = MESSAGE_POINTS // BUCKET_POINTS if isinstance(rows, Buckets) else MESSAGE_POINTS
        resumed = self._plan.resume
        if resumed is not None and (resumed.run, resumed.key) == (index, key):
            start = min(max(0, resumed.sent - sent), total)
        while start < total or last:
            end = min(start + most, total)
            done = last and end == total
            told = self._until if len(self._until) <= read_place.MAX_TOLD else ()
            place = Place(index, key, sent + end, done, self._range, told)
            head = ReadSeriesResponse(
                run_id=self._runs[index].run_id,
                key=key,
                last=done,
                resume=read_place.encode(place, self._plan.digest),
            )
            yield answer(head, part_of(rows, start, end), self._grid)
            start = end
            if done:
                return
