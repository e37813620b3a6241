"""One StreamBatches call: reads ahead, commits, acknowledges, all at the same time."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

from google.protobuf.duration_pb2 import Duration
from runwire.v1.metric_pb2 import MetricBatch, SeriesName, WriteAck
from runwire.v1.metric_service_pb2 import StreamBatchesRequest, StreamBatchesResponse

from runwire_server.errors import FieldInvalid, Overloaded, Quota
from runwire_server.limits import LIMITS, STREAM_AGE_S
from runwire_server.metrics import Engine
from runwire_server.metrics.intake import new_names

# What a stream waits for a full queue (its client waits with it) before it gives up.
PATIENCE_S = 10.0
OPEN_WAIT_S = 30.0
# How long a stream goes on after it was told to close.
GRACE_S = 5.0
# How often it looks whether the server goes away while nothing else happens.
IDLE_S = 1.0


class BatchStream:
    """``responses`` runs in the call's thread; a second one reads the requests.

    At most as many batches are under way as the advice allows: then reading stops,
    and HTTP/2 flow control stops the client.
    """

    def __init__(
        self, engine: Engine, drain: threading.Event, requests: Iterator[StreamBatchesRequest]
    ):
        self._engine = engine
        self._drain = drain
        self._requests = requests
        self._moves_s = time.monotonic() + STREAM_AGE_S
        self._names: dict[int, str] = {}  # as declared in this call
        self._changed = threading.Condition()
        self._pending: deque[Future[WriteAck]] = deque()
        self._read_all = False
        self._cancelled = False
        self._error: Exception | None = None

    def cancel(self) -> None:
        """The call is over: both threads come to an end."""
        with self._changed:
            self._cancelled = True
            self._changed.notify_all()

    def responses(self) -> Iterator[StreamBatchesResponse]:
        """Raises what ended the call, after the acks of all that was committed before it."""
        try:
            yield self._open()
            threading.Thread(target=self._read, name="runwire-stream", daemon=True).start()
            yield from self._answers()
        finally:
            self.cancel()

    def _open(self) -> StreamBatchesResponse:
        first = next(self._requests, None)
        if first is None or not first.HasField("open"):
            raise FieldInvalid("open", "must be the first message")
        self._run_id, self._writer_id = first.open.run_id, first.open.writer_id
        if not self._writer_id:
            raise FieldInvalid("open.writer_id", "must not be empty")
        self._declare(first.open.series)
        try:
            ack = self._submit(None).result(OPEN_WAIT_S)
        except TimeoutError as error:
            raise Overloaded from error
        self._advice = self._engine.advice(self._run_id)
        return StreamBatchesResponse(
            opened=StreamBatchesResponse.Opened(
                committed_sequence=ack.committed_sequence,
                position=ack.position,
                advice=self._advice,
            )
        )

    def _read(self) -> None:
        try:
            for request in self._requests:
                if not self._wait_for_room():
                    break
                self._take(request)
        except Exception as error:  # raised where it can be told: in the thread of the call
            self._error = error
        with self._changed:
            self._read_all = True
            self._changed.notify_all()

    def _take(self, request: StreamBatchesRequest) -> None:
        kind = request.WhichOneof("message")
        if kind == "open":
            raise FieldInvalid("open", "must come once only")
        if kind == "batch":
            self._declare(request.series)
            self._declare(request.batch.series)
            future = self._submit(request.batch)
        elif kind == "heartbeat":
            future = self._submit(None)
        else:
            return  # of a newer client; what it means is not for us
        with self._changed:
            self._pending.append(future)
        future.add_done_callback(self._wake)

    def _declare(self, series: Sequence[SeriesName]) -> None:
        self._names.update(new_names(self._names, series))
        if len(self._names) > LIMITS.max_series_per_run:
            raise Quota("max_series_per_run", LIMITS.max_series_per_run)

    def _submit(self, batch: MetricBatch | None) -> Future[WriteAck]:
        return self._engine.submit(
            self._run_id, self._writer_id, batch, self._names, patience_s=PATIENCE_S
        )

    def _wait_for_room(self) -> bool:
        """False: the call is over."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._cancelled or len(self._pending) < self._advice.max_unacked_batches
            )
            return not self._cancelled

    def _wake(self, _future: Future[WriteAck]) -> None:
        with self._changed:
            self._changed.notify_all()

    def _answers(self) -> Iterator[StreamBatchesResponse]:
        end: float | None = None
        while not self._cancelled:
            done, finished = self._next()
            yield from _acks(done)
            advice = self._engine.advice(self._run_id)
            if advice != self._advice:
                self._advice = advice
                yield StreamBatchesResponse(advice=advice)
            if finished:
                if self._error is not None:
                    raise self._error
                return
            if end is None and (self._drain.is_set() or time.monotonic() > self._moves_s):
                end = time.monotonic() + GRACE_S
                yield _closing()
            if end is not None and time.monotonic() > end:
                return

    def _next(self) -> tuple[list[Future[WriteAck]], bool]:
        """Wait for something to do: the batches done, in order; whether these were the last."""
        with self._changed:
            self._changed.wait_for(self._has_news, IDLE_S)
            done = []
            while self._pending and self._pending[0].done():
                done.append(self._pending.popleft())
            if done:
                self._changed.notify_all()  # there is room again
            return done, self._read_all and not self._pending

    def _has_news(self) -> bool:
        return (
            self._cancelled
            or bool(self._pending and self._pending[0].done())
            or (self._read_all and not self._pending)
        )


def _acks(done: list[Future[WriteAck]]) -> Iterator[StreamBatchesResponse]:
    """One cumulative ack of all of them; if one failed, of those before it, and its error."""
    total = WriteAck()
    error: BaseException | None = None
    count = 0
    for future in done:
        error = future.exception()
        if error is not None:
            break
        total.MergeFrom(future.result())
        count += 1
    if count:
        yield StreamBatchesResponse(ack=total)
    if error is not None:
        raise error


def _closing() -> StreamBatchesResponse:
    grace = Duration(seconds=int(GRACE_S))
    return StreamBatchesResponse(closing=StreamBatchesResponse.Closing(grace=grace))
