"""What is promised of metrics: exactly once, durable when acknowledged, bit for bit."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import pytest
import runwire
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName
from runwire.v1.metric_service_pb2 import ReadSeriesResponse, StreamBatchesRequest
from runwire.v1.run_pb2 import Run

UNKNOWN = "f" * 32


@pytest.fixture
def run_id(client: runwire.Client) -> str:
    return client.runs.create().run_id


def batch(
    sequence: int,
    columns: Mapping[str, Sequence[float]] | None = None,
    steps: Sequence[int] | None = None,
    **fields: Any,
) -> MetricBatch:
    """A batch with one frame: the values of each key. By default the first step is the sequence."""
    if columns is None:
        columns = {"loss": [float(sequence)]}
    if not columns:
        return MetricBatch(sequence=sequence, **fields)
    rows = list(zip(*columns.values(), strict=True))
    steps = range(sequence, sequence + len(rows)) if steps is None else steps
    return MetricBatch(
        sequence=sequence,
        series=[SeriesName(id=number, key=key) for number, key in enumerate(columns)],
        frames=[
            Frame(
                series=range(len(columns)),
                steps=steps,
                times_micros=[1000 + step for step in steps],
                values=[value for row in rows for value in row],
            )
        ],
        **fields,
    )


def values(client: runwire.Client, run_id: str, key: str = "loss", **fields: Any) -> list[float]:
    found = client.metrics.read(run_id, key, **fields)
    return [] if not found else [float(value) for value in found[run_id, key].values]


# Writing ---------------------------------------------------------------------------


def test_an_acknowledged_batch_is_read_back(client: runwire.Client, run_id: str) -> None:
    response = client.metrics.log_batch(run_id, batch(1, position=99), writer_id="w")
    assert (response.ack.committed_sequence, response.ack.position) == (1, 99)
    assert response.advice.max_batch_bytes > 0
    assert not response.ack.rejections
    found = client.metrics.read(run_id, "loss")[run_id, "loss"]
    assert (list(found.steps), list(found.times_micros), list(found.values)) == ([1], [1001], [1.0])


def test_log_stores_one_row(client: runwire.Client, run_id: str) -> None:
    client.metrics.log(run_id, {"loss": 0.5, "acc": 0.25}, step=7)
    assert values(client, run_id) == [0.5]
    assert values(client, run_id, "acc") == [0.25]
    assert dict(client.runs.get(run_id).metrics) == {"loss": 0.5, "acc": 0.25}


def test_a_batch_is_stored_once_however_often_it_is_sent(
    client: runwire.Client, run_id: str
) -> None:
    for sequence in (1, 1, 2, 1, 2, 3, 3):
        client.metrics.log_batch(run_id, batch(sequence), writer_id="w")
    assert values(client, run_id) == [1.0, 2.0, 3.0]
    (info,) = client.metrics.list(run_id)
    assert info.points == 3


def test_a_gap_is_refused_and_says_what_comes_next(client: runwire.Client, run_id: str) -> None:
    client.metrics.log_batch(run_id, batch(1), writer_id="w")
    with pytest.raises(runwire.OutOfRangeError) as error:
        client.metrics.log_batch(run_id, batch(3), writer_id="w")
    assert error.value.reason == "SEQUENCE_GAP"
    assert error.value.metadata["committed_sequence"] == "1"
    assert values(client, run_id) == [1.0]


def test_a_batch_is_stored_only_where_the_one_before_it_has_ended(
    client: runwire.Client, run_id: str
) -> None:
    client.metrics.log_batch(run_id, batch(1, after_position=0, position=70), writer_id="w")
    late = batch(2, after_position=80, position=90)  # of a life that cut its batches elsewhere
    with pytest.raises(runwire.OutOfRangeError, match="70") as error:
        client.metrics.log_batch(run_id, late, writer_id="w")
    assert error.value.reason == "SEQUENCE_GAP"
    client.metrics.log_batch(run_id, batch(2, after_position=70, position=85), writer_id="w")
    client.metrics.log_batch(run_id, late, writer_id="w")  # stored: another one, as its ack tells
    assert values(client, run_id) == [1.0, 2.0]
    assert client.metrics.get_writer(run_id, "w").position == 85


def test_without_a_writer_a_batch_is_stored_once_per_call(
    client: runwire.Client, run_id: str
) -> None:
    for _ in range(2):
        client.metrics.log_batch(run_id, batch(0))
    assert values(client, run_id) == [0.0, 0.0]


def test_writers_do_not_disturb_each_other(client: runwire.Client, run_id: str) -> None:
    for sequence in (1, 2):
        for writer in "ab":
            client.metrics.log_batch(run_id, batch(sequence), writer_id=writer)
    assert values(client, run_id) == [1.0, 1.0, 2.0, 2.0]
    assert client.metrics.get_writer(run_id, "b").committed_sequence == 2


def test_a_writer_learns_where_it_stands(client: runwire.Client, run_id: str) -> None:
    assert client.metrics.get_writer(run_id, "w").committed_sequence == 0
    client.metrics.log_batch(run_id, batch(1, position=7), writer_id="w")
    stands = client.metrics.get_writer(run_id, "w")
    assert (stands.committed_sequence, stands.position) == (1, 7)


def test_a_heartbeat_registers_the_writer(client: runwire.Client, run_id: str) -> None:
    before = client.runs.get(run_id)
    assert client.metrics.log_batch(run_id, writer_id="w").ack.committed_sequence == 0
    assert client.runs.get(run_id).revision > before.revision
    client.runs.finish(run_id, after={"other": 0})
    assert client.metrics.log_batch(run_id, batch(1), writer_id="w").ack.committed_sequence == 1


def test_values_keep_every_bit(client: runwire.Client, run_id: str) -> None:
    sent = [math.nan, math.inf, -math.inf, -0.0, 5e-324, 1.7976931348623157e308, 0.1]
    sent.append(struct.unpack("<d", struct.pack("<Q", 0x7FF8000000000123))[0])
    client.metrics.log_batch(run_id, batch(1, {"loss": sent}), writer_id="w")
    found = values(client, run_id)
    assert struct.pack("<8d", *found) == struct.pack("<8d", *sent)


def test_finished_run_refuses_new_writers(client: runwire.Client, run_id: str) -> None:
    client.runs.finish(run_id)
    with pytest.raises(runwire.FailedPreconditionError) as error:
        client.metrics.log_batch(run_id, batch(1), writer_id="w")
    assert error.value.reason == "RUN_SEALED"
    assert values(client, run_id) == []


def test_a_run_asked_to_stop_tells_its_writers(client: runwire.Client, run_id: str) -> None:
    client.runs.stop(run_id, reason="enough")
    assert client.metrics.log_batch(run_id, writer_id="w").advice.stop_requested


# Bad input -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "reason"),
    [("", "FIELD_INVALID"), ("k" * 10_000, "TOO_LARGE"), ("a\x00b", "FIELD_INVALID")],
)
def test_a_bad_key_is_counted_and_the_rest_kept(
    client: runwire.Client, run_id: str, key: str, reason: str
) -> None:
    sent = batch(1, {key: [1.0, 2.0], "loss": [3.0, 4.0]})
    ack = client.metrics.log_batch(run_id, sent, writer_id="w").ack
    (rejection,) = ack.rejections
    assert (ack.committed_sequence, rejection.sequence, rejection.points) == (1, 1, 2)
    assert rejection.fault.reason == reason
    assert values(client, run_id) == [3.0, 4.0]


def test_a_param_with_another_value_is_rejected_alone(client: runwire.Client, run_id: str) -> None:
    client.metrics.log_batch(run_id, batch(1, params={"lr": "0.1"}), writer_id="w")
    sent = batch(2, params={"lr": "0.2", "depth": "3"}, tags={"team": "nlp"})
    (rejection,) = client.metrics.log_batch(run_id, sent, writer_id="w").ack.rejections
    assert (rejection.key, rejection.fault.reason) == ("lr", "PARAM_CONFLICT")
    run = client.runs.get(run_id)
    assert (dict(run.params), dict(run.tags)) == ({"lr": "0.1", "depth": "3"}, {"team": "nlp"})
    assert values(client, run_id) == [1.0, 2.0]


def _shape(**changes: Any) -> MetricBatch:
    sent = batch(1)
    for name, value in changes.items():
        del getattr(sent.frames[0], name)[:]
        getattr(sent.frames[0], name).extend(value)
    return sent


@pytest.mark.parametrize(
    "sent",
    [
        _shape(values=[1.0, 2.0]),
        _shape(times_micros=[]),
        _shape(steps=[], times_micros=[], values=[]),
        _shape(series=[5]),
        _shape(series=[0, 0], values=[1.0, 2.0]),
        batch(-1),
    ],
    ids=["values", "times", "no rows", "undeclared series", "series twice", "sequence"],
)
def test_a_batch_of_a_wrong_shape_is_refused_whole(
    client: runwire.Client, run_id: str, sent: MetricBatch
) -> None:
    sent.params["lr"] = "1"
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.metrics.log_batch(run_id, sent, writer_id="w")
    assert error.value.reason == "FIELD_INVALID"
    assert client.metrics.get_writer(run_id, "w").committed_sequence == 0
    assert dict(client.runs.get(run_id).params) == {}


def test_a_batch_over_the_limit_is_refused(client: runwire.Client, run_id: str) -> None:
    limit = client.server_info().limits.max_batch_bytes
    with pytest.raises(runwire.ResourceExhaustedError) as error:
        client.metrics.log_batch(run_id, batch(1, {"loss": [0.0] * (limit // 24 + 1)}))
    assert error.value.reason == "TOO_LARGE"


@pytest.mark.parametrize(
    "call",
    [
        lambda metrics, run_id: metrics.log_batch(run_id, batch(1), writer_id="w"),
        lambda metrics, run_id: metrics.get_writer(run_id, "w"),
        lambda metrics, run_id: list(metrics.list(run_id)),
        lambda metrics, run_id: metrics.read(run_id),
    ],
    ids=["log_batch", "get_writer", "list", "read"],
)
def test_the_run_must_exist_and_not_be_in_the_trash(
    client: runwire.Client, run_id: str, call: Callable[[Any, str], Any]
) -> None:
    with pytest.raises(runwire.NotFoundError) as error:
        call(client.metrics, UNKNOWN)
    assert error.value.reason == "NOT_FOUND"
    client.runs.delete(run_id)
    with pytest.raises(runwire.NotFoundError) as error:
        call(client.metrics, run_id)
    assert error.value.reason == "DELETED"


# Streams ---------------------------------------------------------------------------


def stream(
    run_id: str, *messages: MetricBatch | None, writer_id: str = "w"
) -> Iterator[StreamBatchesRequest]:
    """The requests of a stream: Open, then batches; None is a heartbeat."""
    opening = StreamBatchesRequest.Open(run_id=run_id, writer_id=writer_id)
    yield StreamBatchesRequest(open=opening)
    for message in messages:
        if message is None:
            yield StreamBatchesRequest(heartbeat=StreamBatchesRequest.Heartbeat())
        else:
            yield StreamBatchesRequest(batch=message)


def test_a_stream_stores_what_it_acknowledges(client: runwire.Client, run_id: str) -> None:
    batches = [batch(sequence, position=sequence) for sequence in range(1, 51)]
    responses = list(client.metrics.stream_batches(stream(run_id, *batches, None)))
    assert responses[0].opened.committed_sequence == 0
    acks = [one.ack.committed_sequence for one in responses if one.HasField("ack")]
    assert acks == sorted(acks)
    assert acks[-1] == 50
    assert values(client, run_id) == [float(sequence) for sequence in range(1, 51)]
    again = list(client.metrics.stream_batches(stream(run_id, *batches[:2])))
    assert (again[0].opened.committed_sequence, again[0].opened.position) == (50, 50)
    assert len(values(client, run_id)) == 50


def test_a_stream_and_single_calls_are_one_writer(client: runwire.Client, run_id: str) -> None:
    client.metrics.log_batch(run_id, batch(1), writer_id="w")
    list(client.metrics.stream_batches(stream(run_id, batch(2))))
    client.metrics.log_batch(run_id, batch(3), writer_id="w")
    assert values(client, run_id) == [1.0, 2.0, 3.0]


def test_a_gap_ends_the_stream_and_keeps_what_came_before(
    client: runwire.Client, run_id: str
) -> None:
    with pytest.raises(runwire.OutOfRangeError) as error:
        list(client.metrics.stream_batches(stream(run_id, batch(1), batch(3))))
    assert error.value.metadata["committed_sequence"] == "1"
    assert values(client, run_id) == [1.0]


def test_a_stream_begins_with_open(client: runwire.Client) -> None:
    sent = [StreamBatchesRequest(batch=batch(1))]
    with pytest.raises(runwire.InvalidArgumentError) as error:
        list(client.metrics.stream_batches(sent))
    assert error.value.metadata["field"] == "open"


def test_a_stream_to_a_finished_run_is_refused(client: runwire.Client, run_id: str) -> None:
    client.runs.finish(run_id)
    with pytest.raises(runwire.FailedPreconditionError) as error:
        list(client.metrics.stream_batches(stream(run_id, batch(1))))
    assert error.value.reason == "RUN_SEALED"


# The catalogue ---------------------------------------------------------------------


def test_series_are_listed_with_their_figures(client: runwire.Client, run_id: str) -> None:
    sent = batch(1, {"loss": [4.0, math.nan, 1.0, 2.5, math.inf]}, steps=[5, 9, 7, 9, 6])
    client.metrics.log_batch(run_id, sent, writer_id="w")
    (info,) = client.metrics.list(run_id)
    assert (info.key, info.points, info.non_finite) == ("loss", 5, 2)
    assert (info.first_step, info.last_step, info.last) == (5, 9, 2.5)
    assert (info.min, info.max, info.mean) == (1.0, 4.0, 2.5)


def test_the_last_value_is_that_of_the_greatest_step(client: runwire.Client, run_id: str) -> None:
    client.metrics.log_batch(run_id, batch(1, {"loss": [9.0]}, steps=[100]), writer_id="w")
    client.metrics.log_batch(run_id, batch(2, {"loss": [1.0]}, steps=[3]), writer_id="w")
    assert client.runs.get(run_id).metrics["loss"] == 9.0
    client.metrics.log_batch(run_id, batch(3, {"loss": [8.0]}, steps=[100]), writer_id="w")
    assert client.runs.get(run_id).metrics["loss"] == 8.0
    client.metrics.log_batch(run_id, batch(4, {"loss": [math.nan]}, steps=[101]), writer_id="w")
    assert math.isnan(client.runs.get(run_id).metrics["loss"])


def test_the_catalogue_is_paged_by_key(client: runwire.Client, run_id: str) -> None:
    keys = sorted([f"train/{number}" for number in range(7)] + ["a", "é", "Z", "train_0"])
    client.metrics.log_batch(run_id, batch(1, {key: [1.0] for key in reversed(keys)}))
    assert [one.key for one in client.metrics.list(run_id, page_size=2)] == keys
    found = [one.key for one in client.metrics.list(run_id, "train/", page_size=3)]
    assert found == [f"train/{number}" for number in range(7)]


def test_search_sees_what_was_acknowledged(client: runwire.Client, run_id: str) -> None:
    for sequence in (1, 2, 3):
        client.metrics.log_batch(run_id, batch(sequence), writer_id="w")
        found = client.runs.search(filter=f"metrics.loss = {sequence}")
        assert [one.run_id for one in found] == [run_id]


# Reading ---------------------------------------------------------------------------


def test_points_are_ordered_by_step_and_none_is_left_out(
    client: runwire.Client, run_id: str
) -> None:
    sent = batch(1, {"loss": [3.0, 1.0, 2.0, 2.5]}, steps=[30, -10, 20, 20])
    client.metrics.log_batch(run_id, sent, writer_id="w")
    found = client.metrics.read(run_id, "loss")[run_id, "loss"]
    assert list(found.steps) == [-10, 20, 20, 30]
    assert list(found.values) == [1.0, 2.0, 2.5, 3.0]


def test_a_range_takes_its_start_and_leaves_its_end(client: runwire.Client, run_id: str) -> None:
    client.metrics.log_batch(run_id, batch(1, {"loss": [1.0, 2.0, 3.0, 4.0]}), writer_id="w")
    assert values(client, run_id, start=2, end=4) == [2.0, 3.0]
    assert values(client, run_id, axis="TIME", start=1003) == [3.0, 4.0]
    assert values(client, run_id, axis="RELATIVE_TIME", end=0) == [1.0, 2.0, 3.0, 4.0]
    assert values(client, run_id, start=50) == []


def test_many_runs_and_keys_in_one_call(client: runwire.Client) -> None:
    one, other = (client.runs.create().run_id for _ in range(2))
    client.metrics.log(one, {"loss": 1.0, "eval/a": 2.0, "eval/b": 3.0})
    client.metrics.log(other, {"loss": 4.0, "acc": 5.0})
    found = client.metrics.read([one, other], ["loss", "acc", "none"], key_prefixes="eval/")
    assert {name: list(series.values) for name, series in found.items()} == {
        (one, "eval/a"): [2.0],
        (one, "eval/b"): [3.0],
        (one, "loss"): [1.0],
        (other, "acc"): [5.0],
        (other, "loss"): [4.0],
    }
    assert len(client.metrics.read([one, other])) == 5


def test_a_long_series_comes_in_bounded_messages_and_goes_on_after_each(
    client: runwire.Client, run_id: str
) -> None:
    for sequence in (1, 2, 3):
        rows = [sequence + number / 30_000 for number in range(30_000)]
        sent = batch(
            sequence, {"loss": rows}, steps=range(30_000 * sequence, 30_000 * sequence + 30_000)
        )
        client.metrics.log_batch(run_id, sent, writer_id="w")
    messages = list(client.metrics.read_stream(run_id, "loss"))
    assert all(message.ByteSize() <= 1 << 20 for message in messages)
    assert [message.last for message in messages] == [False] * (len(messages) - 1) + [True]
    assert _steps(messages) == list(range(30_000, 120_000))
    rest = list(client.metrics.read_stream(run_id, "loss", resume=messages[0].resume))
    assert _steps(rest) == _steps(messages[1:])
    assert list(client.metrics.read_stream(run_id, "loss", resume=messages[-1].resume)) == []


def _steps(messages: list[ReadSeriesResponse]) -> list[int]:
    return [step for message in messages for step in message.points.steps]


def test_a_damaged_resume_token_is_refused(client: runwire.Client, run_id: str) -> None:
    client.metrics.log(run_id, {"loss": 1.0})
    with pytest.raises(runwire.InvalidArgumentError) as error:
        list(client.metrics.read_stream(run_id, "loss", resume=b"damaged"))
    assert error.value.metadata["field"] == "resume"


def test_a_resumed_run_is_written_by_a_new_writer(client: runwire.Client, run_id: str) -> None:
    client.metrics.log_batch(run_id, batch(1), writer_id="first")
    client.runs.finish(run_id)
    assert client.runs.resume(run_id).state == Run.STATE_RUNNING
    client.metrics.log_batch(run_id, batch(1, {"loss": [5.0]}, steps=[2]), writer_id="second")
    assert values(client, run_id) == [1.0, 5.0]


# Storage ---------------------------------------------------------------------------


def test_compacted_metrics_take_less_room_and_read_as_before(
    client: runwire.Client, run_id: str
) -> None:
    for sequence in range(1, 4):
        columns = {"loss": [sequence + 0.25 * n for n in range(100)], "lr": [0.1] * 100}
        sent = batch(sequence, columns, range(sequence * 100, sequence * 100 + 100))
        client.metrics.log_batch(run_id, sent, writer_id="w")
    expected = values(client, run_id)
    before = client.metrics.get_storage(run_id)
    # A server may fold some by itself at any moment.
    assert before.unfolded_points + before.block_points == 600
    while not client.metrics.compact(run_id).done:
        pass
    after = client.metrics.get_storage(run_id)
    assert (after.frames, after.block_points) == (0, 600)
    if before.unfolded_frames == 3:
        assert after.block_bytes < before.frame_bytes
    assert client.metrics.get_storage().blocks >= after.blocks
    assert values(client, run_id) == expected
    with pytest.raises(runwire.RunwireError, match="run"):
        client.metrics.compact(UNKNOWN)
    with pytest.raises(runwire.RunwireError, match="run"):
        client.metrics.get_storage(UNKNOWN)
