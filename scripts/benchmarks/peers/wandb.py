"""Weights & Biases offline: a transaction log on disk, which its own command reads back."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

os.environ |= {
    "WANDB_MODE": "offline",
    "WANDB_SILENT": "true",
    "WANDB_ERROR_REPORTING": "false",
    "WANDB_CONSOLE": "off",
    "WANDB_DISABLE_GIT": "true",
    "WANDB_DISABLE_CODE": "true",
}
import wandb

from benchmarks.peers.tracker import Metrics, Tracker


class Adapter(Tracker):
    package = "wandb"

    def start(self) -> None:
        settings = wandb.Settings(console="off", x_disable_stats=True, x_disable_meta=True)
        self._run = wandb.init(project="bench", dir=str(self.folder), settings=settings)
        self._rows: list[Metrics] = []

    def log(self, metrics: Metrics, step: int) -> None:
        self._run.log(metrics, step=step)

    def finish(self) -> None:
        self._run.finish()

    def read(self, key: str) -> Sequence[float]:
        if not self._rows:  # there is no way to one series alone: all are read
            self._rows = self._history()
        return [row[key] for row in self._rows if key in row]

    def _history(self) -> list[Metrics]:
        program = Path(sys.executable).parent / "wandb"
        command: list[str | Path] = [
            program,
            "leet",
            "inspect",
            "--json",
            Path(self._run.dir).parent,
        ]
        text = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
        records = map(json.loads, text.splitlines())
        return [one["history"]["item"] for one in records if one.get("type") == "history"]

    def create(self, value: float) -> None:
        settings = wandb.Settings(console="off", x_disable_stats=True, x_disable_meta=True)
        run = wandb.init(
            project="bench", dir=str(self.folder), config={"p0": "x"}, settings=settings
        )
        run.log({"m0": value})
        run.finish()
