"""What is promised of tails: all that arrives, once, in order, bit for bit, after any cut."""

from __future__ import annotations

import math
import struct
import threading
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import runwire
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName

NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_BEEF))[0]

Point = tuple[str, int, float]


@pytest.fixture
def run_id(client: runwire.Client) -> str:
    return client.runs.create().run_id


def until_mark(tail: Iterator[Any]) -> list[Any]:
    """The events up to the next Mark, which is left out."""
    found: list[Any] = []
    for event in tail:
        if event.is_mark:
            return found
        found.append(event)
    raise AssertionError("it ended")


def points(events: list[Any]) -> list[Point]:
    return [(key, step, value) for each in events for key, step, _, value in each.points()]


def next_points(tail: Iterator[Any]) -> list[Point]:
    """Of the next event that has any."""
    return next(found for event in tail if (found := points([event])))


def log(client: runwire.Client, run_id: str, first: int, count: int = 1, key: str = "loss") -> None:
    for step in range(first, first + count):
        client.metrics.log(run_id, {key: float(step)}, step=step)


def test_history_comes_first_and_then_what_arrives(client: runwire.Client, run_id: str) -> None:
    log(client, run_id, 0, 3)
    with client.metrics.tail(run_id, "loss", from_beginning=True) as tail:
        assert points(until_mark(tail)) == [("loss", step, float(step)) for step in range(3)]
        log(client, run_id, 3)
        assert next_points(tail) == [("loss", 3, 3.0)]


def test_a_tail_from_now_leaves_history_out(client: runwire.Client, run_id: str) -> None:
    log(client, run_id, 0, 3)
    with client.metrics.tail(run_id) as tail:
        assert until_mark(tail) == []
        log(client, run_id, 3)
        assert next_points(tail) == [("loss", 3, 3.0)]


def test_values_and_times_come_as_they_were_written(client: runwire.Client, run_id: str) -> None:
    values = [NAN, math.inf, -math.inf, -0.0, 5e-324, 1e300]
    frame = Frame(
        series=[7, 9],
        steps=[5, -3, 5],
        times_micros=[10, 11, 12],
        values=values,
    )
    names = [SeriesName(id=7, key="a"), SeriesName(id=9, key="b")]
    client.metrics.log_batch(run_id, MetricBatch(series=names, frames=[frame]))
    with client.metrics.tail(run_id, from_beginning=True) as tail:
        (event,) = until_mark(tail)
    assert event.run_id == run_id
    by_key = {one.key: one for one in event.series}
    assert by_key["a"].steps.tolist() == [-3, 5, 5]
    assert by_key["a"].times_micros.tolist() == [11, 10, 12]
    assert by_key["a"].values.tobytes() == np.array([-math.inf, NAN, 5e-324]).tobytes()
    assert by_key["b"].values.tobytes() == np.array([-0.0, math.inf, 1e300]).tobytes()


def test_only_the_selected_series_come(client: runwire.Client, run_id: str) -> None:
    other = client.runs.create().run_id
    for each in (run_id, other):
        client.metrics.log(each, {"loss": 1.0, "val/loss": 2.0, "val/acc": 3.0, "x": 4.0})
    with client.metrics.tail(run_id, ["loss"], key_prefixes="val/", from_beginning=True) as tail:
        found = until_mark(tail)
    assert {one.run_id for one in found} == {run_id}
    assert sorted(points(found)) == [("loss", 0, 1.0), ("val/acc", 0, 3.0), ("val/loss", 0, 2.0)]


def test_many_runs_come_on_one_tail(client: runwire.Client) -> None:
    run_ids = [client.runs.create().run_id for _ in range(5)]
    with client.metrics.tail(run_ids, from_beginning=True) as tail:
        assert until_mark(tail) == []
        for number, each in enumerate(run_ids):
            log(client, each, number)
            event = next(event for event in tail if event.frames)
            assert (event.run_id, points([event])) == (each, [("loss", number, float(number))])


def test_a_tail_goes_on_after_any_of_its_events(client: runwire.Client, run_id: str) -> None:
    log(client, run_id, 0, 4)
    with client.metrics.tail(run_id, from_beginning=True, min_interval_s=0.0) as tail:
        first = until_mark(tail)
        log(client, run_id, 4)
        following = next(event for event in tail if event.frames)
    for event in first:
        with client.metrics.tail(run_id, cursor=event.cursor) as again:
            assert points(until_mark(again)) == [("loss", 4, 4.0)]
    with client.metrics.tail(run_id, cursor=following.cursor) as again:
        assert until_mark(again) == []
        assert again.cursor == following.cursor


def test_a_tail_goes_on_exactly_after_a_read(client: runwire.Client, run_id: str) -> None:
    log(client, run_id, 0, 3, key="a")
    log(client, run_id, 0, 3, key="b")
    stream = client.metrics.read_stream([run_id])
    read = [next(stream)]
    log(client, run_id, 3, 2, key="a")
    log(client, run_id, 0, 1, key="c")
    read += stream
    seen = [(one.key, step) for one in read for step in one.points.steps]
    assert [bool(one.cursor) for one in read] == [False] * (len(read) - 1) + [True]
    with client.metrics.tail([run_id], cursor=read[-1].cursor) as tail:
        seen += [(key, step) for key, step, _ in points(until_mark(tail))]
    assert sorted(seen) == sorted(
        [("a", step) for step in range(5)] + [("b", step) for step in range(3)] + [("c", 0)]
    )


