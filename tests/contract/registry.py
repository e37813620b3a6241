"""Models to test with, and events in short."""

from __future__ import annotations

from collections.abc import Iterable

import runwire
from runwire.v1.model_pb2 import ModelEvent


def publish(client: runwire.Client, model: str = "fraud", versions: int = 3) -> None:
    """Versions of a model, which is made where it is missing."""
    for number in range(versions):
        client.models.create_version(model, source_uri=f"s3://kept/{number}", create_model=True)


def kinds(events: Iterable[ModelEvent]) -> list[str]:
    return [ModelEvent.Kind.Name(event.kind).removeprefix("KIND_") for event in events]


def last_event(client: runwire.Client, model: str = "fraud") -> ModelEvent:
    return next(iter(client.models.list_events(model, page_size=1)))
