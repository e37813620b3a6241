"""Batches made by hand are what the real messages would be."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest
from google.protobuf.wrappers_pb2 import UInt64Value
from hypothesis import given
from hypothesis import strategies as st
from runwire._batches import (
    BatchBuilder,
    SealedBatch,
    SeriesIds,
    WireSchema,
    batch_request,
    frame,
    log_batch_request,
    varint,
)
from runwire._journal_reader import Definitions, RowBlock, Schema
from runwire.v1.metric_pb2 import Frame, MetricBatch
from runwire.v1.metric_service_pb2 import LogBatchRequest, StreamBatchesRequest
from runwire.v1.run_pb2 import DatasetInput

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
KEYS = st.lists(st.text(st.characters(codec="utf-8"), min_size=1, max_size=20), unique=True)


def block(schema: Schema, steps: list[int], times: list[int], values: list[float]) -> RowBlock:
    return RowBlock(
        schema.number,
        len(steps),
        struct.pack(f"{len(steps)}q", *steps),
        struct.pack(f"{len(times)}q", *times),
        struct.pack(f"{len(values)}d", *values),
    )


def wire(schema: Schema) -> WireSchema:
    return WireSchema(schema, {key: number for number, key in enumerate(schema.keys, 1)})


def parsed(batch: SealedBatch) -> MetricBatch:
    return MetricBatch.FromString(batch.batch)


@given(st.integers(0, (1 << 64) - 1))
def test_varint_is_that_of_protobuf(number: int) -> None:
    theirs = UInt64Value(value=number).SerializeToString()
    assert b"\x08" + varint(number) == (theirs or b"\x08\x00")


@given(
    st.lists(st.integers(1, 1 << 31), min_size=1, max_size=5),
    st.lists(st.tuples(INT64, INT64), min_size=1, max_size=5),
    st.data(),
)
def test_a_frame_is_byte_for_byte_the_message(
    ids: list[int], rows: list[tuple[int, int]], data: st.DataObject
) -> None:
    count = len(ids) * len(rows)
    values = data.draw(st.lists(st.floats(width=64), min_size=count, max_size=count))
    steps, times = [step for step, _ in rows], [time for _, time in rows]
    made = frame(
        list(map(varint, ids)),
        [struct.pack("q", step) for step in steps],
        [struct.pack(f"{len(rows)}q", *times)],
        [struct.pack(f"{count}d", *values)],
    )
    message = MetricBatch(
        frames=[Frame(series=ids, steps=steps, times_micros=times, values=values)]
    )
    assert b"".join(made) == message.SerializeToString()


@given(KEYS.filter(bool), st.integers(1, 1 << 40), st.integers(1, 1 << 60))
def test_a_batch_is_byte_for_byte_the_message(
    keys: list[str], sequence: int, position: int
) -> None:
    schema = Schema(1, 0, tuple(keys))
    builder = BatchBuilder(set(), 0)
    values = [float(number) for number in range(2 * len(keys))]
    first, second = values[: len(keys)], values[len(keys) :]
    builder.add_rows(wire(schema), block(schema, [1], [10], first))
    builder.add_rows(wire(schema), block(schema, [2], [20], second))
    builder.add_text(builder.params, "lr", "0.1")
    builder.add_text(builder.tags, "team", "nlp")
    builder.remove_tag("old")
    dataset = DatasetInput(name="train", tags={"context": "train"})
    builder.add_input(dataset.SerializeToString())
    sealed = builder.seal(sequence, position - 1, position)

    message = MetricBatch(
        sequence=sequence,
        frames=[
            Frame(
                series=range(1, len(keys) + 1), steps=[1, 2], times_micros=[10, 20], values=values
            )
        ],
        params={"lr": "0.1"},
        tags={"team": "nlp"},
        removed_tags=["old"],
        inputs=[dataset],
        position=position,
        after_position=position - 1,
    )
    for number, key in enumerate(keys, 1):
        message.series.add(id=number, key=key)
    assert sealed.batch == message.SerializeToString(deterministic=True)
    assert sealed.size_bytes == len(sealed.batch)
    assert sealed.points == 2 * len(keys)


def test_names_come_in_the_first_batch_and_beside_later_ones() -> None:
    schema, declared = Schema(1, 0, ("loss", "acc")), set[int]()
    batches = []
    for sequence in (1, 2):
        builder = BatchBuilder(declared, 0)
        builder.add_rows(wire(schema), block(schema, [1], [1], [0.5, 0.25]))
        batches.append(builder.seal(sequence, 0, 8))
    assert [(one.id, one.key) for one in parsed(batches[0]).series] == [(1, "loss"), (2, "acc")]
    assert not batches[0].names
    assert not parsed(batches[1]).series
    request = LogBatchRequest.FromString(
        log_batch_request("r", "w", batches[1].batch, batches[1].names)
    )
    assert (request.run_id, request.writer_id, request.batch.sequence) == ("r", "w", 2)
    assert [(one.id, one.key) for one in request.series] == [(1, "loss"), (2, "acc")]
    on_a_stream = StreamBatchesRequest.FromString(batch_request(batches[1], batches[1].names))
    assert on_a_stream.batch == request.batch
    assert on_a_stream.series == request.series


def test_a_heartbeat_has_no_batch() -> None:
    request = LogBatchRequest.FromString(log_batch_request("r", "w", None, b""))
    assert not request.HasField("batch")


@given(st.integers(1, 400), st.integers(100, 3000))
def test_slices_of_a_wide_row_cover_it_and_keep_their_room(width: int, room: int) -> None:
    schema = Schema(1, 0, tuple(f"layer.{number}.norm" for number in range(width)))
    made, row = wire(schema), block(schema, [7], [8], [float(n) for n in range(width)])
    start, values, names = 0, list[float](), list[str]()
    while start < width:
        builder = BatchBuilder(set(), 0)
        end = made.columns_within(start, room, declared=False)
        builder.add_slice(made, row, start, end)
        sealed = builder.seal(1, 0, 1)
        assert len(sealed.batch) <= room + 120 or end == start + 1
        values += parsed(sealed).frames[0].values
        names += [one.key for one in parsed(sealed).series]
        start = end
    assert values == [float(number) for number in range(width)]
    assert tuple(names) == schema.keys


@pytest.mark.parametrize("first", [1, 2])
def test_series_numbers_do_not_depend_on_what_is_sent_first(tmp_path: Path, first: int) -> None:
    (tmp_path / "schemas.jsonl").write_text(
        '{"run":0,"run_id":"a"}\n'
        '{"schema":1,"run":0,"keys":["x","y"]}\n'
        '{"schema":2,"run":0,"keys":["y","z"]}\n'
    )
    ids = SeriesIds(Definitions(tmp_path))
    ids.wire(first)
    assert ids.wire(1).ids == [varint(1), varint(2)]
    assert ids.wire(2).ids == [varint(2), varint(3)]
