"""What is promised of reads that reduce: exact statistics, real points, edges that line up."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import runwire
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName

START = 1_700_000_000_000_000


@pytest.fixture
def run_id(client: runwire.Client) -> str:
    return client.runs.create(start_time=START).run_id


def put(
    client: runwire.Client,
    run_id: str,
    values: Sequence[float],
    *,
    steps: Sequence[int] | None = None,
    times: Sequence[int] | None = None,
    key: str = "loss",
) -> None:
    """Points by default at the steps 0, 1, 2 ... a second each from the start of the run."""
    steps = range(len(values)) if steps is None else steps
    times = [START + 1_000_000 * step for step in steps] if times is None else times
    frame = Frame(series=[1], steps=steps, times_micros=times, values=values)
    batch = MetricBatch(series=[SeriesName(id=1, key=key)], frames=[frame])
    client.metrics.log_batch(run_id, batch)


def rows(found: Any) -> list[tuple[Any, ...]]:
    """Of a series or of buckets, a tuple a row."""
    return list(zip(*(column.tolist() for column in found.columns().values()), strict=True))


def test_buckets_have_exact_statistics(client: runwire.Client, run_id: str) -> None:
    put(client, run_id, [3.0, 1.0, 2.0, 9.0, 5.0, 7.0, 4.0, 8.0])
    found = client.metrics.read(run_id, reduce="BUCKETS", max_points=2)[run_id, "loss"]
    assert rows(found) == [
        (0, 4, 4, 3.0, 9.0, 1.0, 9.0, 15.0, 0),
        (4, 8, 4, 5.0, 8.0, 4.0, 8.0, 24.0, 0),
    ]


def test_nan_and_infinities_are_counted_and_left_out(client: runwire.Client, run_id: str) -> None:
    put(client, run_id, [math.inf, 1.0, 2.0, math.nan, math.nan, -math.inf, math.nan, math.inf])
    found = client.metrics.read(run_id, reduce="BUCKETS", max_points=2)[run_id, "loss"]
    one, other = rows(found)
    assert one[:4] == (0, 4, 4, math.inf)
    assert math.isnan(one[4])
    assert one[5:] == (1.0, 2.0, 3.0, 2)
    assert all(math.isnan(value) for value in (other[3], other[5], other[6]))
    assert (other[4], other[7], other[8]) == (math.inf, 0.0, 4)


def test_empty_buckets_are_left_out(client: runwire.Client, run_id: str) -> None:
    put(client, run_id, [1.0, 2.0, 3.0], steps=[-25, 3, 74])
    found = client.metrics.read(run_id, reduce="BUCKETS", max_points=10)[run_id, "loss"]
    width = int(found.ends[0] - found.starts[0])
    assert width >= 10
    assert all(start % width == 0 for start in found.starts.tolist())
    assert [start // width for start in found.starts.tolist()] == [
        step // width for step in (-25, 3, 74)
    ]


def test_edges_line_up_over_runs_and_keys(client: runwire.Client) -> None:
    one, other = (client.runs.create().run_id for _ in range(2))
    put(client, one, [float(step) for step in range(1000)])
    put(client, other, [1.0, 2.0], steps=[37, 8431])
    put(client, other, [5.0], steps=[-99], key="acc")
    found = client.metrics.read([one, other], reduce="BUCKETS", max_points=50)
    assert list(found) == [(one, "loss"), (other, "acc"), (other, "loss")]
    widths = {int(width) for each in found.values() for width in each.ends - each.starts}
    assert len(widths) == 1
    (width,) = widths
    assert all((each.starts % width == 0).all() for each in found.values())
    assert sum(int(each.counts.sum()) for each in found.values()) == 1003


@pytest.mark.parametrize(
    ("axis", "start", "end", "edges"),
    [
        ("STEP", None, None, (0, 50)),
        ("STEP", 20, 40, (20, 40)),
        ("TIME", START + 20_000_000, START + 40_000_000, (START + 20_000_000, START + 40_000_000)),
        ("RELATIVE_TIME", 20_000_000, 40_000_000, (20_000_000, 40_000_000)),
        ("RELATIVE_TIME", None, 20_000_000, (0, 20_000_000)),
    ],
)
def test_buckets_of_a_range_on_each_axis(
    client: runwire.Client,
    run_id: str,
    axis: Any,
    start: int | None,
    end: int | None,
    edges: tuple[int, int],
) -> None:
    put(client, run_id, [float(step) for step in range(50)])
    found = client.metrics.read(
        run_id, axis=axis, start=start, end=end, reduce="BUCKETS", max_points=2
    )[run_id, "loss"]
    second = 1 if axis == "STEP" else 1_000_000
    low, high = ((edge % START if axis == "TIME" else edge) // second for edge in edges)
    assert found.counts.sum() == high - low
    assert (found.min[0], found.max[-1]) == (low, high - 1)
    assert found.starts[0] <= edges[0]
    assert found.ends[-1] >= edges[1] - second
    assert len(found) <= 2


def test_relative_edges_line_up_for_runs_of_other_times(client: runwire.Client) -> None:
    starts = [START, START + 3_600_000_000]
    ids = [client.runs.create(start_time=start).run_id for start in starts]
    for each, start in zip(ids, starts, strict=True):
        put(client, each, [1.0, 2.0, 3.0], times=[start, start + 10_000_000, start + 99_000_000])
    found = client.metrics.read(ids, axis="RELATIVE_TIME", reduce="BUCKETS", max_points=10)
    one, other = (found[each, "loss"] for each in ids)
    assert one.starts.tolist() == other.starts.tolist()
    assert one.starts[0] == 0
    assert one.counts.tolist() == other.counts.tolist()


def test_shape_is_real_points_with_exact_extremes(client: runwire.Client, run_id: str) -> None:
    values = np.sin(np.arange(5000) / 99) + np.random.default_rng(1).normal(size=5000)
    values[1234], values[4321] = 99.0, -99.0
    values[0], values[-1] = math.nan, math.inf
    put(client, run_id, values.tolist())
    found = client.metrics.read(run_id, reduce="SHAPE", max_points=200)[run_id, "loss"]
    assert len(found) <= 200
    assert found.values.tobytes() == values[found.steps].tobytes()
    assert (np.diff(found.steps) > 0).all()
    assert {0, 1234, 4321, 4999} <= set(found.steps.tolist())


def test_what_is_few_points_stays_whole(client: runwire.Client, run_id: str) -> None:
    put(client, run_id, [float(step) for step in range(40)])
    put(client, run_id, [1.0, 2.0], key="few")
    found = client.metrics.read(run_id, reduce="SHAPE", max_points=40)
    assert [len(each) for each in found.values()] == [2, 40]
    either = client.metrics.read(run_id, reduce="AUTO", max_points=10)
    few, many = either.values()
    assert isinstance(few, type(found[run_id, "few"]))
    assert rows(many)[0][2] == 4
    with pytest.raises(ValueError, match="some series are reduced"):
        either.to_pandas()


def test_a_reduction_without_a_number_fits_a_screen(client: runwire.Client, run_id: str) -> None:
    put(client, run_id, [float(step) for step in range(5000)])
    assert len(client.metrics.read(run_id, reduce="BUCKETS")[run_id, "loss"]) == 1667
    assert len(client.metrics.read(run_id, reduce="SHAPE")[run_id, "loss"]) == 1000
    assert len(client.metrics.read(run_id, reduce="AUTO")[run_id, "loss"]) == 5000


def test_steps_at_the_ends_of_their_type(client: runwire.Client, run_id: str) -> None:
    least, greatest = -(1 << 63), (1 << 63) - 1
    put(client, run_id, [1.0, 2.0, 3.0], steps=[least, 0, greatest], times=[0, 0, 0])
    for most in (1, 2, 3, 1000):
        found = client.metrics.read(run_id, reduce="BUCKETS", max_points=most)[run_id, "loss"]
        assert found.counts.sum() == 3
        assert len(found) <= most
        assert (found.starts[0], found.ends[-1]) == (least, greatest)
    for axis in ("TIME", "RELATIVE_TIME"):
        found = client.metrics.read(run_id, axis=axis, reduce="BUCKETS", max_points=3)[
            run_id, "loss"
        ]
        assert found.counts.tolist() == [3]
    shape = client.metrics.read(run_id, reduce="SHAPE", max_points=4)[run_id, "loss"]
    assert shape.steps.tolist() == [least, 0, greatest]


def test_sums_never_become_nan(client: runwire.Client, run_id: str) -> None:
    put(client, run_id, [1e308, 1e308, -1e308, -1e308])
    found = client.metrics.read(run_id, reduce="BUCKETS", max_points=1)[run_id, "loss"]
    assert found.sum.tolist() == [0.0]
    put(client, run_id, [1e308], steps=[2])
    put(client, run_id, [1e308], steps=[2])
    found = client.metrics.read(run_id, reduce="BUCKETS", max_points=1)[run_id, "loss"]
    assert found.sum.tolist() == [math.inf]


def test_a_range_without_points_has_no_buckets(client: runwire.Client, run_id: str) -> None:
    put(client, run_id, [1.0])
    found = client.metrics.read(run_id, start=50, reduce="BUCKETS")[run_id, "loss"]
    assert (len(found), found.starts.dtype, found.min.dtype) == (0, np.int64, np.float64)
    assert client.metrics.read(run_id, "none", reduce="BUCKETS") == {}


def test_a_reduced_read_goes_on_after_each_message(client: runwire.Client, run_id: str) -> None:
    for key in ("a", "b", "c"):
        put(client, run_id, [float(step) for step in range(30_000)], key=key)
    options: dict[str, Any] = {"reduce": "BUCKETS", "max_points": 15_000}
    whole = list(client.metrics.read_stream(run_id, **options))
    assert all(message.ByteSize() <= 1 << 20 for message in whole)
    assert [message.last for message in whole] == [False, True] * 3
    for place, message in enumerate(whole):
        rest = client.metrics.read_stream(run_id, **options, resume=message.resume)
        assert list(rest) == whole[place + 1 :]
    # Points that come meanwhile, beyond the range, move no edge.
    put(client, run_id, [1.0], steps=[10_000_000], key="b")
    rest = client.metrics.read_stream(run_id, **options, resume=whole[1].resume)
    assert list(rest) == whole[2:]


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"max_points": 5}, "max_points"),
        ({"reduce": "SHAPE", "max_points": 3}, "max_points"),
        ({"reduce": "BUCKETS", "max_points": 1_000_001}, "max_points"),
        ({"reduce": "BUCKETS", "max_points": -1}, "max_points"),
        ({"reduce": "LTTB"}, "reduce"),
        ({"axis": "EPOCH"}, "axis"),
    ],
)
def test_a_reduction_that_makes_no_sense_is_refused(
    client: runwire.Client, run_id: str, options: dict[str, Any], field: str
) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as error:
        client.metrics.read(run_id, **options)
    assert error.value.metadata["field"] == field


def test_tables_have_a_row_for_each_point_or_bucket(client: runwire.Client, run_id: str) -> None:
    put(client, run_id, [1.0, math.nan], key="a")
    put(client, run_id, [2.0], key="b")
    table = client.metrics.read(run_id).to_pandas()
    assert list(table.columns) == ["run_id", "key", "step", "time", "value"]
    assert table["key"].tolist() == ["a", "a", "b"]
    assert table["time"][1].timestamp() == START / 1e6 + 1
    buckets = client.metrics.read(run_id, reduce="BUCKETS", max_points=1).to_pandas()
    assert buckets["count"].tolist() == [2, 1]
    assert buckets["start"].tolist() == [0, 0]
    assert client.metrics.read(run_id, "none").to_pandas().empty


def test_arrow_tables_have_exact_types(client: runwire.Client, run_id: str) -> None:
    put(client, run_id, [1.0, math.nan], key="a")
    put(client, run_id, [2.0], key="b")
    table = client.metrics.read(run_id).to_arrow()
    assert [str(field.type) for field in table.schema] == [
        "dictionary<values=string, indices=int32, ordered=0>",
        "dictionary<values=string, indices=int32, ordered=0>",
        "int64",
        "timestamp[us, tz=UTC]",
        "double",
    ]
    assert table["key"].to_pylist() == ["a", "a", "b"]
    assert table["time"].cast("int64").to_pylist() == [START, START + 1_000_000, START]
    assert client.metrics.read(run_id, "none").to_arrow().num_rows == 0
    assert client.metrics.read(run_id, reduce="BUCKETS").to_arrow().num_rows == 3
