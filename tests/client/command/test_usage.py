"""Help, wrong usage and failures: one line each, and the code that a script can tell them by."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import runwire
from runwire._command import COMMANDS, main

from .calls import PROGRAM, Command, process

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
