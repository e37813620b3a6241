"""What the README tells a reader to type works as it stands."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
from runwire_server.app import App
from server.web_client import web_port

README = Path(__file__).parents[1] / "README.md"


NO_CURL = shutil.which("curl") is None and os.environ.get("CI") != "true"


@pytest.mark.skipif(NO_CURL, reason="there is no curl here")
@pytest.mark.parametrize("shell", ["sh", "bash"])
def test_calls_by_curl(shell: str, tmp_path: Path) -> None:
    found = re.search(r"\*\*From any language.*?```sh\n(.*?)```", README.read_text(), re.DOTALL)
    assert found is not None
    app = App(f"sqlite:///{tmp_path / 'x.db'}", str(tmp_path / "blobs"))
    with closing(app), web_port(app) as port:
        ended = subprocess.run(
            [shell, "-eu", "-c", found[1]],
            env=os.environ | {"RUNWIRE_WEB": f"http://localhost:{port}", "no_proxy": "*"},
            capture_output=True,
            text=True,
            timeout=120,
        )
    assert (ended.returncode, ended.stderr) == (0, "")
    created, logged, runs, error = map(json.loads, ended.stdout.splitlines())
    assert created["run"]["name"] == "by-curl"
    assert logged["ack"]["committedSequence"] == "1"
    assert [run["runId"] for run in runs["runs"]] == [created["run"]["runId"]]
    assert error["code"] == "invalid_argument"
