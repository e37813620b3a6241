"""The README's first command does what it says, and cleans up after itself."""

from __future__ import annotations

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
        capture_output=True, text=True, timeout=60, check=True,
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
