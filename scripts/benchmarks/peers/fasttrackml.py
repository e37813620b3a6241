"""FastTrackML: its own server in Go, its own client, which extends mlflow's."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from fasttrackml.entities import Metric

from benchmarks.peers import mlflow


class Adapter(mlflow.Adapter):
    package = "fasttrackml"
    metric = Metric

    def command(self, port: str) -> list[str]:
        return [
            str(Path(sys.executable).parent / "fml"), "server", "--log-level", "error",
            "--listen-address", f"127.0.0.1:{port}",
            "--database-uri", f"sqlite://{self.folder}/fasttrackml.db",
            "--default-artifact-root", str(self.folder / "artifacts"),
        ]  # fmt: skip

    def make_client(self) -> Any:
        from fasttrackml import FasttrackmlClient

        return FasttrackmlClient()

    def read(self, key: str) -> Sequence[float]:
        frame = self.client.get_metric_histories(run_ids=[self.run_id], metric_keys=[key])
        values: Sequence[float] = frame.sort_index()["value"].tolist()
        return values
