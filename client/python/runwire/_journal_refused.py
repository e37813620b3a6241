"""``refused.json``: the runs of a journal that the server will not take, and why.

Their records stay on disk; ``runwire sync`` tries them again.
"""

from __future__ import annotations

import json
from pathlib import Path

from runwire._errors import RunwireError


def read_refused(directory: Path) -> dict[str, str]:
    """Reasons by run id; empty where nothing was refused."""
    try:
        refused: dict[str, str] = json.loads((directory / "refused.json").read_text())
    except FileNotFoundError:
        return {}
    return refused


def write_refused(directory: Path, reasons: dict[str, str]) -> None:
    """Atomically; no reasons: no file."""
    path = directory / "refused.json"
    if not reasons:
        path.unlink(missing_ok=True)
        return
    hidden = directory / "refused.json.new"
    hidden.write_text(json.dumps(reasons, indent=1))
    hidden.replace(path)


def refusal(directory: Path, run_id: str) -> RunwireError:
    """The error that ``flush`` raises for a refused run."""
    reason = read_refused(directory).get(run_id, "see uploader.log")
    return RunwireError(
        f"the server refused the data of run {run_id}: {reason} (kept in {directory})"
    )
