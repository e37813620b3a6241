"""Trackio on its local SQLite database."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Sequence
from pathlib import Path

from benchmarks.peers.tracker import Metrics, Tracker


class Adapter(Tracker):
    package = "trackio"

    def __init__(self, folder: Path, database: str):
        super().__init__(folder, database)
        os.environ |= {
            "TRACKIO_DIR": str(folder), "HF_HUB_OFFLINE": "1", "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        self._runs = 0

    def _init(self) -> None:
        import trackio

        self._runs += 1
        with contextlib.redirect_stdout(io.StringIO()):
            trackio.init(
                project="bench", name=f"run-{self._runs}", config={"p0": "x"},
                embed=False, auto_log_gpu=False,
            )  # fmt: skip

    def start(self) -> None:
        self._init()

    def log(self, metrics: Metrics, step: int) -> None:
        import trackio

        trackio.log(metrics, step=step)

    def finish(self) -> None:
        import trackio

        with contextlib.redirect_stdout(io.StringIO()):
            trackio.finish()

    def read(self, key: str) -> Sequence[float]:
        from trackio.sqlite_storage import SQLiteStorage

        points = SQLiteStorage.get_metric_values("bench", f"run-{self._runs}", key)
        return [point["value"] for point in sorted(points, key=lambda point: int(point["step"]))]

    def create(self, value: float) -> None:
        self._init()
        self.log({"m0": value}, 0)
        self.finish()
