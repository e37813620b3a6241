"""The command line: what it prints in its three styles, and with which code it ends."""

from __future__ import annotations

import json
import math
import os
import pty
import shutil
import subprocess
import sys
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import runwire
from hypothesis import given
from hypothesis import strategies as st
from runwire._command import COMMANDS, main
from runwire._command.metrics import WIDTH, sparkline
from runwire._command.output import duration_text, size_text
from runwire._command.run_table import split_columns
from runwire._command.sparkline import BARS
from runwire._series import Buckets
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName

FIRST, SECOND = "a1" * 16, "b2" * 16
PROGRAM = "import sys; from runwire._command import main; sys.exit(main())"


@dataclass
class Ended:
    code: int
    out: str
    err: str

    @property
    def rows(self) -> list[list[str]]:
        return [line.split("\t") for line in self.out.splitlines()]

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Command = Callable[..., Ended]


@pytest.fixture(scope="module")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one experiment, with metrics and artifacts, and a model."""
    folder = tmp_path_factory.mktemp("seeded") / "runwire-data"
    with runwire.Client(str(folder)) as client:
        _log_run(client, FIRST, "first", lr="0.1", low=0.0)
        _log_run(client, SECOND, "second", lr="0.2", low=1.0)
        client.runs.finish(SECOND)
        client.models.create_version(
            "fraud",
            source_run_id=FIRST,
            source_path="model",
            create_model=True,
            aliases=["champion"],
        )
    return folder


def _log_run(client: runwire.Client, run_id: str, name: str, *, lr: str, low: float) -> None:
    client.runs.create(
        run_id=run_id,
        experiment_name="digits",
        name=name,
        user="ana",
        start_time=1_700_000_000_000_000 if name == "first" else 1_700_000_100_000_000,
        params={"lr": lr, "size": "32"},
        tags={"team": "vision"},
    )
    steps = range(100)
    values = [one for step in steps for one in (low + math.exp(-step / 20), math.nan)]
    frame = Frame(series=[1, 2], steps=steps, times_micros=[*steps], values=values)
    names = [SeriesName(id=1, key="loss"), SeriesName(id=2, key="odd")]
    client.metrics.log_batch(run_id, MetricBatch(series=names, frames=[frame]))
    client.artifacts.put(run_id, b"weights", "model/weights.bin")
    client.artifacts.put(run_id, b"notes", "notes.txt")


@pytest.fixture
def data(seeded: Path, tmp_path: Path) -> Path:
    """The seeded folder, as the default data folder of this test."""
    return Path(shutil.copytree(seeded, tmp_path / "runwire-data"))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], data: Path) -> Command:
    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main(arguments)
        return Ended(code, *capsys.readouterr())

    return call


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
    )


def on_terminal(*arguments: str, answer: str = "") -> Ended:
    """The command with a terminal of 200 columns on all three of its streams."""
    ours, its = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        env={**os.environ, "TERM": "xterm-256color", "COLUMNS": "200", "TZ": "UTC"},
    ) as program:
        os.close(its)
        os.write(ours, answer.encode())
        output = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    return Ended(program.returncode, output.decode(), "")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux says so when nobody is left on the other side
        return b""


# Help and usage ---------------------------------------------------------------


def test_help_imports_nothing_heavy() -> None:
    program = (
        "import sys; from runwire._command import main\n"
        "for noun in ('', 'runs', 'experiments', 'metrics', 'artifacts', 'models', 'sync',"
        " 'doctor', 'db'):\n"
        "    assert main([*noun.split(), '--help']) == 0, noun\n"
        "heavy = ('grpc', 'google.protobuf', 'rich', 'numpy', 'sqlalchemy', 'runwire.v1')\n"
        "sys.exit(','.join(name for name in heavy if name in sys.modules) or 0)\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([name, "--help"]) == 0
    assert f"usage: runwire {name}" in capsys.readouterr().out


def test_help_tells_the_exit_codes(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    out = capsys.readouterr().out
    assert "exit codes:" in out
    assert all(name in out for name in COMMANDS)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["rnus"], "did you mean 'runs'?"),
        (["runs"], "VERB"),
        (["runs", "ls", "--nonsense"], "--nonsense"),
        (["runs", "ls", "--limit", "-1"], "must not be negative"),
        (["runs", "tag", "last", "no-equals"], "is not KEY=VALUE"),
        (["models", "alias", "fraud", "champion", "one"], "invalid int value"),
        (["models", "stage", "fraud", "production"], "write MODEL/NUMBER"),
        (["models", "register", "fraud"], "--uri"),
        (["runs", "search", "metrics.loss <"], "character"),
        (["-u", "x", "server"], "--backend-store-uri"),
    ],
)
def test_wrong_usage_is_one_line_and_code_2(
    command: Command, arguments: list[str], told: str
) -> None:
    ended = command(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    (line,) = ended.err.splitlines()
    assert line.startswith("runwire: ")
    assert told in line


def test_no_command_shows_the_help(command: Command) -> None:
    assert command().code == 2


def test_version_is_told(command: Command) -> None:
    assert command("--version").out == f"runwire {runwire.__version__}\n"


# Failures ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments",
    [
        ["runs", "show", "0" * 32],
        ["runs", "show", "0000"],
        ["runs", "show", "first"],
        ["runs", "ls", "-e", "nobody"],
        ["experiments", "show", "99"],
        ["metrics", "show", "last", "nothing"],
        ["artifacts", "get", "last", "nothing"],
        ["models", "show", "nobody"],
        ["models", "show", "fraud/9"],
        ["models", "resolve", "fraud@nobody"],
        ["-u", "elsewhere", "runs", "ls"],
    ],
    ids=" ".join,
)
def test_what_is_not_there_is_code_3_and_one_line(command: Command, arguments: list[str]) -> None:
    ended = command(*arguments)
    assert (ended.code, ended.out) == (3, "")
    assert len(ended.err.splitlines()) == 1
    assert ended.err.startswith("runwire: ")


def test_server_that_is_away_is_code_4() -> None:
    ended = process("-u", "grpc://127.0.0.1:1", "runs", "ls")
    assert (ended.returncode, ended.stdout) == (4, "")
    assert len(ended.stderr.splitlines()) == 1
    assert "127.0.0.1:1" in ended.stderr


def test_reading_makes_no_data_folder(tmp_path: Path) -> None:
    assert main(["-u", str(tmp_path / "new"), "runs", "ls"]) == 3
    assert not (tmp_path / "new").exists()
    assert main(["-u", str(tmp_path / "new"), "experiments", "create", "x"]) == 0
    assert (tmp_path / "new").exists()


def test_fault_of_ours_is_one_line_without_a_traceback(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("runwire._command.run_table.listing", None)
    ended = command("runs", "ls")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    monkeypatch.setenv("RUNWIRE_TRACEBACK", "1")
    assert "Traceback" in command("runs", "ls").err


def test_reader_that_has_seen_enough_is_no_failure(data: Path) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    piped = subprocess.run(
        [sys.executable, "-c", PROGRAM, "metrics", "get", "last", "loss"],
        stdout=write_end,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.close(write_end)
    assert (piped.returncode, piped.stderr) == (0, "")


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


# Artifacts --------------------------------------------------------------------


def test_artifacts_go_and_come_back(command: Command, tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "a.txt").write_text("hello")
    assert command("artifacts", "put", FIRST, "report", "reports/one").code == 0
    listed = command("artifacts", "ls", FIRST, "-r").rows
    assert [row[:2] for row in listed] == [
        ["model/weights.bin", "7"],
        ["notes.txt", "5"],
        ["reports/one/a.txt", "5"],
    ]
    got = command("artifacts", "get", FIRST, "reports", "-o", "out")
    assert (Path(got.out.strip()) / "one" / "a.txt").read_text() == "hello"
    assert command("artifacts", "rm", FIRST, "reports", "notes.txt").out == "2\n"
    assert [row[0] for row in command("artifacts", "ls", FIRST).rows] == ["model/"]


def test_lost_and_damaged_artifacts_are_found(command: Command, data: Path, tmp_path: Path) -> None:
    large = os.urandom(300_000)
    for name in ("damaged", "lost", "whole"):
        (tmp_path / name).write_bytes(name.encode() + large)
        assert command("artifacts", "put", FIRST, name, f"large/{name}").code == 0
    assert command("artifacts", "verify", FIRST).out == ""
    assert command("doctor", "--deep").code == 0
    for path in (data / "blobs").rglob("*"):
        if path.is_file() and path.read_bytes().startswith(b"damaged"):
            path.write_bytes(path.read_bytes()[:-1] + b"?")
        elif path.is_file() and path.read_bytes().startswith(b"lost"):
            path.unlink()
    ended = command("artifacts", "verify", FIRST, "large")
    assert ended.code == 1
    assert [row[0] for row in ended.rows] == ["large/damaged", "large/lost"]
    assert command("artifacts", "verify", FIRST, "large/whole").code == 0
    assert command("artifacts", "verify", FIRST, "nothing").code == 3
    for options in ([], ["--deep"]):
        ended = command("doctor", *options)
        assert ended.code == 1
        told = [row[2] for row in ended.rows if row[0] == "artifact"]
        assert [line.split(": ")[1] for line in told] == ["large/damaged", "large/lost"]


def test_sizes_are_summed_up_by_directory(command: Command) -> None:
    for name, text in (("a", "12"), ("d/b", "12"), ("d/e/c", "345")):
        Path("sent").write_text(text)
        command("artifacts", "put", SECOND, "sent", f"du/{name}")
    rows = command("artifacts", "du", SECOND, "du").rows
    assert rows == [
        ["du/a", "1", "2", "2"],
        ["du/d/", "2", "5", "5"],
        ["du", "3", "7", "5"],
    ]
    assert command("artifacts", "du", SECOND, "du/a").rows[0] == ["du/a", "1", "2", "2"]
    assert command("artifacts", "du", SECOND, "--json").json[-1]["path"] == "."


def test_artifacts_of_a_model_version_are_read(command: Command) -> None:
    assert [row[0] for row in command("artifacts", "ls", "models:/fraud@champion").rows] == [
        "weights.bin"
    ]
    command("artifacts", "get", "models:/fraud/1", "-o", "model")
    assert Path("model/weights.bin").read_bytes() == b"weights"


def test_sending_what_is_not_there_fails(command: Command) -> None:
    ended = command("artifacts", "put", FIRST, "nothing")
    assert (ended.code, ended.err) == (1, "runwire: there is no nothing\n")


# Models -----------------------------------------------------------------------


def test_version_is_published_moved_and_found(command: Command) -> None:
    published = command("models", "register", "fraud", "b2b2", "model", "--alias", "candidate")
    assert published.out == "2\n"
    assert command("models", "alias", "fraud", "champion", "2", "--expect", "9").code == 1
    assert command("models", "alias", "fraud", "champion", "2", "--expect", "1").out == "2\n"
    assert command("models", "stage", "fraud/2", "Production").out == "production\n"
    (row,) = command("models", "resolve", "fraud@champion").rows
    assert row[:6] == ["fraud", "2", "production", "candidate,champion", SECOND, "model"]
    assert [row[1] for row in command("models", "versions", "fraud").rows] == ["2", "1"]
    told = [row[2] for row in command("models", "events", "fraud", "--alias", "champion").rows]
    assert told == ["@champion to version 2 from 1", "@champion to version 1 from unset"]


def test_watch_prints_what_references_mean_and_whenever_that_changes(data: Path) -> None:
    """Beside another process that changes it, on the same data."""
    arguments = ["models", "watch", "fraud@champion", "--json", "-n", "2"]
    with (
        subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True
        ) as watching,
        runwire.Client(data) as client,
    ):
        assert watching.stdout is not None
        first = json.loads(watching.stdout.readline())
        assert (first["reference"], first["model"], first["version"]) == (
            "fraud@champion",
            "fraud",
            1,
        )
        client.models.delete_alias("fraud", "champion")
        second = json.loads(watching.stdout.readline())
        assert second == {"reference": "fraud@champion", "error": "NOT_FOUND"}
    assert watching.returncode == 0


def test_watch_of_no_reference_is_refused(command: Command) -> None:
    ended = command("models", "watch", "fraud", "-n", "1")
    assert ended.code == 2
    assert "MODEL@ALIAS" in ended.err
    (line,) = command("models", "watch", "fraud@champion", "-n", "1").rows
    assert line[:3] == ["fraud@champion", "fraud", "1"]


def test_model_is_made_changed_and_deleted(command: Command) -> None:
    assert command("models", "create", "churn", "--stages", "draft,live").out == "churn\n"
    command("models", "register", "churn", "--uri", "s3://elsewhere/x")
    command("models", "describe", "churn", "leavers")
    command("models", "tag", "churn/1", "checked=yes")
    command("models", "rename", "churn", "leavers")
    shown = dict(command("models", "show", "leavers").rows)
    assert (shown["description"], shown["stages"]) == ("leavers", "draft,live")
    version = dict(command("models", "show", "leavers/1").rows)
    assert (version["tags.checked"], version["source uri"]) == ("yes", "s3://elsewhere/x")
    assert command("models", "search", "name LIKE 'leav%'").rows[0][0] == "leavers"
    assert command("models", "unalias", "fraud", "champion").code == 0
    assert command("models", "delete", "leavers/1").code == 0
    assert command("models", "delete", "leavers").code == 0
    assert [row[0] for row in command("models", "ls").rows] == ["fraud"]


def test_moved_alias_is_taken_back_and_the_past_is_told(
    command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RUNWIRE_USER", "Zoë")
    command("models", "register", "fraud", "b2b2", "model")
    command("models", "alias", "fraud", "champion", "2", "--comment", "better")
    back = command("models", "rollback", "fraud", "champion", "--expect", "2", "--comment", "slow")
    assert (back.code, back.out) == (0, "1\n")
    assert command("models", "rollback", "fraud", "champion", "--expect", "2").code == 1
    history = command("models", "history", "fraud", "--alias", "champion", "-n", "2").rows
    assert [row[1:] for row in history] == [
        ["fraud", "@champion back to version 1 from 2", "Zoë", "slow"],
        ["fraud", "@champion to version 2 from 1", "Zoë", "better"],
    ]
    moved = history[1][0]
    at = ("--at", moved)
    assert command("models", "resolve", "fraud@champion", *at).rows[0][1] == "2"
    assert command("models", "resolve", "fraud@champion", "--at", "2020-01-01").code == 3
    assert command("models", "resolve", "fraud@champion", "--at", "soon").code == 2
    since = command("models", "history", "--since", moved, "--kind", "alias_moved").rows
    assert len(since) == 2


def test_everything_that_happens_to_a_model_is_told_in_words(command: Command) -> None:
    command("models", "register", "churn", "--uri", "s3://elsewhere/x")
    command("models", "tag", "churn/1", "checked=yes")
    command("models", "tag", "churn/1", "checked=no")
    command("models", "tag", "churn/1", "--remove", "checked")
    command("models", "describe", "churn", "x" * 100)
    command("models", "stage", "churn/1", "production")
    command("models", "delete", "churn/1")
    assert command("models", "restore", "churn/1").out == "1\n"
    command("models", "rename", "churn", "leavers")
    command("models", "delete", "leavers", "--comment", "unused")
    command("models", "create", "leavers")
    assert command("models", "restore", "leavers").code == 1
    assert command("models", "restore", "leavers", "--as", "old").out == "old\n"
    told = [row[2] for row in command("models", "history", "old").rows]
    assert told == [
        "model restored, was leavers",
        "model deleted",
        "renamed from churn",
        "version 1 restored",
        "version 1 deleted",
        "version 1 to production from none",
        f"description = '{'x' * 39}…'",
        "version 1: tags.checked removed (was 'no')",
        "version 1: tags.checked = 'no' (was 'yes')",
        "version 1: tags.checked = 'yes'",
        "version 1 published",
        "model made",
    ]
    assert len(command("models", "history", "old/1").rows) == 7
    assert command("models", "history", "old/new").code == 2


def test_trash_is_listed_where_that_is_asked(command: Command) -> None:
    command("models", "register", "fraud", "--uri", "s3://elsewhere/x")
    command("models", "delete", "fraud/2")
    assert [row[1] for row in command("models", "versions", "fraud").rows] == ["1"]
    assert [row[1] for row in command("models", "versions", "fraud", "--deleted").rows] == [
        "2",
        "1",
    ]
    command("models", "delete", "fraud")
    assert command("models", "ls").rows == []
    assert [row[0] for row in command("models", "ls", "--deleted").rows] == ["fraud"]
    assert command("models", "restore", "nobody").code == 3


def test_versions_are_copied_traced_and_compared(command: Command) -> None:
    command("models", "register", "fraud", "b2b2", "model")
    assert command("models", "register", "prod", "--version", "fraud/1").out == "1\n"
    assert command("models", "register", "prod", "b2b2", "--version", "fraud/1").code == 2
    assert dict(command("models", "show", "prod/1").rows)["copy of"] == "fraud/1"
    assert command("models", "lineage", "prod/1").rows == [
        ["fraud/1", "copied", "prod/1"],
        [FIRST, "registered", "fraud/1"],
    ]
    assert command("models", "lineage", "--run", "a1a1", "--down").rows == [
        [FIRST, "registered", "fraud/1"],
        ["fraud/1", "copied", "prod/1"],
    ]
    assert command("models", "lineage", "prod/1", "--hops", "1", "--json").json["truncated"]
    assert command("models", "lineage", "prod/1", "--run", "last").code == 2
    assert command("models", "lineage", "--dataset", "unused").code == 3
    compared = {row[1]: row for row in command("models", "compare", "fraud/1", "fraud/2").rows}
    assert compared["params.lr"] == ["*", "params.lr", "0.1", "0.2"]
    assert compared["params.size"] == ["", "params.size", "32", "32"]
    assert compared["weights.bin"][0] == ""
    only = command("models", "compare", "fraud/1", "prod/1", "--differences").rows
    assert [row[1] for row in only] == ["source path"]


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


# Server -----------------------------------------------------------------------


def test_database_is_upgraded_once(command: Command, tmp_path: Path) -> None:
    uri = f"sqlite:///{tmp_path / 'new.db'}"
    assert command("db", "upgrade", "--backend-store-uri", uri).out.startswith("upgraded to")
    assert command("db", "upgrade", "--backend-store-uri", uri).out.startswith("already at")
    refused = command("db", "upgrade", "--backend-store-uri", "mysql://x/y")
    assert (refused.code, len(refused.err.splitlines())) == (2, 1)


def test_server_serves_until_it_is_told_to_stop(tmp_path: Path) -> None:
    arguments = ["server", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM, *arguments], stdout=subprocess.PIPE, text=True
    ) as server:
        assert server.stdout is not None
        grpc, web = server.stdout.readline().rpartition(": ")[2].split()
        try:
            for uri in (grpc, web):
                assert process("-u", uri, "experiments", "create", uri).returncode == 0
                found = process("-u", uri, "doctor")
                assert found.returncode == 0, found.stdout
                states = dict(line.split("\t")[:2] for line in found.stdout.splitlines())
                assert states["server"] == states["clock"] == "ok"
                assert "the server's is" in found.stdout
        finally:
            server.terminate()
        assert server.wait(30) == 0


# Doctor and sync --------------------------------------------------------------


OFFLINE_JOB = """
import os, sys
from runwire._journal import Journal, JournalSettings
settings = JournalSettings(uploader="off", quota_bytes=16 << 20)
log = Journal.open(os.environ["RUNWIRE_DIR"], sys.argv[1], settings=settings)
run_id = "c3" * 16
run = log.create_run(run_id, {"run": {"run_id": run_id}, "experiment_name": "offline"})
for step in range(10):
    run.log_metrics({"loss": 1.0 / (step + 1)}, step, None)
