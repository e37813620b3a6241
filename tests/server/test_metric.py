"""The catalogue of series, and the calls of MetricService that are no stream."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import grpc
import pytest
from runwire.v1 import metric_service_pb2 as pb
from runwire.v1.metric_pb2 import SeriesName
from runwire.v1.metric_service_pb2_grpc import (
    MetricServiceStub,
    add_MetricServiceServicer_to_server,
)
from runwire_server import errors
from runwire_server.inprocess import InProcessServer
from runwire_server.interceptors import CallInterceptor
from runwire_server.metrics import Engine
from runwire_server.metrics.keys import key_id
from runwire_server.services.metric import MetricService
from runwire_server.store import run
from runwire_server.store.database import Database

from server.batches import batch, frame, new_run, points, running, send, series


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def run_id(db: Database) -> str:
    return new_run(db)


def test_key_ids_never_change() -> None:
    assert key_id("loss") == 0x6CD3DEDC4CAA698E
    assert key_id("é") == 0x2F19F3EF8BBF1ACB


def test_series_are_listed_by_the_bytes_of_their_key(engine: Engine, run_id: str) -> None:
    keys = ["B", "a", "a/1", "a_1", "é", "z%", "\U0001f600", "Ａ"]
    names = dict(enumerate(keys))
    sent = batch(1, frame({n: [1.0] for n in names}), names=names)
    send(engine, run_id, sent)
    listed: list[str] = []
    token = ""
    while not listed or token:
        response = engine.list_series(
            pb.ListSeriesRequest(run_id=run_id, page_size=3, page_token=token)
        )
        listed += [one.key for one in response.series]
        token = response.next_page_token
    assert listed == sorted(keys, key=str.encode)
    assert [one.key for one in series(engine, run_id, key_prefix="a")] == ["a", "a/1", "a_1"]
    assert [one.key for one in series(engine, run_id, key_prefix="a_")] == ["a_1"]
    assert [one.key for one in series(engine, run_id, key_prefix="z%")] == ["z%"]
    assert series(engine, run_id, key_prefix="none") == []


def test_page_token_of_another_query_is_refused(engine: Engine, run_id: str) -> None:
    names = {1: "a", 2: "b"}
    send(engine, run_id, batch(1, frame({1: [1.0], 2: [2.0]}), names=names))
    first = engine.list_series(pb.ListSeriesRequest(run_id=run_id, page_size=1))
    with pytest.raises(errors.PageTokenMismatch):
        series(engine, run_id, key_prefix="a", page_token=first.next_page_token)


def test_run_must_exist(db: Database, engine: Engine, run_id: str) -> None:
    gone = new_run(db)
    with db.write() as tx:
        run.delete(tx, gone)
    for asked, error in (("f" * 32, errors.NotFound), (gone, errors.Deleted)):
        with pytest.raises(error):
            series(engine, asked)
        with pytest.raises(error):
            engine.writer(asked, "w")
        with pytest.raises(error):
            points(engine, asked)
    for malformed in ("no id", "", "\x00"):
        with pytest.raises(errors.FieldInvalid):
            series(engine, malformed)
    assert engine.writer(run_id, "never heard of") == (0, 0)


@pytest.fixture
def drain() -> threading.Event:
    return threading.Event()


@pytest.fixture
def stub(engine: Engine, drain: threading.Event) -> MetricServiceStub:
    server = InProcessServer([CallInterceptor()])
    add_MetricServiceServicer_to_server(MetricService(engine, drain), server)  # type: ignore[arg-type]
    return MetricServiceStub(server.channel)  # type: ignore[arg-type]


def test_log_batch_is_the_same_without_a_stream(stub: MetricServiceStub, run_id: str) -> None:
    names = [SeriesName(id=1, key="loss")]
    request = pb.LogBatchRequest(
        run_id=run_id, writer_id="w", batch=batch(1, frame({1: [1.0]})), series=names
    )
    for _ in range(2):
        response = stub.LogBatch(request)
        assert response.ack.committed_sequence == 1
        assert response.advice.max_batch_bytes > 0
    beat = stub.LogBatch(pb.LogBatchRequest(run_id=run_id, writer_id="w"))
    assert beat.ack.committed_sequence == 1
    (message,) = stub.ReadSeries(
        pb.ReadSeriesRequest(select=pb.SeriesSelector(run_ids=[run_id], keys=["loss"]))
    )
    assert list(message.points.values) == [1.0]
    assert [one.key for one in stub.ListSeries(pb.ListSeriesRequest(run_id=run_id)).series] == (
        ["loss"]
    )


def test_log_batch_does_not_wait_past_its_deadline(db: Database, run_id: str) -> None:
    stuck = Engine(db)  # never started: nothing is ever committed
    server = InProcessServer([CallInterceptor()])
    service = MetricService(stuck, threading.Event())
    add_MetricServiceServicer_to_server(service, server)  # type: ignore[arg-type]
    stub = MetricServiceStub(server.channel)  # type: ignore[arg-type]
    with pytest.raises(grpc.RpcError) as caught:
        stub.LogBatch(pb.LogBatchRequest(run_id=run_id, writer_id="w"), timeout=0.05)
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
