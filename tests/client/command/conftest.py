"""A data folder with something in it, and the command line on it."""

from __future__ import annotations

import math
import shutil
from pathlib import Path

import pytest
import runwire
from runwire._command import main
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName

from .calls import FIRST, SECOND, Command, Ended


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two runs of one experiment, with metrics and artifacts, and a model."""
    folder = tmp_path_factory.mktemp("seeded") / "runwire-data"
    with runwire.Client(str(folder)) as client:
        _log_run(client, FIRST, "first", lr="0.1", low=0.0)
        _log_run(client, SECOND, "second", lr="0.2", low=1.0)
        client.runs.finish(SECOND)
        client.models.create_version(
            "fraud",
            source_run_id=FIRST,
            source_path="model",
            create_model=True,
            aliases=["champion"],
        )
    return folder


def _log_run(client: runwire.Client, run_id: str, name: str, *, lr: str, low: float) -> None:
    client.runs.create(
        run_id=run_id,
        experiment_name="digits",
        name=name,
        user="ana",
        start_time=1_700_000_000_000_000 if name == "first" else 1_700_000_100_000_000,
        params={"lr": lr, "size": "32"},
        tags={"team": "vision"},
    )
    steps = range(100)
    values = [one for step in steps for one in (low + math.exp(-step / 20), math.nan)]
    frame = Frame(series=[1, 2], steps=steps, times_micros=[*steps], values=values)
    names = [SeriesName(id=1, key="loss"), SeriesName(id=2, key="odd")]
    client.metrics.log_batch(run_id, MetricBatch(series=names, frames=[frame]))
    client.artifacts.put(run_id, b"weights", "model/weights.bin")
    client.artifacts.put(run_id, b"notes", "notes.txt")


@pytest.fixture
def data(seeded: Path, tmp_path: Path) -> Path:
    """The seeded folder, as the default data folder of this test."""
    return Path(shutil.copytree(seeded, tmp_path / "runwire-data"))


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str], data: Path) -> Command:
    def call(*arguments: str) -> Ended:
        capsys.readouterr()
        code = main(arguments)
        return Ended(code, *capsys.readouterr())

    return call
