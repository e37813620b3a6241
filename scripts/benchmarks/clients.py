"""The clients of all languages beside each other, through the runners of the conformance suite."""

from __future__ import annotations

import shutil
import time
from pathlib import Path
from typing import Any

import runwire
from conformance.languages import LANGUAGES, Language, RunnerProcess

from benchmarks import anchors
from benchmarks.artifacts import MIB, random_file
from benchmarks.work import Work

KEYS = 10


def compare(work: Work) -> dict[str, Any]:
    """A writer's calls of 10 values, answers to small questions, and an upload, by language.

    Languages whose toolchain is missing here are left out.
    """
    found: dict[str, Any] = {}
    file = work.folder / "large.bin"
    with work.server() as uri:
        found["anchor: small unary RPC of Python, us"] = anchors.empty_rpc(uri) * 1e6
        for language in (None, *LANGUAGES):
            if language is not None:
                if shutil.which(language.tool) is None:
                    continue
                language.run("setup")
            random_file(file, work.size(256 * MIB))  # what is there already is not sent again
            name = "python" if language is None else language.name
            measured = _one(work, uri, language, str(file))
            found |= {f"{name}: {figure}": value for figure, value in measured.items()}
    return found


def _one(work: Work, uri: str, language: Language | None, file: str) -> dict[str, Any]:
    runner = RunnerProcess(language, RUNWIRE_DIR=str(work.folder / "journals"), RUNWIRE_QUIET="1")
    try:
        runner.ask("connect", uri=uri, timeout_s=300)
        with runwire.Client(uri) as client:
            run_id = client.runs.create(experiment_name="Default").run_id
            reference = _publish(client, run_id, runner.about["language"])
        calls = work.size(500_000)
        logged = runner.ask("bench_log", run_id=run_id, calls=calls, keys=KEYS)
        resolved = runner.ask("bench_resolve", reference=reference, calls=work.size(5_000))
        read = runner.ask("bench_read", run_id=run_id, calls=work.size(5_000))
        start = time.perf_counter()
        runner.ask("upload", run_id=run_id, path="large.bin", file=file)
        seconds = time.perf_counter() - start
    finally:
        runner.close()
    return {
        "call of 10 values p50, ns": logged["call_ns"],
        "call p99, ns": logged["call_p99_ns"],
        "points/s until acknowledged": calls * KEYS / logged["seconds"],
        "resolve p50, us": resolved["p50_us"],
        "get_run p50, us": read["p50_us"],
        "upload, MiB/s": Path(file).stat().st_size / MIB / seconds,
    }


def _publish(client: runwire.Client, run_id: str, name: str) -> str:
    client.artifacts.put(run_id, b"weights", "weights")
    client.models.create(name)
    client.models.create_version(name, source_run_id=run_id, aliases=["champion"])
    return f"{name}@champion"
