"""A model to test the registry with; tests that need another have their own."""

from __future__ import annotations

import pytest
import runwire
from runwire.v1.model_pb2 import Model


@pytest.fixture
def run_id(client: runwire.Client) -> str:
    """A run with a model of two files, and a file beside it."""
    run = client.runs.create(experiment_name="training")
    client.artifacts.put(run.run_id, b"weights", "model/weights.bin")
    client.artifacts.put(run.run_id, b"{}", "model/config.json")
    client.artifacts.put(run.run_id, b"notes", "notes.txt")
    return run.run_id


@pytest.fixture
def fraud(client: runwire.Client, run_id: str) -> Model:
    """A model "fraud" with three versions."""
    for _ in range(3):
        client.models.create_version(
            "fraud", source_run_id=run_id, source_path="model", create_model=True
        )
    return client.models.get("fraud")
