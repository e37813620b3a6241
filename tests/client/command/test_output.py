"""Lines for scripts, JSON, and tables on a terminal."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
import runwire
from runwire._command.output import duration_text, size_text
from runwire._command.run_table import split_columns

from .calls import FIRST, SECOND, Command, on_terminal

# Lines for scripts ------------------------------------------------------------


def test_lines_are_tab_separated_whole_values_without_a_header(command: Command) -> None:
    ended = command("runs", "ls", "-c", "params.lr,min(metrics.loss)", "-c", "tags.team")
    assert [row[0] for row in ended.rows] == [SECOND, FIRST]
    first = ended.rows[1]
    assert first[1:5] == ["first", "1", "RUNNING", "2023-11-14T22:13:20Z"]
    assert first[6:] == ["ana", "0.1", repr(math.exp(-99 / 20)), "vision"]


def test_tabs_and_line_ends_of_a_value_become_spaces(command: Command) -> None:
    command("runs", "describe", FIRST, "a\tb\nc")
    assert dict(command("runs", "show", FIRST).rows)["description"] == "a b c"


def test_limit_counts_and_0_is_all(command: Command) -> None:
    assert len(command("runs", "ls", "-n", "1").rows) == 1
    assert len(command("runs", "ls", "-n", "0").rows) == 2


def test_search_takes_filter_order_and_experiment(command: Command) -> None:
    ended = command("runs", "search", "metrics.loss < 1", "-e", "digits")
    assert [row[0] for row in ended.rows] == [FIRST]
    ended = command("runs", "ls", "--order-by", "params.lr ASC", "-e", "1")
    assert [row[0] for row in ended.rows] == [FIRST, SECOND]
    assert command("runs", "ls", "-e", "Default").rows == []


@pytest.mark.parametrize("run", [SECOND, "b2b2", "b2" * 15, "last"])
def test_run_is_found_by_its_beginning_and_as_last(command: Command, run: str) -> None:
    assert command("runs", "show", run).rows[0] == ["run_id", SECOND]


def test_beginning_of_several_runs_is_refused(command: Command) -> None:
    with runwire.Client() as client:
        client.runs.create(run_id="b2b2" + "0" * 28, experiment_id="0")
    assert "more than one" in command("runs", "show", "b2b2").err


# JSON -------------------------------------------------------------------------


def test_json_is_one_document_with_numbers_and_names(command: Command) -> None:
    (second, first) = command("runs", "ls", "--json", "-c", "metrics.loss").json
    assert second["run_id"] == SECOND
    assert (second["state"], first["state"]) == ("FINISHED", "RUNNING")
    assert first["start_time"] == "2023-11-14T22:13:20Z"
    assert isinstance(first["revision"], int)
    assert first["metrics"] == {"loss": math.exp(-99 / 20)}


def test_json_has_no_nan(command: Command) -> None:
    ended = command("metrics", "get", "last", "odd", "--json")
    assert ended.json[0]["values"][0] == "NaN"
    assert command("--json", "runs", "show", "last").json["metrics"]["odd"] == "NaN"


@pytest.mark.parametrize(
    "arguments",
    [
        ["experiments", "ls"],
        ["experiments", "show", "digits"],
        ["runs", "show", "last"],
        ["runs", "compare", FIRST, SECOND],
        ["metrics", "ls", "last"],
        ["metrics", "show", "last"],
        ["artifacts", "ls", "last"],
        ["models", "ls"],
        ["models", "show", "fraud"],
        ["models", "show", "fraud@champion"],
        ["models", "versions", "fraud"],
        ["models", "resolve", "fraud/1"],
        ["models", "events", "fraud"],
        ["experiments", "create", "new"],
        ["runs", "create", "-e", "digits"],
        ["runs", "tag", "last", "a=b"],
        ["models", "alias", "fraud", "a", "1"],
        ["models", "delete", "fraud"],
    ],
    ids=lambda arguments: " ".join(arguments[:2]),
)
def test_every_command_can_print_json(command: Command, arguments: list[str]) -> None:
    ended = command(*arguments, "--json")
    assert (ended.code, ended.err) == (0, "")
    assert isinstance(ended.json, list | dict)


# The terminal -----------------------------------------------------------------


def test_terminal_gets_tables_with_colours_and_short_ids(data: Path) -> None:
    pytest.importorskip("rich")
    shown = on_terminal("runs", "ls", "-n", "1")
    assert shown.code == 0
    assert "duration" in shown.out
    assert SECOND[:8] in shown.out
    assert SECOND not in shown.out
    assert "2023-11-14 22:15:00" in shown.out
    assert "\x1b[" in shown.out
    assert "there are more" in shown.out
    plain = on_terminal("--no-color", "runs", "ls")
    assert "\x1b[3" not in plain.out
    assert json.loads(on_terminal("runs", "ls", "--json").out)[0]["run_id"] == SECOND


def test_names_cannot_command_the_terminal(data: Path) -> None:
    pytest.importorskip("rich")
    with runwire.Client() as client:
        client.runs.update(FIRST, name="[bold]x[/bold]", tags={"evil": "\x1b[2J"})
    shown = on_terminal("runs", "compare", FIRST, SECOND)
    assert "\x1b[2J" not in shown.out
    assert "[bold]x[/bold]" in shown.out


@pytest.mark.parametrize(("answer", "code", "left"), [("n\n", 1, 2), ("y\n", 0, 1)])
def test_terminal_asks_before_it_deletes(data: Path, answer: str, code: int, left: int) -> None:
    shown = on_terminal("runs", "delete", "a1a1", answer=answer)
    assert "in the trash? [y/N]" in shown.out
    assert shown.code == code
    with runwire.Client() as client:
        assert len(list(client.runs.search())) == left


def test_yes_is_not_asked(data: Path) -> None:
    shown = on_terminal("runs", "delete", "a1a1", "--yes")
    assert "[y/N]" not in shown.out
    assert shown.code == 0


# Small things -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        ("a,b", ["a", "b"]),
        (" a , ,b,", ["a", "b"]),
        ('params."x,y",metrics.`a,b`', ['params."x,y"', "metrics.`a,b`"]),
        ("", []),
    ],
)
def test_columns_are_split_outside_quotes(text: str, columns: list[str]) -> None:
    assert split_columns(text) == columns


def test_sizes_and_durations_read_well() -> None:
    assert [size_text(size) for size in (0, 1023, 1536, 5 << 30)] == [
        "0 B",
        "1023 B",
        "1.5 KiB",
        "5.0 GiB",
    ]
    assert [duration_text(seconds) for seconds in (0.016, 4.6, 185, 97385)] == [
        "16 ms",
        "4.6 s",
        "3:05",
        "27:03:05",
    ]
