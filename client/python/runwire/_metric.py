"""``client.metrics``: one method for each call of MetricService.

Training code logs through the fluent API and its journal; these are the calls beneath,
and the readers.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from time import time_ns
from typing import TYPE_CHECKING, Any, Literal, overload
from uuid import uuid4

from runwire._change import Time, timestamp
from runwire._errors import invalid
from runwire._feed import Feed
from runwire._pager import Pager
from runwire._series import Buckets, Series, SeriesSet, collect
from runwire._tail import Opener, TailEvent
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesInfo, SeriesName
from runwire.v1.metric_service_pb2 import (
    CompactMetricsRequest,
    CompactMetricsResponse,
    GetMetricStorageRequest,
    GetMetricStorageResponse,
    GetWriterRequest,
    GetWriterResponse,
    ListSeriesRequest,
    ListSeriesResponse,
    LogBatchRequest,
    LogBatchResponse,
    MetricStorage,
    ReadSeriesRequest,
    ReadSeriesResponse,
    SeriesSelector,
    StreamBatchesRequest,
    StreamBatchesResponse,
    TailSeriesRequest,
)
from runwire.v1.metric_service_pb2_grpc import MetricServiceStub

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runwire._call import Caller

Axis = Literal["STEP", "TIME", "RELATIVE_TIME"]
Reduce = Literal["NONE", "BUCKETS", "SHAPE", "AUTO"]


class Metrics:
    """The metric calls of one client. Safe for threads. All raise ``RunwireError``."""

    def __init__(self, caller: Caller):
        self._caller = caller

    # Writing ----------------------------------------------------------------------

    def log(
        self,
        run_id: str,
        metrics: Mapping[str, float],
        *,
        step: int = 0,
        time: Time | None = None,
    ) -> LogBatchResponse:
        """Store one row of values; durable and readable when this returns.

        For tools and tests: a call of the network each. Training code wants
        ``runwire.log_metrics``, which takes a microsecond.
        """
        series = [SeriesName(id=number, key=key) for number, key in enumerate(metrics, 1)]
        stamp = timestamp(time_ns() // 1000 if time is None else time)
        frame = Frame(
            series=[one.id for one in series],
            steps=[step],
            times_micros=[stamp.ToMicroseconds()],
            values=metrics.values(),
        )
        # A writer of its own: a repeat after a lost answer is not stored a second time.
        batch = MetricBatch(sequence=1, series=series, frames=[frame])
        return self.log_batch(run_id, batch, writer_id=uuid4().hex)

    def log_batch(
        self,
        run_id: str,
        batch: MetricBatch | None = None,
        *,
        writer_id: str = "",
        series: Iterable[SeriesName] = (),
    ) -> LogBatchResponse:
        """Store a batch; acknowledged means durable and readable. None: a heartbeat.

        With a ``writer_id`` a batch is applied once per sequence, however often it is sent.
        ``series``: names that the batch uses and an earlier one declared. Entries that
        cannot be stored come back as rejections and keep nothing else out.
        """
        request = LogBatchRequest(run_id=run_id, writer_id=writer_id, batch=batch, series=series)
        response: LogBatchResponse = self._call("LogBatch", request)
        return response

    def stream_batches(
        self, requests: Iterable[StreamBatchesRequest]
    ) -> Generator[StreamBatchesResponse]:
        """The raw stream: Open, then batches; acknowledgements come back. Close it at the end."""
        return self._caller.stream(MetricServiceStub, "StreamBatches", iter(requests))

    def get_writer(self, run_id: str, writer_id: str) -> GetWriterResponse:
        """Where a writer stands: its last committed sequence and position; 0: never seen."""
        request = GetWriterRequest(run_id=run_id, writer_id=writer_id)
        response: GetWriterResponse = self._call("GetWriter", request)
        return response

    # Reading ----------------------------------------------------------------------

    def list(
        self, run_id: str, key_prefix: str = "", *, page_size: int = 0, page_token: str = ""
    ) -> Pager[SeriesInfo, ListSeriesResponse]:
        """The series of a run with their counts, first and last steps and extremes, by key."""
        request = ListSeriesRequest(run_id=run_id, key_prefix=key_prefix, page_size=page_size)

        def fetch(token: str) -> ListSeriesResponse:
            request.page_token = token
            response: ListSeriesResponse = self._call("ListSeries", request)
            return response

        return Pager(fetch, lambda page: page.series, page_token)

    @overload
    def read(
        self,
        run_ids: str | Iterable[str],
        keys: str | Iterable[str] = (),
        *,
        key_prefixes: str | Iterable[str] = (),
        start: int | None = None,
        end: int | None = None,
        axis: Axis = "STEP",
        reduce: Literal["NONE", "SHAPE"] = "NONE",
        max_points: int = 0,
    ) -> SeriesSet[Series]: ...

    @overload
    def read(
        self,
        run_ids: str | Iterable[str],
        keys: str | Iterable[str] = (),
        *,
        key_prefixes: str | Iterable[str] = (),
        start: int | None = None,
        end: int | None = None,
        axis: Axis = "STEP",
        reduce: Literal["BUCKETS"],
        max_points: int = 0,
    ) -> SeriesSet[Buckets]: ...

    @overload
    def read(
        self,
        run_ids: str | Iterable[str],
        keys: str | Iterable[str] = (),
        *,
        key_prefixes: str | Iterable[str] = (),
        start: int | None = None,
        end: int | None = None,
        axis: Axis = "STEP",
        reduce: Literal["AUTO"],
        max_points: int = 0,
    ) -> SeriesSet[Series | Buckets]: ...

    def read(
        self, run_ids: str | Iterable[str], keys: str | Iterable[str] = (), **options: Any
    ) -> SeriesSet[Any]:
        """Series as columns: numpy arrays where numpy is installed, else ``array.array``.

        Neither keys nor prefixes given: all series of the runs. ``start`` (inclusive) and
        ``end`` (exclusive) are on the axis: steps, microseconds since 1970, or since each
        run's start. A cut connection is resumed.

        Every stored point comes, ordered by (step, time), unless ``reduce`` asks for at most
        ``max_points`` (0: 2,000) of each series, by looking at all of them: "BUCKETS" for
        statistics of stretches of the axis, the same stretches for all series; "SHAPE" for
        points that draw the same picture; "AUTO" for all points where they are no more,
        else buckets.

        >>> loss = client.metrics.read(run.run_id, "train/loss")[run.run_id, "train/loss"]
        >>> loss.steps, loss.values
        (array([0, 1, 2]), array([2.3, 1.9, 1.4]))
        >>> client.metrics.read([a, b], ["loss"]).to_pandas().columns
        Index(['run_id', 'key', 'step', 'time', 'value'], dtype='object')
        >>> client.metrics.read([a, b], ["loss"], reduce="BUCKETS", max_points=500)[a, "loss"].max
        array([2.3, ...])
        """
        return collect(self.read_stream(run_ids, keys, **options))

    def read_stream(
        self,
        run_ids: str | Iterable[str],
        keys: str | Iterable[str] = (),
        *,
        key_prefixes: str | Iterable[str] = (),
        start: int | None = None,
        end: int | None = None,
        axis: Axis = "STEP",
        reduce: Reduce = "NONE",
        max_points: int = 0,
        resume: bytes = b"",
    ) -> Iterator[ReadSeriesResponse]:
        """As ``read``, message by message, in bounded memory.

        Goes on by itself after a cut; ``resume`` of a message starts after it.
        """
        if max_points and reduce == "NONE":
            raise invalid("max_points", "needs reduce='BUCKETS', 'SHAPE' or 'AUTO'")
        name = "UNSPECIFIED" if reduce == "AUTO" else reduce
        request = ReadSeriesRequest(
            select=_selector(run_ids, keys, key_prefixes),
            axis=_value(ReadSeriesRequest.Axis, "axis", axis),
            range_start=start,
            range_end=end,
            reduce=_value(ReadSeriesRequest.Reduce, "reduce", name),
            max_points=max_points,
            resume=resume,
        )

        def go_on(response: ReadSeriesResponse) -> None:
            request.resume = response.resume

        return self._caller.resuming(MetricServiceStub, "ReadSeries", request, go_on)

    def tail(
        self,
        run_ids: str | Iterable[str],
        keys: str | Iterable[str] = (),
        *,
        key_prefixes: str | Iterable[str] = (),
        cursor: bytes = b"",
        from_beginning: bool = False,
        min_interval_s: float = 0.0,
    ) -> Feed[TailEvent]:
        """What arrives, without end: from a ``cursor``, from the beginning, or from now.

        Neither keys nor prefixes given: every metric, also those that are yet to come. Goes
        on by itself after a cut; close it, or use it in a ``with`` block. ``cursor``: of an
        event or a feed, or of the last message of ``read_stream``, of the same selection.
        ``min_interval_s``: more at once, and less often. Raises ``NotFoundError``, also when
        a run goes to the trash meanwhile.

        >>> with client.metrics.tail(run.run_id, "loss", from_beginning=True) as tail:
        ...     for event in tail:
        ...         for key, step, time_micros, value in event.points():
        ...             print(step, value)
        ...         if event.ended:
        ...             break
        """
        request = TailSeriesRequest(select=_selector(run_ids, keys, key_prefixes))
        if cursor:
            request.cursor = cursor
        elif from_beginning:
            request.from_beginning = True
        else:
            request.from_now = True
        if min_interval_s:
            request.min_interval.FromNanoseconds(int(min_interval_s * 1e9))
        return Feed(self._caller, (MetricServiceStub, "TailSeries"), request, Opener())

    # Storage ----------------------------------------------------------------------

    def compact(self, run_id: str) -> CompactMetricsResponse:
        """Fold the run's metrics into compressed blocks, for about two seconds: call again
        until ``done``. Servers do the same by themselves, some time later."""
        response: CompactMetricsResponse = self._call(
            "CompactMetrics", CompactMetricsRequest(run_id=run_id)
        )
        return response

    def get_storage(self, run_id: str = "") -> MetricStorage:
        """How much room the metrics of a run take; of all runs where none is named."""
        response: GetMetricStorageResponse = self._call(
            "GetMetricStorage", GetMetricStorageRequest(run_id=run_id)
        )
        return response.storage

    def _call(self, method: str, request: Message) -> Any:
        return self._caller.unary(MetricServiceStub, method, request)


def _selector(
    run_ids: str | Iterable[str], keys: str | Iterable[str], key_prefixes: str | Iterable[str]
) -> SeriesSelector:
    return SeriesSelector(
        run_ids=_several(run_ids), keys=_several(keys), key_prefixes=_several(key_prefixes)
    )


def _several(names: str | Iterable[str]) -> Iterable[str]:
    return [names] if isinstance(names, str) else names


def _value(enum: Any, field: str, name: str) -> Any:
    try:
        return enum.Value(f"{field.upper()}_{name.upper()}")
    except ValueError:
        choices = ", ".join(one.split("_", 1)[1] for one in enum.keys()[1:])
        raise invalid(field, f"{name!r} is not one of {choices}") from None
