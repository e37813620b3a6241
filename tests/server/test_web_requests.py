"""Requests as a stream over HTTP: they come whole, in Connect, and are answered together."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.message import Message
from runwire.v1.artifact_pb2 import Artifact, ArtifactOwner, Blob
from runwire.v1.artifact_service_pb2 import (
    BatchPutBlobsRequest,
    CommitArtifactsRequest,
    CommitArtifactsResponse,
)
from runwire.v1.run_service_pb2 import CreateRunRequest, CreateRunResponse
from runwire_server.app import App

from server.web_client import Response, ask, frame, frames, web_port

COMMIT = "/runwire.v1.ArtifactService/CommitArtifacts"
STREAM = {"content-type": "application/connect+proto"}
DATA = b"weights"
BLOB = Blob(digest=f"sha256:{hashlib.sha256(DATA).hexdigest()}", size_bytes=len(DATA))


@pytest.fixture(scope="module")
def port(tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    folder: Path = tmp_path_factory.mktemp("web")
    app = App(f"sqlite:///{folder}/x.db", str(folder / "blobs"))
    with web_port(app) as port:
        yield port
    app.close()


@pytest.fixture
def owner(port: int) -> ArtifactOwner:
    """A new run; the blob is stored."""
    made = CreateRunResponse.FromString(_ask(port, "RunService/CreateRun", CreateRunRequest()).body)
    put = BatchPutBlobsRequest(items=[BatchPutBlobsRequest.Item(blob=BLOB, data=DATA)])
    _ask(port, "ArtifactService/BatchPutBlobs", put)
    return ArtifactOwner(run_id=made.run.run_id)


def test_commit_of_several_messages_applies_as_a_whole(port: int, owner: ArtifactOwner) -> None:
    first = CommitArtifactsRequest(owner=owner, artifacts=[Artifact(path="a", blob=BLOB)])
    second = CommitArtifactsRequest(artifacts=[Artifact(path="b", blob=BLOB)])
    body = b"".join(frame(0, one.SerializeToString()) for one in (first, second))
    (_, tree), (flags, end) = frames(ask(port, COMMIT, body, STREAM).body)
    assert CommitArtifactsResponse.FromString(tree).files == 2
    assert (flags, json.loads(end)) == (2, {})


def test_error_of_a_commit_has_its_reason(port: int, owner: ArtifactOwner) -> None:
    missing = Blob(digest=f"sha256:{64 * '0'}", size_bytes=1)
    request = CommitArtifactsRequest(owner=owner, artifacts=[Artifact(path="a", blob=missing)])
    assert _reason(port, frame(0, request.SerializeToString())) == "BLOBS_MISSING"


@pytest.mark.parametrize("body", [b"\0", b"\0\0\0\0\5abc", b"\4\0\0\0\0", frame(0, b"\xff")])
def test_damaged_stream_is_refused(port: int, owner: ArtifactOwner, body: bytes) -> None:
    whole = frame(0, CommitArtifactsRequest(owner=owner).SerializeToString())
    assert _reason(port, body) == "FIELD_INVALID"
    assert _reason(port, whole + body) == "FIELD_INVALID"


def _ask(port: int, method: str, request: Message) -> Response:
    body = request.SerializeToString()
    return ask(port, f"/runwire.v1.{method}", body, {"content-type": "application/proto"})


def _reason(port: int, body: bytes) -> str:
    ((_, end),) = frames(ask(port, COMMIT, body, STREAM).body)
    reason: str = json.loads(end)["error"]["details"][0]["debug"]["reason"]
    return reason
