"""Whether artifacts are still what they were: a sample of the newest, or all of them."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Any

from runwire._command.output import size_text

if TYPE_CHECKING:
    from runwire import Client

SAMPLE_RUNS, SAMPLE_FILES, SAMPLE_BYTES = 20, 5, 8 << 20


def problems(client: Client, *, deep: bool) -> tuple[str, list[str]]:
    """What was read, and a line for each file that is lost or damaged."""
    files = size = 0
    bad: list[str] = []
    for name, owner in _owners(client, deep):
        for one in _chosen(client, owner, deep):
            files, size = files + 1, size + one.blob.size_bytes
            found = client.artifacts.verify(**owner, artifact_path=one.path)
            bad += [f"{name}: {path}: {problem}" for path, problem in found.items()]
    return f"{files} files read, {size_text(size)}", bad


def _owners(client: Client, deep: bool) -> Iterator[tuple[str, dict[str, Any]]]:
    runs = ((f"run {run.run_id}", {"run_id": run.run_id}) for run in client.runs.search())
    if not deep:
        yield from islice(runs, SAMPLE_RUNS)
        return
    versions = (
        (f"models:/{one.model}/{one.version}", {"model": one.model, "version": one.version})
        for one in client.models.search_versions()
    )
    yield from chain(runs, versions)


def _chosen(client: Client, owner: dict[str, Any], deep: bool) -> Iterator[Any]:
    listed = client.artifacts.list(**owner, recursive=True)
    stored = (one for one in listed if one.HasField("blob"))
    if deep:
        yield from stored
        return
    small = (one for one in islice(stored, 100) if one.blob.size_bytes <= SAMPLE_BYTES)
    yield from islice(small, SAMPLE_FILES)
