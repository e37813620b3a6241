"""What is promised of two versions side by side."""

from __future__ import annotations

import math

import pytest
import runwire
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName


def train(client: runwire.Client, *, lr: str, loss: float, weights: bytes) -> None:
    """A run with params, metrics and files, and the next version of "fraud" from it."""
    run = client.runs.create(params={"lr": lr, "layers": "3"})
    series = [SeriesName(id=1, key="loss"), SeriesName(id=2, key="broken")]
    frame = Frame(series=[1, 2], steps=[0], times_micros=[1], values=[loss, math.nan])
    batch = MetricBatch(sequence=1, series=series, frames=[frame])
    client.metrics.log_batch(run.run_id, batch, writer_id="writer")
    client.artifacts.put(run.run_id, weights, "model/weights.bin")
    client.artifacts.put(run.run_id, b"{}", "model/config.json")
    client.models.create_version(
        "fraud", source_run_id=run.run_id, source_path="model", create_model=True
    )


@pytest.fixture(autouse=True)
def fraud(client: runwire.Client) -> None:
    train(client, lr="0.1", loss=0.5, weights=b"first")
    train(client, lr="0.01", loss=0.25, weights=b"second")


def test_comparison_tells_params_metrics_and_files_of_both(client: runwire.Client) -> None:
    found = client.models.compare("fraud/1", "fraud/latest")
    assert (found.left.version, found.right.version) == (1, 2)
    assert {name: (pair.left, pair.right) for name, pair in found.params.items()} == {
        "layers": ("3", "3"),
        "lr": ("0.1", "0.01"),
    }
    assert (found.metrics["loss"].left, found.metrics["loss"].right) == (0.5, 0.25)
    assert [path for path, pair in found.files.items() if pair.differs] == ["weights.bin"]
    assert found.files["config.json"].left == found.files["config.json"].right
    assert not found.same_files


def test_nan_is_no_difference(client: runwire.Client) -> None:
    found = client.models.compare("fraud/1", "fraud/2")
    assert math.isnan(found.metrics["broken"].left or 0)
    assert not found.metrics["broken"].differs


def test_copy_is_compared_by_the_run_it_came_from(client: runwire.Client) -> None:
    client.models.create_version("prod", source_version=("fraud", 1), create_model=True)
    client.models.create_version("prod", source_version=("prod", 1))
    found = client.models.compare("fraud/1", "prod/2")
    assert found.same_files
    assert found.run_ids.left == found.run_ids.right == found.left.source_run_id
    assert (len(found.params), len(found.metrics), len(found.files)) == (2, 2, 2)
    for pairs in (found.params, found.metrics, found.files):
        assert not any(pair.differs for pair in pairs.values())


def test_version_kept_elsewhere_has_nothing_to_compare(client: runwire.Client) -> None:
    client.models.create_version("fraud", source_uri="s3://x")
    found = client.models.compare("fraud/1", "fraud/3")
    assert found.params["lr"].right is None
    assert found.files["weights.bin"].right is None
    assert not found.same_files


def test_comparison_with_what_is_not_there_is_not_found(client: runwire.Client) -> None:
    with pytest.raises(runwire.NotFoundError):
        client.models.compare("fraud/1", "fraud@nobody")
