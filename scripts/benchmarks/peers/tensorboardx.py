"""tensorboardX: event files, a call a value; read back by TensorBoard's own accumulator."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import tensorboardX
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from benchmarks.peers.tracker import Metrics, Tracker


class Adapter(Tracker):
    package = "tensorboardX"

    def __init__(self, folder: Path, database: str):
        super().__init__(folder, database)
        self._runs = 0

    def _made(self) -> tensorboardX.SummaryWriter:
        self._runs += 1
        return tensorboardX.SummaryWriter(str(self.folder / str(self._runs)))

    def start(self) -> None:
        self._writer = self._made()
        self._events: EventAccumulator | None = None

    def log(self, metrics: Metrics, step: int) -> None:
        for key, value in metrics.items():
            self._writer.add_scalar(key, value, step)

    def finish(self) -> None:
        self._writer.close()

    def read(self, key: str) -> Sequence[float]:
        if self._events is None:  # there is no way to one series alone: all are read
            self._events = EventAccumulator(self._writer.logdir, size_guidance={"scalars": 0})
            self._events.Reload()
        return [event.value for event in self._events.Scalars(key)]

    def create(self, value: float) -> None:
        writer = self._made()
        writer.add_text("p0", "x")
        writer.add_scalar("m0", value, 0)
        writer.close()