run.finish("FINISHED", 1_800_000_000_000_000)
log.close()
"""


def offline_job(tracking_uri: str) -> None:
    """A job that has ended and left a journal: a run of ten points."""
    subprocess.run([sys.executable, "-c", OFFLINE_JOB, tracking_uri], check=True)


def test_sync_sends_what_an_offline_job_left_and_removes_it(command: Command, data: Path) -> None:
    offline_job(str(data))
    (row,) = command("sync").rows
    assert row[1:] == ["sent", ""]
    assert command("metrics", "ls", "c3c3").rows[0][:2] == ["loss", "10"]
    assert dict(command("runs", "show", "c3c3").rows)["state"] == "FINISHED"
    assert command("sync").out == ""


def test_sync_keeps_what_no_server_takes_now(command: Command) -> None:
    offline_job("grpc://127.0.0.1:1")
    ended = command("sync", "--timeout", "0.2", "--json")
    assert ended.code == 4
    assert [one["state"] for one in ended.json] == ["away"]
    assert len(list(Path(os.environ["RUNWIRE_DIR"]).iterdir())) == 1


def test_sync_of_a_folder_that_is_not_there_is_code_3(command: Command) -> None:
    assert command("sync", "nowhere").code == 3


def test_doctor_finds_nothing_wrong_with_good_data(command: Command) -> None:
    ended = command("doctor")
    assert ended.code == 0
    assert {row[1] for row in ended.rows} <= {"ok", "warning"}, "a nearly full disk is no fault"


def test_doctor_tells_of_data_that_waits(command: Command, data: Path) -> None:
    offline_job(str(data))
    ended = command("doctor")
    assert "waiting\twarning\t" in ended.out
    assert ended.code == 0


@pytest.mark.parametrize("uri", ["grpc://127.0.0.1:1", "mysql://x/y"])
def test_doctor_ends_with_1_where_something_is_wrong(uri: str) -> None:
    ended = process("-u", uri, "doctor", "--json")
    assert ended.returncode == 1
    assert "wrong" in {finding["state"] for finding in json.loads(ended.stdout)}


def test_compact_tells_what_it_saved_and_doctor_what_metrics_take(command: Command) -> None:
    ended = command("metrics", "compact", FIRST, SECOND, "--json")
    assert ended.code == 0
    assert [(one["run_id"], one["frames"]) for one in ended.json] == [(FIRST, 0), (SECOND, 0)]
    assert all(int(one["block_points"]) == 200 for one in ended.json)
    (told,) = [row[2] for row in command("doctor").rows if row[0] == "metrics"]
    assert told.startswith("400 points in 2 blocks, ")
    assert "; 0 points to fold; " in told


def test_gc_removes_deleted_runs_once_they_are_old_enough(command: Command, data: Path) -> None:
    assert command("runs", "delete", FIRST).code == 0
    database = ("--backend-store-uri", f"sqlite:///{data / 'runwire.db'}")
    blobs = ("--artifacts-destination", str(data / "blobs"))
    registry, now = "0 models, 0 model versions", (*database, *blobs, "--older-than", "0s")
    nothing = "0 blobs, 0 uploads, 0 orphans removed, 0 B"
    told = command("gc", *database, *blobs).out.splitlines()
    assert told == [f"0 runs, {registry} removed", nothing]
    assert command("gc", *now, "--dry-run").out.startswith(f"1 run, {registry} to remove\n")
    assert command("runs", "show", FIRST).code == 0
    assert command("gc", *now).out.startswith(f"1 run, {registry} removed\n")
    assert command("runs", "show", FIRST).code == 3
    assert command("gc", *database, "--older-than", "a while").code == 2


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
