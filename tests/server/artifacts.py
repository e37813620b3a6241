"""Blobs, and runs to hold them, for tests of the server."""

from __future__ import annotations

import hashlib
import uuid

import sqlalchemy as sa
from runwire.v1.artifact_pb2 import Blob
from runwire_server.store.database import Database
from runwire_server.store.tables import runs


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
