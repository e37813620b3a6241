"""Neptune Scale offline: operations in a SQLite file a run, for a service to take later."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import neptune_scale
from neptune_scale.sync.operations_repository import OperationsRepository

from benchmarks.peers.tracker import Metrics, Tracker


class Adapter(Tracker):
    package = "neptune_scale"

    def __init__(self, folder: Path, database: str):
        super().__init__(folder, database)
        self._runs = 0

    def start(self) -> None:
        self._runs += 1
        self._logs = self.folder / str(self._runs)
        self._rows: list[Metrics] = []
        self._run = neptune_scale.Run(
            project="bench/bench", run_id=f"run-{self._runs}", mode="offline",
            log_directory=str(self._logs), enable_console_log_capture=False,
            source_tracking_config=None,
        )  # fmt: skip

    def log(self, metrics: Metrics, step: int) -> None:
        self._run.log_metrics(metrics, step=step)

    def finish(self) -> None:
        self._run.close()

    def read(self, key: str) -> Sequence[float]:
        if not self._rows:  # there is no way to one series alone: all are read
            self._rows = self._history()
        return [row[key] for row in self._rows if key in row]

    def _history(self) -> list[Metrics]:
        (file,) = self._logs.rglob("*.sqlite3")
        operations = OperationsRepository(db_path=file)
        rows, after = [], None
        while found := operations.get_operations(10 << 20, after):
            rows += [
                {key: value.float64 for key, value in one.operation.append.items()}
                for one in found
                if hasattr(one.operation, "append")
            ]
            after = found[-1].sequence_id
        operations.close(cleanup_files=False)
        return rows

    def create(self, value: float) -> None:
        self.start()
        self._run.log_configs({"p0": "x"})
        self._run.log_metrics({"m0": value}, step=0)
        self.finish()
