"""The metric engine as the services see it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Collection, Iterator, Mapping
from concurrent.futures import Future

import sqlalchemy as sa
from runwire.v1.metric_pb2 import MetricBatch, WriteAck
from runwire.v1.metric_service_pb2 import (
    CompactMetricsResponse,
    ListSeriesRequest,
    ListSeriesResponse,
    MetricStorage,
    ReadSeriesRequest,
    TailSeriesRequest,
    WriteAdvice,
)

from runwire_server.limits import LIMITS
from runwire_server.metrics import intake, read, series, storage, tail
from runwire_server.metrics.agenda import IDLE_S
from runwire_server.metrics.backlog import Backlog
from runwire_server.metrics.catalogue import Catalogue
from runwire_server.metrics.columns import ColumnCache
from runwire_server.metrics.commit import Committed
from runwire_server.metrics.folder import Folder, Outcome
from runwire_server.metrics.pacing import Pacing
from runwire_server.metrics.pressure import Pressure
from runwire_server.metrics.refresher import Refresher
from runwire_server.metrics.summaries import Summaries
from runwire_server.metrics.tail import Tail
from runwire_server.metrics.writer import GroupWriter
from runwire_server.store.check import check_run_id
from runwire_server.store.database import Database
from runwire_server.store.live import Live
from runwire_server.store.pulse import Pulse
from runwire_server.store.tables import metric_writers

QUEUE_BYTES = 64 << 20
REFRESH_DELAY_S = 1.5
# A stream's share of the queue: 16 batches of 512 KiB.
MAX_UNACKED_BATCHES = 16
ADVISED_BATCH_BYTES = 1 << 20
# The queue may be this full before writers are asked to slow down, to at most:
CALM_FILL = 0.25
MAX_INTERVAL_S = 2.0
# How long one CompactMetrics call goes on.
COMPACT_S = 2.0
_REMEMBERED_RUNS = 10_000


class Engine:
    """Writes, sums up and reads metrics on one database. Safe for threads.

    One per process and database. ``queue_bytes`` bounds what waits to be committed,
    ``max_series`` is the limit of a run, ``refresh_delay_s`` is how long a run may be
    stale before its summaries are brought up to date without being asked for,
    ``fold_idle_s`` after how long without points it is folded to the end.
    """

    def __init__(
        self,
        db: Database,
        *,
        queue_bytes: int = QUEUE_BYTES,
        refresh_delay_s: float = REFRESH_DELAY_S,
        fold_idle_s: float = IDLE_S,
        max_series: int = LIMITS.max_series_per_run,
    ):
        self._db = db
        self._columns = ColumnCache()
        self._backlog = Backlog(queue_bytes)
        self._summaries = Summaries(db)
        self._pressure = Pressure()
        self._refresher = Refresher(self._summaries, self._pressure, refresh_delay_s)
        self._folder = Folder(db, self._summaries, self._pressure, idle_s=fold_idle_s)
        self._pacing = Pacing()
        self._writer = GroupWriter(
            db, self._backlog, Catalogue(max_series), self._remember, self._pacing.linger_s
        )
        self._pulse = Pulse(lambda run_ids: tail.heads(db, run_ids), "runwire-tails")
        self._stop_requested: OrderedDict[str, bool] = OrderedDict()
        self._lock = threading.Lock()

    def start(self) -> None:
        self._writer.start()
        self._refresher.start()
        self._folder.start()

    def close(self) -> None:
        """Accept nothing more, commit what is queued, end the threads."""
        self._backlog.close()
        self._writer.join()
        self._refresher.close()
        self._folder.close()
        self._pulse.close()

    def submit(
        self,
        run_id: str,
        writer_id: str,
        batch: MetricBatch | None,
        names: Mapping[int, str],
        *,
        patience_s: float = 0.0,
    ) -> Future[WriteAck]:
        """Queue a batch; the future is completed once it is committed.

        batch None: a heartbeat, which registers the writer. writer_id "": the batch
        is applied once, as a writer's of its own. names: declared before, outside of
        the batch. Where the queue is full it waits up to ``patience_s`` for room.

        Raises at once ``FieldInvalid``, ``TooLarge``, ``Overloaded``, ``Draining``. The
        future has the ack or ``NotFound``, ``Deleted``, ``RunSealed``, ``SequenceGap``,
        ``StorageUnavailable``, ``Overloaded``.
        """
        if batch is None:
            entry = intake.heartbeat(run_id, writer_id)
        else:
            entry = intake.prepare(run_id, writer_id, batch, names, self._columns)
        self._backlog.put(entry, patience_s)
        return entry.future

    def advice(self, run_id: str) -> WriteAdvice:
        """On pace, and whether the run is to stop, as of its last commit here."""
        advice = WriteAdvice(
            max_unacked_batches=MAX_UNACKED_BATCHES,
            max_batch_bytes=ADVISED_BATCH_BYTES,
            stop_requested=self._stop_requested.get(run_id, False),
        )
        # In tenths, so that a queue that breathes does not change the advice each time.
        strain = round(10 * (self._backlog.fill - CALM_FILL) / (1 - CALM_FILL)) / 10
        with self._lock:
            interval_s = max(strain * MAX_INTERVAL_S, self._pacing.interval_s(run_id))
        if interval_s > 0:
            advice.min_interval.FromMilliseconds(int(interval_s * 1000))
        return advice

    def writer(self, run_id: str, writer_id: str) -> tuple[int, int]:
        """(committed_sequence, position) of a writer; zeros for one never heard of.

        Raises ``NotFound``, ``Deleted``, ``FieldInvalid``.
        """
        table = metric_writers.c
        query = sa.select(table.committed_sequence, table.position).where(
            table.run_id == run_id, table.writer_id == writer_id
        )
        intake.check_ids(run_id, writer_id)
        with self._db.read() as tx:
            series.live_run(tx, run_id)
            row = tx.execute(query).one_or_none()
        return (0, 0) if row is None else (row.committed_sequence, row.position)

    def list_series(self, request: ListSeriesRequest) -> ListSeriesResponse:
        """As ``series.list_series``, with everything acknowledged before the call."""
        check_run_id("run_id", request.run_id)
        self.refresh(run_ids=[request.run_id])
        return series.list_series(self._db, request)

    def read_series(self, request: ReadSeriesRequest) -> Iterator[bytes]:
        """As ``read.read_series``."""
        return read.read_series(self._db, self._summaries, request)

    def tail_series(
        self, request: TailSeriesRequest, drain: threading.Event, lasts_s: float
    ) -> Live[bytes]:
        """A call that follows runs; see ``Live`` and ``Tail`` for what it raises."""
        return Live(Tail(self._db, request), self._pulse, drain, lasts_s)

    def compact(self, run_id: str) -> CompactMetricsResponse:
        """Fold a run and remove its folded frames, as much as fits in ``COMPACT_S``.

        Raises ``NotFound``, ``Deleted``, ``FieldInvalid``.
        """
        with self._db.read() as tx:
            series.live_run(tx, run_id)
        outcome = self._folder.compact(run_id, COMPACT_S)
        return CompactMetricsResponse(
            done=outcome is Outcome.DONE,
            busy=outcome is Outcome.BUSY,
            storage=storage.describe(self._db, run_id),
        )

    def storage(self, run_id: str) -> MetricStorage:
        """As ``storage.describe``."""
        return storage.describe(self._db, run_id)

    def refresh(
        self,
        run_ids: Collection[str] | None = None,
        experiment_ids: Collection[int] | None = None,
    ) -> None:
        """Bring the summaries of stale runs up to date: of these runs, in these
        experiments; None: of all."""
        self._summaries.refresh(run_ids, experiment_ids)

    def _remember(self, committed: Committed) -> None:
        with self._lock:
            self._pacing.note(committed.got)
            for run_id, stop_requested in committed.stop_requested.items():
                self._stop_requested[run_id] = stop_requested
                self._stop_requested.move_to_end(run_id)
            while len(self._stop_requested) > _REMEMBERED_RUNS:
                self._stop_requested.popitem(last=False)
        self._pulse.ring()
        self._pressure.note(sum(committed.got.values()))
        self._refresher.note(committed.got)
        self._folder.note(committed.got)
