"""mlflow, tuned: uvloop (its default loop loses 40 ms a call to delayed acknowledgements,
as the server's sockets are made without TCP_NODELAY), 4 workers, no job runner."""

from __future__ import annotations

import os
import sys
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ |= {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "DO_NOT_TRACK": "true",
    "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    "MLFLOW_ENABLE_SYSTEM_METRICS_LOGGING": "false",
    "GIT_PYTHON_REFRESH": "quiet",
}
import mlflow
from mlflow.entities import Metric, Param

from benchmarks.peers.tracker import Metrics, Tracker, free_port, start_server, stop_server


class Adapter(Tracker):
    package = "mlflow"
    metric: Any = Metric
    synchronous = True

    def __init__(self, folder: Path, database: str):
        super().__init__(folder, database)
        self._uri = f"http://127.0.0.1:{free_port()}"
        self._server = start_server(folder, *self.command(self._uri.rpartition(":")[2]))
        self._wait_until_healthy()
        mlflow.set_tracking_uri(self._uri)
        self.client = self.make_client()
        self.run_id = ""

    def command(self, port: str) -> list[str]:
        store = self.database or f"sqlite:///{self.folder}/mlflow.db"
        return [
            str(Path(sys.executable).parent / "mlflow"), "server", "--backend-store-uri", store,
            "--default-artifact-root", str(self.folder / "artifacts"),
            "--host", "127.0.0.1", "--port", port, "--workers", "4",
            "--uvicorn-opts", "--loop uvloop --http httptools --log-level warning",
        ]  # fmt: skip

    def _wait_until_healthy(self, within_s: float = 120) -> None:
        end = time.perf_counter() + within_s
        while True:
            try:
                with urllib.request.urlopen(f"{self._uri}/health", timeout=5):  # noqa: S310
                    return
            except OSError as error:
                if time.perf_counter() > end or self._server.poll() is not None:
                    last = (self.folder / "server.log").read_text().splitlines()[-1:]
                    raise OSError(f"its server did not start: {last}") from error
                time.sleep(0.1)

    def make_client(self) -> Any:
        return mlflow.MlflowClient()

    def start(self) -> None:
        self.run_id = mlflow.start_run().info.run_id

    def log(self, metrics: Metrics, step: int) -> None:
        mlflow.log_metrics(metrics, step=step, synchronous=self.synchronous)

    def log_rows(self, rows: Sequence[Metrics], first_step: int) -> None:
        now = int(time.time() * 1000)
        points = [
            self.metric(key, value, now, step)
            for step, metrics in enumerate(rows, first_step)
            for key, value in metrics.items()
        ]
        self.client.log_batch(self.run_id, metrics=points)

    def finish(self) -> None:
        if not self.synchronous:
            mlflow.flush_async_logging()
        mlflow.end_run()

    def read(self, key: str) -> Sequence[float]:
        points = self.client.get_metric_history(self.run_id, key)
        return [point.value for point in sorted(points, key=lambda point: point.step)]

    def create(self, value: float) -> None:
        run_id = self.client.create_run("0").info.run_id
        metric = self.metric("m0", value, int(time.time() * 1000), 0)
        self.client.log_batch(run_id, metrics=[metric], params=[Param("p0", "x")])
        self.client.set_terminated(run_id)

    def search(self, least: float) -> int:
        text = f"metrics.m0 > {least} AND params.p0 = 'x'"
        return len(self.client.search_runs(["0"], text, max_results=1000))

    def close(self) -> None:
        stop_server(self._server)
