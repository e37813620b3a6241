"""Two versions of models side by side: what went in, what came out, which files."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Generic, TypeVar

from runwire._artifact import Artifacts
from runwire._errors import NotFoundError
from runwire._model import Models
from runwire._run import Runs
from runwire.v1.model_pb2 import ModelVersion
from runwire.v1.run_pb2 import Run

if TYPE_CHECKING:
    from runwire._call import Caller
    from runwire.v1.artifact_pb2 import Artifact

T = TypeVar("T")

# A copy of a copy of a copy: where it was trained is looked for so far back.
MAX_COPIES = 20


@dataclass(frozen=True)
class Pair(Generic[T]):
    """What either version has under one name; None: nothing."""

    left: T | None
    right: T | None

    @property
    def differs(self) -> bool:
        """NaN is the same as NaN."""
        both = (self.left, self.right)
        nan = [isinstance(one, float) and math.isnan(one) for one in both]
        return self.left != self.right and not all(nan)


@dataclass(frozen=True)
class ModelComparison:
    """The runs that the versions came from, if only as copies of others; the params and metrics
    of these by name; the digests (or URIs) of the files by path."""

    left: ModelVersion
    right: ModelVersion
    run_ids: Pair[str]
    params: Mapping[str, Pair[str]]
    metrics: Mapping[str, Pair[float]]
    files: Mapping[str, Pair[str]]

    @property
    def same_files(self) -> bool:
        """Both hold the same bytes under the same paths; no where that is not known."""
        return bool(self.left.tree_digest) and self.left.tree_digest == self.right.tree_digest


def compare(caller: Caller, left: ModelVersion, right: ModelVersion) -> ModelComparison:
    runs = [_run_of(caller, version) for version in (left, right)]
    files = [_files_of(caller, version) for version in (left, right)]
    return ModelComparison(
        left,
        right,
        run_ids=Pair(*(run.run_id or None for run in runs)),
        params=_paired(*(dict(run.params) for run in runs)),
        metrics=_paired(*(dict(run.metrics) for run in runs)),
        files=_paired(*files),
    )


def _paired(left: Mapping[str, T], right: Mapping[str, T]) -> dict[str, Pair[T]]:
    return {name: Pair(left.get(name), right.get(name)) for name in sorted({*left, *right})}


def _run_of(caller: Caller, version: ModelVersion) -> Run:
    """The run that a version came from, by way of the versions it was copied from; empty where
    there is none, or no more."""
    try:
        for _ in range(MAX_COPIES):
            if version.source_run_id or not version.HasField("source_version"):
                break
            key = version.source_version
            version = Models(caller).get_version(key.model, key.version, workspace=key.workspace)
        if version.source_run_id:
            return Runs(caller).get(version.source_run_id)
    except NotFoundError:
        pass  # it was deleted since
    return Run()


def _files_of(caller: Caller, version: ModelVersion) -> dict[str, str]:
    if not version.tree_digest:
        return {}
    listed = Artifacts(caller).list(
        model=version.model,
        version=version.version,
        workspace=version.workspace,
        recursive=True,
    )
    return {one.path: _content(one) for one in listed}


def _content(file: Artifact) -> str:
    return file.uri or file.blob.digest
