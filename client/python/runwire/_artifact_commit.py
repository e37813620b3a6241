"""A commit in messages, made one after the other: of a large tree never all are in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from runwire.v1.artifact_pb2 import Artifact
from runwire.v1.artifact_service_pb2 import CommitArtifactsRequest

# Of one message; a server takes 4 MiB.
COMMIT_BYTES = 1 << 20

T = TypeVar("T")


def in_messages(
    first: CommitArtifactsRequest, files: Iterable[T], fill: Callable[[T, Artifact], None]
) -> Iterator[CommitArtifactsRequest]:
    """``first``, with as many of the files as fit, then others. It is left as it is."""
    message, size = CommitArtifactsRequest(), 0
    message.CopyFrom(first)
    for file in files:
        if size > COMMIT_BYTES:
            yield message
            message, size = CommitArtifactsRequest(), 0
        artifact = message.artifacts.add()
        fill(file, artifact)
        size += artifact.ByteSize()
    yield message
