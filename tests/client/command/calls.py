"""The command line as a test calls it: here, in a process, and on a terminal."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

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


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments],
        capture_output=True,
        text=True,
        timeout=120,
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
