"""The clients of other languages: where they are, and what it takes to build them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


class Refused(Exception):
    """A runner answered with an error."""

    def __init__(self, error: dict[str, Any]):
        super().__init__(error)
        self.error = error


@dataclass(frozen=True)
class Language:
    """``tool``: the program without which nothing of it works."""

    name: str
    tool: str
    folder: str = ""
    runner: str = "conformance"

    @property
    def folder_path(self) -> Path:
        return ROOT / "client" / (self.folder or self.name)

    def script(self, verb: str) -> Path:
        return self.folder_path / "scripts" / verb

    def require(self) -> None:
        """Skip where its toolchain is missing; in CI that is an error."""
        if shutil.which(self.tool) is None:
            problem = f"{self.tool} is not installed: scripts/setup-clients {self.name} says more"
            if os.environ.get("CI"):
                pytest.fail(problem)
            pytest.skip(problem)

    def run(self, verb: str, **environment: str) -> str:
        """What a script of it prints; fails with all that it said."""
        ended = subprocess.run(
            [self.script(verb)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            env=os.environ | environment,
        )
        assert ended.returncode == 0, f"{self.script(verb)}\n{ended.stdout}\n{ended.stderr}"
        return ended.stdout


@cache
def built(language: Language) -> None:
    """Built, and everything that it needs is there; looked at once in a process."""
    language.require()
    language.run("setup")


LANGUAGES: tuple[Language, ...] = (
    Language("go", "go"),
    Language("java", "mvn"),
    Language("typescript", "node"),
    Language("rust", "cargo"),
    Language("cpp", "grpc_cpp_plugin"),
)
"""Each with its package."""

RUNNERS = (*LANGUAGES, Language("web", "chromium", "typescript", "conformance-web"))
"""Those, and what else of them runs scenarios."""


class RunnerProcess:
    """A runner of a language, or with None Python's own. Its standard error is ours."""

    def __init__(self, language: Language | None, **environment: str):
        command: list[str | Path] = (
            [sys.executable, Path(__file__).with_name("runner.py")]
            if language is None
            else [language.script(language.runner)]
        )
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | environment,
        )
        self._number = 0
        self.about = self.ask("hello")

    def ask(self, op: str, **args: Any) -> dict[str, Any]:
        """Raises ``Refused``."""
        self._number += 1
        request = json.dumps({"id": self._number, "op": op, "args": args})
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(request + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        assert line, f"the runner ended in {op}"
        answer = json.loads(line)
        assert answer["id"] == self._number, answer
        if error := answer.get("error"):
            assert error["code"] != "RUNNER", error
            raise Refused(error)
        ok: dict[str, Any] = answer["ok"]
        return ok

    def close(self) -> None:
        self._process.communicate(timeout=120)
        assert self._process.returncode == 0
