"""Blobs for tests, and how they get to the server."""

from __future__ import annotations

import hashlib

import runwire
from runwire.v1.artifact_pb2 import Blob
from runwire.v1.artifact_service_pb2 import BatchPutBlobsRequest

MIB = 1 << 20


def blob_of(data: bytes) -> Blob:
    return Blob(digest=f"sha256:{hashlib.sha256(data).hexdigest()}", size_bytes=len(data))


def item(data: bytes, claimed: Blob | None = None) -> BatchPutBlobsRequest.Item:
    return BatchPutBlobsRequest.Item(blob=claimed or blob_of(data), data=data)


def stored(client: runwire.Client, data: bytes) -> Blob:
    (result,) = client.artifacts.batch_put_blobs([item(data)])
    assert not result.HasField("fault")
    return blob_of(data)
