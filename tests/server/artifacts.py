"""Blobs, runs to hold them, and the service over both stores, for tests of the server."""

from __future__ import annotations

import hashlib
import math
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from runwire.v1.artifact_pb2 import Blob
from runwire.v1.artifact_service_pb2_grpc import (
    ArtifactServiceStub,
    add_ArtifactServiceServicer_to_server,
)
from runwire_server.blobs import BlobStore, open_blobs
from runwire_server.blobs.folder import _FileSegment
from runwire_server.inprocess import InProcessServer
from runwire_server.interceptors import CallInterceptor
from runwire_server.limits import LIMITS
from runwire_server.services import upload as upload_call
from runwire_server.services.artifact import ArtifactService
from runwire_server.store import upload as upload_rows
from runwire_server.store.database import Database
from runwire_server.store.tables import runs, uploads


@pytest.fixture(params=["folder", "s3"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "folder":
        yield str(tmp_path / "blobs")
        return
    server = request.getfixturevalue("s3")
    with server.bucket() as bucket:
        yield bucket


@pytest.fixture
def store(url: str) -> BlobStore:
    return open_blobs(url)


def serve(db: Database, store: BlobStore) -> ArtifactServiceStub:
    """A server that has just been started: nothing of another one is in its memory."""
    server: Any = InProcessServer([CallInterceptor()])
    add_ArtifactServiceServicer_to_server(ArtifactService(db, store, LIMITS), server)
    return ArtifactServiceStub(server.channel)


@pytest.fixture
def service(db: Database, store: BlobStore) -> ArtifactServiceStub:
    return serve(db, store)


@pytest.fixture(autouse=True)
def often_acknowledged(monkeypatch: pytest.MonkeyPatch) -> None:
    """After each 8 MiB and at no other time, however fast they come, and however slow the disk:
    no call counts as dead because of that."""
    monkeypatch.setattr(upload_call, "PROGRESS_S", 0.0)
    monkeypatch.setattr(upload_rows, "TOUCH_S", math.inf)
    monkeypatch.setattr(upload_rows, "IDLE_MICROS", 3600 * 1_000_000)
    monkeypatch.setattr(_FileSegment, "flush", _FileSegment.sync)


def pass_by(db: Database, micros: int) -> None:
    """Of all uploads, as if so much time had passed since their holders were heard."""
    with db.write() as tx:
        tx.execute(sa.update(uploads).values(expire_time=uploads.c.expire_time - micros))


def add_run(db: Database, **columns: object) -> str:
    run_id = uuid.uuid4().hex
    texts = ("name", "description", "user", "source_name", "git_commit")
    with db.write() as tx:
        tx.execute(
            sa.insert(runs).values(
                **dict.fromkeys(texts, ""),
                run_id=run_id,
                experiment_id=0,
                state=2,
                source=b"",
                parent_run_id="",
                forked_run_id="",
                create_time=tx.now,
                summaries_stale=False,
                revision=1,
                **columns,
            )
        )
    return run_id


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def blob_of(data: bytes) -> Blob:
    return Blob(digest=digest_of(data), size_bytes=len(data))