def test_the_end_of_a_run_is_told_after_its_points(client: runwire.Client, run_id: str) -> None:
    log(client, run_id, 0, 2)
    client.runs.finish(run_id, "FAILED")
    with client.metrics.tail(run_id, from_beginning=True) as tail:
        *some, last = until_mark(tail)
        assert len(points(some)) == 2
        assert (last.run_id, last.ended) == (run_id, "FAILED")
        client.runs.resume(run_id)
        log(client, run_id, 2)
        assert next_points(tail) == [("loss", 2, 2.0)]
        client.runs.finish(run_id)
        ended = next(event for event in tail if event.ended)
        assert ended.ended == "FINISHED"
    with client.metrics.tail(run_id, cursor=ended.cursor) as again:
        assert until_mark(again) == []
    with client.metrics.tail(run_id) as fresh:
        assert [event.ended for event in until_mark(fresh)] == ["FINISHED"]


def test_a_run_that_does_not_exist_or_is_deleted_has_no_tail(
    client: runwire.Client, run_id: str
) -> None:
    with pytest.raises(runwire.NotFoundError) as missing:
        next(client.metrics.tail([run_id, "0" * 32]))
    assert missing.value.reason == "NOT_FOUND"
    with client.metrics.tail(run_id) as tail:
        assert until_mark(tail) == []
        client.runs.delete(run_id)
        with pytest.raises(runwire.NotFoundError) as deleted:
            next(tail)
    assert deleted.value.reason == "DELETED"


def test_a_cursor_is_good_for_its_own_selection_only(client: runwire.Client, run_id: str) -> None:
    with client.metrics.tail(run_id, "loss") as tail:
        cursor = next(tail).cursor
    for options in ({"keys": "acc"}, {"keys": ()}, {"key_prefixes": "l", "keys": "loss"}):
        with pytest.raises(runwire.InvalidArgumentError) as error:
            next(client.metrics.tail(run_id, cursor=cursor, **options))
        assert error.value.metadata["field"] == "cursor"
    for damaged in (b"x", cursor[:-1], cursor + b"\0", bytes(len(cursor)), cursor[::-1]):
        with pytest.raises(runwire.InvalidArgumentError) as error:
            next(client.metrics.tail(run_id, "loss", cursor=damaged))
        assert error.value.metadata["field"] == "cursor"


def test_an_interval_gathers_what_arrives(client: runwire.Client, run_id: str) -> None:
    with client.metrics.tail(run_id, min_interval_s=0.3) as tail:
        assert until_mark(tail) == []
        start = time.monotonic()
        log(client, run_id, 0)
        assert len(next_points(tail)) == 1
        log(client, run_id, 1, 3)
        passed = int((time.monotonic() - start) / 0.3)
        gathered = next_points(tail)
        for _ in range(passed):  # where the three calls took their time
            if gathered[-1][1] < 3:
                gathered += next_points(tail)
    assert gathered == [("loss", step, float(step)) for step in (1, 2, 3)]
    with pytest.raises(runwire.InvalidArgumentError, match="min_interval"):
        next(client.metrics.tail(run_id, min_interval_s=61))


def test_a_wide_batch_comes_in_messages_of_bounded_size(
    client: runwire.Client, run_id: str
) -> None:
    keys = [f"{number:05}/" + "k" * 400 for number in range(1500)]
    names = [SeriesName(id=number, key=key) for number, key in enumerate(keys)]
    for at in range(0, 1500, 500):
        part = Frame(series=range(at, at + 500), steps=[0], times_micros=[0], values=range(500))
        client.metrics.log_batch(run_id, MetricBatch(series=names[at : at + 500], frames=[part]))
    values = np.arange(1500 * 80, dtype=float)
    whole = Frame(series=range(1500), steps=range(1, 81), times_micros=range(80), values=values)
    client.metrics.log_batch(run_id, MetricBatch(frames=[whole]), series=names)
    with client.metrics.tail(run_id, from_beginning=True) as tail:
        events = until_mark(tail)
    assert len(events) > 2
    expected = points(events)
    assert len(expected) == len(set(expected)) == 1500 * 81
    assert {value for _, step, value in expected if step} == set(values.tolist())
    for place, event in enumerate(events):
        with client.metrics.tail(run_id, cursor=event.cursor) as again:
            assert points(until_mark(again)) == points(events[place + 1 :])


def test_a_closed_tail_ends_for_whoever_reads_it(client: runwire.Client, run_id: str) -> None:
    tail = client.metrics.tail(run_id)
    until_mark(tail)
    reader = threading.Thread(target=lambda: list(tail))
    reader.start()
    tail.close()
    reader.join(120)
    assert not reader.is_alive()
    assert list(tail) == []
