"""Experiments, runs and their metrics on the command line."""

from __future__ import annotations

import json
import math
from array import array

from hypothesis import given
from hypothesis import strategies as st
from runwire._command.metrics import WIDTH, sparkline
from runwire._command.sparkline import BARS
from runwire._series import Buckets

from .calls import FIRST, SECOND, Command

# Experiments and runs ---------------------------------------------------------


def test_experiment_lives_from_creation_to_restoration(command: Command) -> None:
    created = command("experiments", "create", "new", "--tag", "team=nlp", "--description", "d")
    experiment_id = created.out.strip()
    command("experiments", "tag", "new", "a=1", "--remove", "team")
    command("experiments", "rename", "new", "newer")
    shown = dict(row for row in command("experiments", "show", experiment_id).rows if len(row) == 2)
    assert (shown["name"], shown["tags.a"], "tags.team" in shown) == ("newer", "1", False)
    assert command("experiments", "delete", "newer").code == 0
    assert command("experiments", "show", "newer").code == 3
    listed = command("experiments", "ls", "--deleted").rows
    assert [row[1] for row in listed if row[-1]] == ["newer"]
    assert command("experiments", "restore", experiment_id).out.strip() == experiment_id
    command("experiments", "delete", experiment_id)
    assert command("experiments", "restore", "newer").out.strip() == experiment_id
    assert command("experiments", "restore", "never there").code == 3
    assert command("experiments", "search", "name = 'newer'").rows[0][0] == experiment_id


def test_run_lives_from_creation_to_restoration(command: Command) -> None:
    run_id = command("runs", "create", "-e", "digits", "--name", "n", "--tag", "a=1").out.strip()
    for arguments in (
        ["rename", run_id, "better"],
        ["describe", run_id, "a note"],
        ["tag", run_id, "b=2", "--remove", "a"],
        ["stop", run_id, "--reason", "enough"],
        ["finish", run_id, "--state", "killed"],
    ):
        assert command("runs", *arguments).code == 0
    shown = dict(command("runs", "show", run_id).rows)
    assert (shown["name"], shown["description"], shown["state"]) == ("better", "a note", "KILLED")
    assert "tags.a" not in shown
    assert shown["tags.b"] == "2"
    assert command("runs", "resume", run_id).code == 0
    assert command("runs", "delete", run_id, FIRST).code == 0
    assert [row[0] for row in command("runs", "ls").rows] == [SECOND]
    assert command("runs", "restore", run_id[:8]).code == 0
    assert [row[0] for row in command("runs", "ls").rows] == [run_id, SECOND]


def test_comparison_marks_what_differs(command: Command) -> None:
    rows = {row[1]: row for row in command("runs", "compare", FIRST, SECOND).rows}
    assert rows["params.lr"] == ["*", "params.lr", "0.1", "0.2"]
    assert rows["params.size"] == ["", "params.size", "32", "32"]
    assert rows["metrics.odd"][0] == "", "NaN is the same as NaN"
    only = command("runs", "compare", FIRST, SECOND, "--differences").rows
    assert {row[1] for row in only} == {"state", "params.lr", "metrics.loss"}


# Metrics ----------------------------------------------------------------------


def test_metrics_are_listed_with_their_extremes(command: Command) -> None:
    loss, odd = command("metrics", "ls", "last").rows
    assert loss[:5] == ["loss", "100", "0", "99", repr(1 + math.exp(-99 / 20))]
    assert odd[8] == "100"
    assert command("metrics", "ls", "last", "--prefix", "lo").rows == [loss]


def test_metrics_are_drawn_in_a_line(command: Command) -> None:
    (row,) = command("metrics", "show", FIRST, "loss").rows
    assert row[1][0] == BARS[-1]
    assert row[1][-1] == BARS[0]
    assert WIDTH // 2 < len(row[1]) <= WIDTH


def test_points_are_printed_whole(command: Command) -> None:
    rows = command("metrics", "get", FIRST, "loss").rows
    assert len(rows) == 100
    assert rows[20] == ["loss", "20", "20", repr(math.exp(-1))]


def test_a_part_of_a_metric_is_drawn_and_summed_up(command: Command) -> None:
    (row,) = command("metrics", "show", FIRST, "loss", "--start", "10", "--end", "20").rows
    assert row[2:6] == ["10", *(repr(math.exp(-step / 20)) for step in (19, 19, 10))]
    assert (row[1][0], row[1][-1]) == (BARS[-1], BARS[0])
    (odd,) = command("metrics", "show", FIRST, "odd").rows
    assert odd[1:] == ["", "100", "nan", "nan", "nan", "nan"]


def test_a_tail_tells_each_point_and_the_end(command: Command) -> None:
    ended = command("metrics", "tail", SECOND, "loss", "--from-beginning")
    assert ended.rows[0] == ["0", "1970-01-01T00:00:00Z", "loss", "2.0"]
    assert [row[0] for row in ended.rows] == [str(step) for step in range(100)]
    assert ended.err == f"run {SECOND[:8]} has ended: FINISHED\n"
    lines = command("metrics", "tail", SECOND, "--from-beginning", "--json").out.splitlines()
    loss = {"step": 0, "time": "1970-01-01T00:00:00Z", "key": "loss", "value": 2.0}
    assert loss in map(json.loads, lines[:4])
    assert json.loads(lines[-1]) == {"run_id": SECOND, "ended": "FINISHED"}
    assert command("metrics", "tail", SECOND).out == ""


def test_bad_places_of_an_axis_are_refused(command: Command) -> None:
    for arguments in (["--start", "x"], ["--axis", "time", "--end", "noon"]):
        ended = command("metrics", "get", "last", "loss", *arguments)
        assert ended.code == 2
        assert arguments[-2] in ended.err


@given(st.lists(st.tuples(st.integers(0, 39), st.floats()), unique_by=lambda one: one[0]))
def test_sparkline_has_a_character_for_each_bucket(buckets: list[tuple[int, float]]) -> None:
    buckets = sorted(buckets)
    starts = array("q", [10 * place for place, _ in buckets])
    values = array("d", [value for _, value in buckets])
    bad = array("q", [not math.isfinite(value) for value in values])
    ones = array("q", [1] * len(buckets))
    ends = array("q", [start + 10 for start in starts])
    one = Buckets(FIRST, "k", starts, ends, ones, values, values, values, values, values, bad)
    drawn = sparkline(one, 0)
    assert len(drawn) <= WIDTH
    for (place, value), is_bad in zip(buckets, bad, strict=True):
        assert (drawn.ljust(WIDTH)[place] == " ") == bool(is_bad), value
