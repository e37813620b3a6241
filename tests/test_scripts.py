"""The commands of scripts/ do what the README says of them, and clean up after themselves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = Path(__file__).parent.parent / "scripts"


def test_quickstart_trains_registers_and_shows_it_and_leaves_nothing_running(
    tmp_path: Path,
) -> None:
    ended = subprocess.run(
        [sys.executable, str(SCRIPTS / "quickstart.py"), "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=240,
        env=os.environ | {"MPLCONFIGDIR": str(tmp_path)},
    )
    assert ended.returncode == 0, ended.stderr
    output = ended.stdout
    assert "26,400 points streamed" in output
    assert "digits@champion is version 1" in output
    assert not _processes_that_mention(str(tmp_path))
    shown = subprocess.run(
        [sys.executable, "-m", "runwire", "--tracking-uri", str(tmp_path / "data"),
         "runs", "ls", "--experiment", "quickstart", "--json"],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    assert shown.stdout.count('"FINISHED"') == 3


def _processes_that_mention(text: str) -> list[str]:
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if text in command and int(process.name) != os.getpid():
            found.append(command)
    return found


def test_bench_prints_figures_goals_machine_and_versions_as_json(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    ended = _bench("L4", "--quick", "--json", "--folder", str(folder))
    assert ended.returncode == 0, ended.stderr
    document = json.loads(ended.stdout)
    assert {"cores", "cpu", "memory_gib", "kernel", "disk"} <= set(document["machine"])
    assert {"python", "grpcio", "protobuf", "sqlite", "postgres"} <= set(document["versions"])
    result = document["results"]["L4"]
    assert {goal["figure"] for goal in result["goals"]} <= set(result["figures"])
    assert all(isinstance(goal["met"], bool) for goal in result["goals"])
    assert not list(folder.iterdir())


def test_bench_refuses_a_name_that_is_not_there() -> None:
    ended = _bench("L4", "L99")
    assert ended.returncode == 2
    assert "no row L99; there are anchors, L1" in ended.stderr
    ended = _bench("--peers", "mlflow", "L4")
    assert ended.returncode == 2
    assert "no peer L4; there are runwire" in ended.stderr


def _bench(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "benchmarks", *arguments],
        capture_output=True, text=True, timeout=240,
        env=os.environ | {"PYTHONPATH": f"{SCRIPTS}:{SCRIPTS.parent}/tests"},
    )  # fmt: skip
