"""The stored form of points: every bit comes back, damage is seen and named."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from runwire_server.metrics import frames
from runwire_server.metrics.frames import FLOAT, INT, Frame, FrameDamaged, Origin

ORIGIN = Origin("0" * 32, "w", 7)

INT64 = st.integers(-(1 << 63), (1 << 63) - 1)
# Doubles by their bits: quiet and signalling NaNs with payloads, -0.0, infinities, subnormals.
BITS = st.one_of(
    st.integers(0, (1 << 64) - 1),
    st.sampled_from(
        [0x7FF8000000000123, 0x7FF0000000000001, 0xFFF8000000000ABC, 1 << 63, 1, 0x7FF << 52]
    ),
)


@st.composite
def stored_frames(draw: st.DrawFn) -> Frame:
    series, rows = draw(st.integers(1, 5)), draw(st.integers(1, 6))

    def column(count: int, values: st.SearchStrategy[int]) -> list[int]:
        return draw(st.lists(values, min_size=count, max_size=count))

    bits = np.array(column(series * rows, BITS), "<u8")
    return Frame(
        np.array(column(series, INT64), INT),
        np.array(column(rows, INT64), INT),
        np.array(column(rows, INT64), INT),
        bits.view(FLOAT).reshape(rows, series),
    )


def as_bytes(frame: Frame) -> tuple[tuple[int, ...] | bytes, ...]:
    return tuple(part for array in frame for part in (array.shape, array.tobytes()))


@given(st.lists(stored_frames(), max_size=4))
def test_every_bit_comes_back(written: list[Frame]) -> None:
    read = frames.decode(frames.encode(written), ORIGIN)
    assert [as_bytes(frame) for frame in read] == [as_bytes(frame) for frame in written]


def one_payload() -> bytes:
    values = np.arange(6, dtype=FLOAT).reshape(3, 2)
    steps = np.arange(3, dtype=INT)
    return frames.encode([Frame(np.array([5, 6], INT), steps, steps + 100, values)])


def test_decoding_copies_nothing() -> None:
    payload = one_payload()
    (frame,) = frames.decode(payload, ORIGIN)
    for array in frame:
        root = array
        while isinstance(root.base, np.ndarray):
            root = root.base
        assert root.base is payload
        assert array.flags.aligned


def test_layout_is_the_documented_one() -> None:
    payload = one_payload()
    assert payload[:8] == b"RWMF\x01\x00\x00\x00"
    assert struct.unpack_from("<I", payload, 8) == (1,)
    assert struct.unpack_from("<2I", payload, 16) == (2, 3)
    assert struct.unpack_from("<2q3q3q6d", payload, 24) == (
        5, 6, 0, 1, 2, 100, 101, 102, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0,
    )  # fmt: skip
    assert len(payload) == 24 + 8 * 14


@given(st.integers(0, len(one_payload()) - 1), st.integers(1, 255))
def test_every_changed_byte_is_seen(position: int, change: int) -> None:
    damaged = bytearray(one_payload())
    damaged[position] ^= change
    with pytest.raises(FrameDamaged) as caught:
        frames.decode(bytes(damaged), ORIGIN)
    assert caught.value.reason == "DATA_DAMAGED"


@given(st.integers(0, len(one_payload()) - 1))
def test_every_cut_is_seen(length: int) -> None:
    with pytest.raises(FrameDamaged):
        frames.decode(one_payload()[:length], ORIGIN)


def test_damage_names_its_row() -> None:
    with pytest.raises(FrameDamaged, match="damaged") as caught:
        frames.decode(b"", ORIGIN)
    assert caught.value.metadata == {"run_id": "0" * 32, "writer_id": "w", "sequence": "7"}


def test_without_drops_columns_and_empty_frames() -> None:
    whole = frames.decode(one_payload(), ORIGIN)
    (left,) = frames.without(whole, np.array([5], INT))
    assert left.key_ids.tolist() == [6]
    assert left.values.tolist() == [[1.0], [3.0], [5.0]]
    assert frames.without(whole, np.array([5, 6], INT)) == []
