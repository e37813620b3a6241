"""MetricService: batches in, series out."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import cast

from grpc import ServicerContext
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
    ReadSeriesRequest,
    ReadSeriesResponse,
    StreamBatchesRequest,
    StreamBatchesResponse,
    TailSeriesRequest,
    TailSeriesResponse,
)
from runwire.v1.metric_service_pb2_grpc import MetricServiceServicer

from runwire_server.errors import Overloaded
from runwire_server.metrics import Engine
from runwire_server.metrics.intake import with_names
from runwire_server.services.batch_stream import BatchStream
from runwire_server.services.lifetime import lasts_s

# How long a call without a deadline waits for its commit.
MAX_WAIT_S = 30.0


class MetricService(MetricServiceServicer):
    """``drain``: set when the server goes away; streams are then told to close."""

    def __init__(self, engine: Engine, drain: threading.Event):
        self._engine = engine
        self._drain = drain

    def LogBatch(self, request: LogBatchRequest, context: ServicerContext) -> LogBatchResponse:
        batch = request.batch if request.HasField("batch") else None
        names = with_names({}, request.series)
        future = self._engine.submit(request.run_id, request.writer_id, batch, names)
        try:
            ack = future.result(_wait_s(context))
        except TimeoutError as error:
            # It may still be committed: a second attempt finds out.
            raise Overloaded(what="the batch still waits to be stored") from error
        return LogBatchResponse(ack=ack, advice=self._engine.advice(request.run_id))

    def StreamBatches(
        self, request_iterator: Iterator[StreamBatchesRequest], context: ServicerContext
    ) -> Iterator[StreamBatchesResponse]:
        stream = BatchStream(self._engine, self._drain, request_iterator)
        context.add_callback(stream.cancel)
        return stream.responses()

    def GetWriter(self, request: GetWriterRequest, context: ServicerContext) -> GetWriterResponse:
        sequence, position = self._engine.writer(request.run_id, request.writer_id)
        return GetWriterResponse(committed_sequence=sequence, position=position)

    def ListSeries(
        self, request: ListSeriesRequest, context: ServicerContext
    ) -> ListSeriesResponse:
        return self._engine.list_series(request)

    def ReadSeries(
        self, request: ReadSeriesRequest, context: ServicerContext
    ) -> Iterator[ReadSeriesResponse]:
        # Serialized already, which the interceptor lets through.
        return cast(Iterator[ReadSeriesResponse], self._engine.read_series(request))

    def TailSeries(
        self, request: TailSeriesRequest, context: ServicerContext
    ) -> Iterator[TailSeriesResponse]:
        live = self._engine.tail_series(request, self._drain, lasts_s(context))
        context.add_callback(live.cancel)
        return cast(Iterator[TailSeriesResponse], live.events())

    def CompactMetrics(
        self, request: CompactMetricsRequest, context: ServicerContext
    ) -> CompactMetricsResponse:
        return self._engine.compact(request.run_id)

    def GetMetricStorage(
        self, request: GetMetricStorageRequest, context: ServicerContext
    ) -> GetMetricStorageResponse:
        return GetMetricStorageResponse(storage=self._engine.storage(request.run_id))


def _wait_s(context: ServicerContext) -> float:
    remaining = context.time_remaining()
    return MAX_WAIT_S if remaining is None else min(MAX_WAIT_S, remaining)
