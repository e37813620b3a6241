"""Reductions against a slow and plain reference: buckets, M4, grids, parts."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from runwire_server.metrics.reduce import Buckets, Cutter, Grid, Range, Reducer
from runwire_server.metrics.stretch import Columns

INT64_MIN, INT64_MAX = -(1 << 63), (1 << 63) - 1
Point = tuple[int, int, float]

VALUES = st.one_of(
    st.sampled_from([0.0, 1.0, -1.0, math.nan, math.inf, -math.inf, 1e308, -1e308]),
    st.floats(),
)
STEPS = st.one_of(
    st.integers(-20, 20), st.integers(INT64_MIN, INT64_MAX), st.sampled_from([INT64_MIN, INT64_MAX])
)
POINTS = st.lists(st.tuples(STEPS, st.integers(-9, 9), VALUES), max_size=40).map(
    lambda points: sorted(points, key=lambda point: point[:2])
)
MOST = st.integers(1, 12)


def columns(points: Sequence[Point]) -> Columns:
    return Columns(
        np.array([step for step, _, _ in points], np.int64),
        np.array([time for _, time, _ in points], np.int64),
        np.array([value for _, _, value in points], np.float64),
    )


def grid_over(points: Sequence[Point], most: int) -> Grid:
    if not points:
        return Grid.over(Range(0, 1), most)
    return Grid.over(Range(points[0][0], points[-1][0] + 1), most)


def reduce(
    parts: Sequence[Sequence[Point]],
    grid: Grid,
    whole: int | None = None,
    *,
    to_shape: bool = False,
) -> Any:
    reducer = Reducer(Cutter(grid, by_time=False, origin=0), whole, to_shape=to_shape)
    for part in parts:
        reducer.add(columns(part))
    return reducer.rows()


def plain(points: Sequence[Point], grid: Grid) -> list[tuple[int, list[Point]]]:
    """The points of each bucket."""

    def number(point: Point) -> int:
        return (point[0] - grid.start) // grid.width

    return [(of, list(group)) for of, group in groupby(points, number)]


def same(one: float, other: float) -> bool:
    return one == other or (math.isnan(one) and math.isnan(other))


@given(POINTS, MOST)
def test_buckets_are_those_of_a_plain_loop(points: list[Point], most: int) -> None:
    grid = grid_over(points, most)
    found: Buckets = reduce([points], grid)
    expected = plain(points, grid)
    assert found.numbers.tolist() == [number for number, _ in expected]
    assert len(expected) <= most
    for place, (_, group) in enumerate(expected):
        values = [value for _, _, value in group]
        finite = [value for value in values if math.isfinite(value)]
        assert found.counts[place] == len(group)
        assert found.non_finite[place] == len(values) - len(finite)
        assert same(found.first[place], values[0])
        assert same(found.last[place], values[-1])
        assert found.minimum[place] == min(finite, default=math.inf)
        assert found.maximum[place] == max(finite, default=-math.inf)
        assert not math.isnan(found.total[place])
        assert found.total[place] == pytest.approx(
            exact_sum(finite), rel=1e-9, abs=1e-9 * scale(finite)
        )


@given(st.lists(st.sampled_from([0.0, -0.0]), min_size=1, max_size=20))
def test_zero_of_a_bucket_has_no_sign_however_its_points_are_cut(values: list[float]) -> None:
    points = [(step, 0, value) for step, value in enumerate(values)]
    for parts in ([points], [[point] for point in points]):
        found: Buckets = reduce(parts, grid_over(points, 1))
        zeros = np.concatenate((found.minimum, found.maximum, found.total))
        assert not np.signbit(zeros).any()


def scale(values: list[float]) -> float:
    return max((abs(value) for value in values), default=0.0)


def exact_sum(values: list[float]) -> float:
    try:
        return math.fsum(values)
    except OverflowError:
        return math.fsum(value / 2**64 for value in values) * 2.0**64


@given(POINTS, MOST)
def test_shape_has_first_least_greatest_and_last_of_each_bucket(
    points: list[Point], most: int
) -> None:
    grid = grid_over(points, most)
    found: Columns = reduce([points], grid, to_shape=True)
    expected: list[int] = []
    at = 0
    for _, group in plain(points, grid):
        places = {0, len(group) - 1}
        finite = [place for place, (_, _, value) in enumerate(group) if math.isfinite(value)]
        if finite:
            places.add(min(finite, key=lambda place: group[place][2]))
            places.add(max(finite, key=lambda place: group[place][2]))
        expected += sorted(at + place for place in places)
        at += len(group)
    assert len(expected) <= 4 * most
    kept = columns([points[place] for place in expected])
    for ours, theirs in zip(found, kept, strict=True):
        assert ours.tobytes() == theirs.tobytes()


@given(st.data(), POINTS, MOST, st.booleans(), st.none() | st.integers(0, 20))
def test_parts_come_to_what_the_whole_comes_to(
    data: st.DataObject, points: list[Point], most: int, to_shape: bool, whole: int | None
) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(points)), max_size=4)))
    parts = [points[a:b] for a, b in zip([0, *cuts], [*cuts, len(points)], strict=True)]
    grid = grid_over(points, most)
    found = reduce(parts, grid, whole, to_shape=to_shape)
    expected = reduce([points], grid, whole, to_shape=to_shape)
    assert type(found) is type(expected)
    finite = [value for _, _, value in points if math.isfinite(value)]
    for name, ours, theirs in zip(found._fields, found, expected, strict=True):
        if name == "total":
            if scale(finite) < 1e300:
                np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-9 * scale(finite))
            assert not np.isnan(ours).any()
        else:
            assert ours.tobytes() == theirs.tobytes(), name


@given(POINTS, st.integers(0, 20))
def test_up_to_so_many_points_stay_as_they_are(points: list[Point], whole: int) -> None:
    for to_shape in (True, False):
        found = reduce([points], grid_over(points, 1), whole, to_shape=to_shape)
        if len(points) <= whole:
            assert [column.tobytes() for column in found] == [
                column.tobytes() for column in columns(points)
            ]
        else:
            assert isinstance(found, Columns if to_shape else Buckets)


@given(STEPS, STEPS, st.one_of(MOST, st.integers(1, 1_000_000)))
@example(INT64_MIN, INT64_MAX, 1)
@example(INT64_MIN, INT64_MAX, 2)
@example(INT64_MIN, INT64_MAX, 3)
@example(-1, 0, 1)
def test_grid_covers_its_range_with_edges_on_multiples(one: int, other: int, most: int) -> None:
    low, high = sorted((one, other))
    grid = Grid.over(Range(low, high + 1), most)
    assert 1 <= grid.count <= most
    assert grid.start <= low <= high < grid.end
    assert grid.start + grid.width > low
    assert grid.end - grid.width <= high
    assert most == 1 or grid.start % grid.width == 0
    # Hardly wider than need be, where there are more than a few.
    assert most < 20 or grid.width <= math.ceil(1.1 * -(-(high + 1 - low) // most))
    edges = grid.edges(np.array([0, grid.count]))
    assert edges.tolist() == [max(grid.start, INT64_MIN), min(grid.end, INT64_MAX)]


@given(st.lists(STEPS, min_size=1).map(sorted), MOST, st.integers(INT64_MIN, INT64_MAX))
def test_numbers_never_overflow(steps: list[int], most: int, origin: int) -> None:
    grid = Grid.over(Range(steps[0] - origin, steps[-1] - origin + 1), most)
    expected = [(step - origin - grid.start) // grid.width for step in steps]
    assert grid.numbers(np.array(steps, np.int64), origin).tolist() == expected


def test_series_that_share_an_axis_are_cut_once() -> None:
    points = columns([(step, 0, 0.0) for step in range(100)])
    cutter = Cutter(Grid(0, 10, 10), by_time=False, origin=0)
    other = points._replace(values=points.values + 1)
    assert cutter.cut(points) is cutter.cut(other)
    assert cutter.cut(points._replace(steps=points.steps + 1)) is not cutter.cut(other)
