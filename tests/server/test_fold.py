"""Folding: nothing is lost, doubled or changed, whatever is folded and whenever it stops."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire.v1 import metric_service_pb2 as pb
from runwire_server.metrics import Engine, assembly, blocks, outstanding
from runwire_server.store.database import Database

from server.batches import (
    batch,
    fold,
    frame,
    new_run,
    points,
    running,
    series,
    trim,
)

KEYS = {number: f"key{number}" for number in range(6)}
NAN = struct.unpack("<d", struct.pack("<Q", 0x7FF8_0000_0000_BEEF))[0]
VALUES = st.sampled_from([0.0, -0.0, 1.0, -2.5, 1e300, 5e-324, math.nan, NAN, math.inf, -math.inf])
WHOLE = st.one_of(st.integers(-2, 2), st.sampled_from([-(1 << 63), (1 << 63) - 1, 1 << 40]))


@pytest.fixture
def engine(db: Database) -> Iterator[Engine]:
    with running(db) as engine:
        yield engine


@pytest.fixture
def run_id(db: Database) -> str:
    return new_run(db)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limits so low that a handful of points meets them all."""
    shrink(monkeypatch)


def shrink(patch: pytest.MonkeyPatch) -> None:
    for name, value in {
        "MAX_ROWS": 8, "MAX_BLOCK_POINTS": 12, "MAX_SET_KEYS": 3, "MIN_SET_POINTS": 4,
        "MIN_KEY_POINTS": 6, "FAN_IN": 2, "MAX_MERGED_POINTS": 20,
    }.items():  # fmt: skip
        patch.setattr(assembly, name, value)
    patch.setattr(blocks, "MAX_PART_POINTS", 6)
    patch.setattr(blocks, "MIN_COLUMN_ROWS", 4)
    patch.setattr(outstanding, "CHUNK_FRAMES", 3)


@st.composite
def sent_frames(draw: st.DrawFn) -> Any:
    width, rows = draw(st.integers(1, 6)), draw(st.integers(1, 5))
    ids = draw(st.permutations(range(len(KEYS))))[:width]
    values = st.lists(VALUES, min_size=rows, max_size=rows)
    whole = st.lists(WHOLE, min_size=rows, max_size=rows)
    return frame({number: draw(values) for number in ids}, draw(whole), draw(whole))


SENDS = st.lists(
    st.tuples(
        st.sampled_from("ab"),
        st.lists(sent_frames(), max_size=3),
        st.sampled_from(["", "", "fold", "thorough", "trim"]),
    ),
    min_size=1,
    max_size=12,
)


def exact(engine: Engine, run_id: str, **fields: Any) -> dict[str, list[tuple[int, int, bytes]]]:
    """Every point of every series, its value by its bits."""
    select = pb.SeriesSelector(run_ids=[run_id])
    found: dict[str, list[tuple[int, int, bytes]]] = {}
    for message in engine.read_series(pb.ReadSeriesRequest(select=select, **fields)):
        values = np.array(message.points.values, "<f8")
        bits = [value.tobytes() for value in values]
        rows = zip(message.points.steps, message.points.times_micros, bits, strict=True)
        found.setdefault(message.key, []).extend(rows)
    return found


@settings(max_examples=40)
@given(SENDS)
def test_folded_points_read_as_those_that_were_never_folded(
    db: Database, sends: list[tuple[str, list[Any], str]]
) -> None:
    folded, plain = new_run(db), new_run(db)
    sequences = dict.fromkeys("ab", 0)
    by_time = pb.ReadSeriesRequest.AXIS_TIME
    with pytest.MonkeyPatch.context() as patch, running(db) as engine:
        shrink(patch)
        for writer, frames, act in sends:
            sequences[writer] += 1
            for run_id in (folded, plain):
                sent = batch(sequences[writer], *frames)
                engine.submit(run_id, writer, sent, KEYS).result(10)
            if act:
                fold(db, folded, thorough=act == "thorough")
            if act == "trim":
                trim(db, folded)
        assert exact(engine, folded) == exact(engine, plain)
        assert exact(engine, folded, axis=by_time) == exact(engine, plain, axis=by_time)
        window = {"range_start": -1, "range_end": 2}
        assert exact(engine, folded, **window) == exact(engine, plain, **window)
        for key in KEYS.values():
            one, other = points(engine, folded, key), points(engine, plain, key)
            assert repr(one) == repr(other)
        assert repr(series(engine, folded)) == repr(series(engine, plain))
