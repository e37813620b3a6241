"""Aim in process, on a repository of its own; ``track`` of a whole dict, no system metrics."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import aim
from aim.sdk.index_manager import RepoIndexManager
from aim.storage.context import Context

from benchmarks.peers.tracker import Metrics, Tracker


class Adapter(Tracker):
    package = "aim"

    def __init__(self, folder: Path, database: str):
        super().__init__(folder, database)
        self._repo = aim.Repo(str(folder / "repo"), init=True)
        self._index = RepoIndexManager.get_index_manager(self._repo)
        self._run = self._made()

    def _made(self) -> aim.Run:
        return aim.Run(
            repo=self._repo, system_tracking_interval=None,
            capture_terminal_logs=False, log_system_params=False,
        )  # fmt: skip

    def start(self) -> None:
        self._run = self._made()

    def log(self, metrics: Metrics, step: int) -> None:
        self._run.track(metrics, step=step)

    def finish(self) -> None:
        self._run.close()
        # Until a run is in the index no reader finds it; `aim up` does the same.
        self._index.index(self._run.hash)

    def read(self, key: str) -> Sequence[float]:
        run = aim.Run(self._run.hash, repo=self._repo, read_only=True)
        steps, (values, *_) = run.get_metric(key, Context({})).data.numpy()
        ordered: Sequence[float] = values[steps.argsort()].tolist()
        return ordered

    def create(self, value: float) -> None:
        self._run = self._made()
        self._run["p0"] = "x"
        self._run.track(value, name="m0", step=0)
        self.finish()

    def search(self, least: float) -> int:
        text = f"run.p0 == 'x' and run.metrics['m0'].last > {least}"
        return sum(1 for _ in self._repo.query_runs(text, report_mode=0).iter_runs())
