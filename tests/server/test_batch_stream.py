"""StreamBatches: what it stores, remembers, refuses, and how it ends."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from runwire.v1 import metric_service_pb2 as pb
from runwire.v1.metric_pb2 import MetricBatch, SeriesName
from runwire.v1.metric_service_pb2_grpc import (
    MetricServiceStub,
    add_MetricServiceServicer_to_server,
)
from runwire.v1.run_pb2 import Run
from runwire.v1.run_service_pb2 import FinishRunRequest
from runwire_server.inprocess import InProcessServer
from runwire_server.interceptors import CallInterceptor
from runwire_server.metrics import Engine
from runwire_server.services import batch_stream
from runwire_server.services.metric import MetricService
from runwire_server.store import run
from runwire_server.store.database import Database

from server.batches import batch, frame, losses, new_run, points, running


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def run_id(db: Database) -> str:
    return new_run(db)


@pytest.fixture
def drain() -> threading.Event:
    return threading.Event()


@pytest.fixture
def stub(engine: Engine, drain: threading.Event) -> MetricServiceStub:
    server = InProcessServer([CallInterceptor()])
    add_MetricServiceServicer_to_server(MetricService(engine, drain), server)  # type: ignore[arg-type]
    return MetricServiceStub(server.channel)  # type: ignore[arg-type]


class Requests:
    """The request side of a stream, as a client would feed it."""

    def __init__(self, run_id: str, writer_id: str = "w", **names: str):
        self._sent: queue.SimpleQueue[pb.StreamBatchesRequest | None] = queue.SimpleQueue()
        declared = [SeriesName(id=int(number[1:]), key=key) for number, key in names.items()]
        opening = pb.StreamBatchesRequest.Open(run_id=run_id, writer_id=writer_id, series=declared)
        self.send(open=opening)

    def send(self, **message: Any) -> None:
        self._sent.put(pb.StreamBatchesRequest(**message))

    def batches(self, *batches: MetricBatch) -> None:
        for one in batches:
            self.send(batch=one)

    def end(self) -> None:
        self._sent.put(None)

    def __iter__(self) -> Iterator[pb.StreamBatchesRequest]:
        return iter(self._sent.get, None)


def acked(response: pb.StreamBatchesResponse) -> int:
    assert response.WhichOneof("message") == "ack"
    return response.ack.committed_sequence


def test_stream_stores_and_acknowledges_all(stub: MetricServiceStub, run_id: str) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    opened = next(responses).opened
    assert (opened.committed_sequence, opened.position) == (0, 0)
    assert opened.advice.max_unacked_batches > 0
    requests.batches(*(losses(n, position=n) for n in range(1, 101)))
    requests.end()
    acks = [acked(response) for response in responses]
    assert acks == sorted(acks)
    assert acks[-1] == 100
    reopened = Requests(run_id)
    assert next(stub.StreamBatches(iter(reopened))).opened.position == 100
    reopened.end()
    assert stub.GetWriter(pb.GetWriterRequest(run_id=run_id, writer_id="w")) == (
        pb.GetWriterResponse(committed_sequence=100, position=100)
    )


def test_stream_remembers_the_names_it_was_told(
    stub: MetricServiceStub, engine: Engine, run_id: str
) -> None:
    requests = Requests(run_id, n1="loss")
    responses = stub.StreamBatches(iter(requests))
    requests.batches(
        batch(1, frame({1: [1.0]})),
        batch(2, frame({1: [2.0], 2: [5.0]}, steps=[1]), names={2: "acc"}),
        batch(3, frame({2: [6.0], 1: [3.0]}, steps=[2]), names={1: "loss"}),
    )
    requests.end()
    assert acked(list(responses)[-1]) == 3
    assert [value for *_, value in points(engine, run_id)] == [1.0, 2.0, 3.0]
    assert [value for *_, value in points(engine, run_id, "acc")] == [5.0, 6.0]


def failure(responses: Any) -> tuple[list[int], str, str]:
    """The acks that came, then the status code and details of the end."""
    acks: list[int] = []
    with pytest.raises(grpc.RpcError) as caught:
        acks += (acked(response) for response in responses if response.HasField("ack"))
    return acks, caught.value.code().name, str(caught.value.details())


def test_name_cannot_change_its_meaning_within_a_stream(
    stub: MetricServiceStub, run_id: str
) -> None:
    requests = Requests(run_id, n1="loss")
    responses = stub.StreamBatches(iter(requests))
    requests.batches(batch(1, names={1: "acc"}))
    _, code, details = failure(responses)
    assert (code, "id 1" in details) == ("INVALID_ARGUMENT", True)


def test_gap_ends_the_stream_after_the_ack_of_what_is_stored(
    stub: MetricServiceStub, engine: Engine, run_id: str
) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    next(responses)
    requests.batches(losses(1), losses(2))
    while acked(next(responses)) < 2:
        pass
    requests.batches(losses(4), losses(5))
    assert failure(responses)[1] == "OUT_OF_RANGE"
    assert engine.writer(run_id, "w") == (2, 0)


def test_sealed_run_ends_the_stream(stub: MetricServiceStub, db: Database, run_id: str) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    next(responses)
    with db.write() as tx:
        run.finish(tx, FinishRunRequest(run_id=run_id, state=Run.STATE_FINISHED))
    requests.batches(losses(1))
    assert failure(responses)[1] == "FAILED_PRECONDITION"
    again = Requests(run_id)  # a writer that it knows may ask where it stands
    assert next(stub.StreamBatches(iter(again))).opened.committed_sequence == 0
    again.end()
    assert failure(stub.StreamBatches(iter(Requests(run_id, "new"))))[1] == "FAILED_PRECONDITION"


@pytest.mark.parametrize("messages", [0, 1, 2])
def test_stream_opens_first_and_once(stub: MetricServiceStub, run_id: str, messages: int) -> None:
    opening = pb.StreamBatchesRequest(
        open=pb.StreamBatchesRequest.Open(run_id=run_id, writer_id="w")
    )
    sent = [opening] * messages if messages != 1 else [pb.StreamBatchesRequest()]
    assert failure(stub.StreamBatches(iter(sent)))[1] == "INVALID_ARGUMENT"


def test_stream_needs_a_writer(stub: MetricServiceStub, run_id: str) -> None:
    assert failure(stub.StreamBatches(iter(Requests(run_id, ""))))[1] == "INVALID_ARGUMENT"


def test_heartbeat_in_a_stream_is_acknowledged(
    stub: MetricServiceStub, db: Database, run_id: str
) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    requests.send(heartbeat={})
    requests.end()
    assert [response.WhichOneof("message") for response in responses] == ["opened", "ack"]


def test_wish_to_stop_reaches_an_open_stream(
    stub: MetricServiceStub, db: Database, run_id: str
) -> None:
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    assert not next(responses).opened.advice.stop_requested
    with db.write() as tx:
        run.stop(tx, run_id, "enough")
    requests.send(heartbeat={})
    requests.end()
    assert any(response.advice.stop_requested for response in responses)


def test_draining_server_asks_streams_to_close_and_stores_what_still_comes(
    stub: MetricServiceStub,
    drain: threading.Event,
    run_id: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(batch_stream, "GRACE_S", 60.0)
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    next(responses)
    drain.set()
    assert next(responses).closing.grace.seconds > 0
    requests.batches(losses(1))
    requests.end()
    assert [acked(response) for response in responses] == [1]


def test_stream_that_has_grown_old_is_asked_to_close_and_stores_what_still_comes(
    stub: MetricServiceStub, run_id: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batch_stream, "STREAM_AGE_S", 0.0)
    monkeypatch.setattr(batch_stream, "GRACE_S", 60.0)
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    next(responses)
    assert next(responses).closing.grace.seconds > 0
    requests.batches(losses(1))
    requests.end()
    assert [acked(response) for response in responses] == [1]


def test_cancelled_stream_ends_its_reader(stub: MetricServiceStub, run_id: str) -> None:
    before = set(threading.enumerate())
    requests = Requests(run_id)
    responses = stub.StreamBatches(iter(requests))
    next(responses)
    requests.batches(losses(1))
    assert acked(next(responses)) == 1
    responses.cancel()
    requests.send(heartbeat={})  # what wakes it; over a socket the end of the call does
    for thread in set(threading.enumerate()) - before:
        thread.join(120)
        assert not thread.is_alive()
