"""``scripts/bench --peers``: every tracker at the same work, and its ratio to Runwire."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.peers.environment import PEERS, ROOT, Peer, python_of
from benchmarks.postgres import postgres
from benchmarks.work import Work

TIMEOUT_S = 300


def compare(names: list[str], work: Work) -> dict[str, dict[str, Any]]:
    """Of each ``figures`` or ``error``; ``ratios`` to Runwire on the same database."""
    results: dict[str, dict[str, Any]] = {}
    for name in names:
        print(f"{name}: {', '.join(PEERS[name].requirements) or 'this tree'} …", file=sys.stderr)
        try:
            results[name] = {"figures": _measured(name, work)}
        except subprocess.CalledProcessError as error:
            results[name] = {"error": _last_words(error)}
        except (OSError, subprocess.TimeoutExpired) as error:
            results[name] = {"error": str(error)}
    for name, result in results.items():
        if PEERS[name].module == "runwire":
            continue
        ours = results.get("runwire-postgres" if PEERS[name].on_postgres else "runwire", {})
        result["ratios"] = _ratios(result.get("figures", {}), ours.get("figures", {}))
    return results


def _measured(name: str, work: Work) -> dict[str, Any]:
    peer = PEERS[name]
    python = python_of(peer)
    with (
        tempfile.TemporaryDirectory(dir=work.folder, ignore_cleanup_errors=True) as folder,
        postgres(work.folder) if peer.on_postgres else contextlib.nullcontext("") as database,
    ):
        return _run(peer, python, Path(folder), database, 2 if work.quick else 8)


def _run(peer: Peer, python: Path, folder: Path, database: str, seconds: float) -> dict[str, Any]:
    environment = os.environ | {"PYTHONPATH": str(ROOT / "scripts"), "HOME": str(folder)}
    command: list[str | Path] = [python, "-m", "benchmarks.peers.tasks", peer.module, folder]
    subprocess.run(
        [*command, str(seconds), database],
        cwd=folder, env=environment, timeout=TIMEOUT_S, check=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    figures: dict[str, Any] = json.loads((folder / "figures.json").read_text())
    return figures


def _last_words(error: subprocess.CalledProcessError) -> str:
    """What went wrong, as the tracker or pip said it."""
    lines = [line for line in (error.stderr or "").splitlines() if line.strip()]
    return lines[-1].strip()[:300] if lines else str(error)


def _ratios(figures: dict[str, Any], ours: dict[str, Any]) -> dict[str, float]:
    """How many times better Runwire's figure is, where both have one: of rates the more."""
    ratios = {}
    for name, value in figures.items():
        if "," in name or "/s" in name:  # the others are counts: how much work it was
            theirs, own = (ours.get(name), value) if "/s" in name else (value, ours.get(name))
            if theirs and own:
                ratios[name] = theirs / own
    return ratios
