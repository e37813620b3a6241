"""Runwire at the work of its peers: a server process, the fluent API, the explicit client."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import runwire

from benchmarks.peers.tracker import Metrics, Tracker


class Adapter(Tracker):
    package = "runwire"

    def __init__(self, folder: Path, database: str):
        super().__init__(folder, database)
        command = [sys.executable, "-m", "runwire_server", "--port", "-1", "--grpc-port", "0"]
        command += ["--log-level", "warning"]
        command += ["--backend-store-uri", database] if database else []
        self._server = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=folder)
        uri = self._server.stdout.readline().split()[-1] if self._server.stdout else ""
        os.environ |= {"RUNWIRE_DIR": str(folder / "journals"), "RUNWIRE_QUIET": "1"}
        runwire.set_tracking_uri(uri)
        self._client = runwire.Client(uri)
        self._run_id = ""

    def start(self) -> None:
        self._run_id = runwire.start_run().info.run_id

    def log(self, metrics: Metrics, step: int) -> None:
        runwire.log_metrics(metrics, step=step)

    def finish(self) -> None:
        if not runwire.flush(timeout=300):
            raise TimeoutError("the flush timed out")
        runwire.end_run()

    def read(self, key: str) -> Sequence[float]:
        series = self._client.metrics.read(self._run_id, key)[self._run_id, key]
        return list(series.values)

    def size_bytes(self) -> int:
        """Folded, as the server does by itself some minutes later, and ``runwire gc``."""
        while self._run_id and not self._client.metrics.compact(self._run_id).done:
            pass
        store = self.database or f"sqlite:///{self.folder}/runwire-data/runwire.db"
        collect = [sys.executable, "-m", "runwire", "gc", "--backend-store-uri", store]
        subprocess.run(collect, check=True, capture_output=True)
        return super().size_bytes()

    def create(self, value: float) -> None:
        run = self._client.runs.create(experiment_id="0", params={"p0": "x"})
        self._client.metrics.log(run.run_id, {"m0": value})
        self._client.runs.finish(run.run_id)

    def search(self, least: float) -> int:
        found = self._client.runs.search(
            filter=f"metrics.m0 > {least} AND params.p0 = 'x'", page_size=1000
        )
        return sum(1 for _ in found)

    def close(self) -> None:
        self._client.close()
        self._server.terminate()
        self._server.wait()
