"""Many small blobs in one message: ``BatchPutBlobs`` and ``BatchGetArtifacts``."""

from __future__ import annotations

import hashlib

from runwire.v1.artifact_pb2 import Artifact, Blob
from runwire.v1.artifact_service_pb2 import (
    BatchGetArtifactsRequest,
    BatchGetArtifactsResponse,
    BatchPutBlobsRequest,
    BatchPutBlobsResponse,
)
from runwire.v1.server_service_pb2 import Limits

from runwire_server.blobs import BlobStore, blob_key
from runwire_server.errors import (
    DigestMismatch,
    FieldInvalid,
    NotFound,
    ServiceError,
    TooLarge,
)
from runwire_server.store import artifact, blob, small_blob
from runwire_server.store.database import Database
from runwire_server.store.experiment import workspace_of
from runwire_server.store.paths import check_path

# The answer has a result for each, and must fit into a message.
MAX_PUT_ITEMS = 10_000
MAX_GET_PATHS = 1000

Item = BatchGetArtifactsResponse.Item


def put(
    db: Database, blobs: BlobStore, limits: Limits, request: BatchPutBlobsRequest
) -> BatchPutBlobsResponse:
    """Store those that are what they claim to be; large ones in the blob store, small
    ones as rows."""
    workspace = workspace_of(request.workspace)
    faults, good = _check_items(request, limits)
    small = {d: data for d, data in good.items() if len(data) <= small_blob.MAX_BYTES}
    large = {d: data for d, data in good.items() if d not in small}
    if large:
        _put_large(db, blobs, workspace, large)
    with db.write() as tx:
        # First the blobs: it takes their locks, so that no collector can remove the bytes that
        # the other finds there already.
        blob.note(tx, workspace, {digest: len(data) for digest, data in small.items()})
        small_blob.add(tx, workspace, small)
    results = [
        BatchPutBlobsResponse.Result(
            digest=item.blob.digest, fault=fault.fault() if fault else None
        )
        for item, fault in zip(request.items, faults, strict=True)
    ]
    return BatchPutBlobsResponse(results=results)


def get(
    db: Database, blobs: BlobStore, limits: Limits, request: BatchGetArtifactsRequest
) -> BatchGetArtifactsResponse:
    """The files' bytes, from the database and the blob store."""
    if len(request.paths) > MAX_GET_PATHS:
        raise FieldInvalid("paths", f"at most {MAX_GET_PATHS} in a call")
    with db.read() as tx:
        owner = artifact.owner_to_read(tx, request.owner)
        workspace = artifact.workspace_of_owner(tx, owner)
        paths = [check_path(f"paths[{n}]", path) for n, path in enumerate(request.paths)]
        found = artifact.get_many(tx, owner, paths)
        total = sum(found[path].blob.size_bytes for path in paths if path in found)
        if total > limits.max_batch_put_bytes:
            raise TooLarge("paths", total, limits.max_batch_put_bytes)
        sizes = {one.blob.digest: one.blob.size_bytes for one in found.values() if one.blob.digest}
        data = small_blob.find(tx, workspace, sizes)
        large = blob.generations(tx, workspace, sizes.keys() - data.keys())
    keys = {blob_key(workspace, digest, end): digest for digest, end in large.items()}
    read = blobs.read_many({key: sizes[digest] for key, digest in keys.items()}) if keys else {}
    data |= {keys[key]: value for key, value in read.items()}
    return BatchGetArtifactsResponse(items=[_item(path, found.get(path), data) for path in paths])


def _put_large(db: Database, blobs: BlobStore, workspace: str, data: dict[str, bytes]) -> None:
    with db.write() as tx:
        there = blob.renew(tx, workspace, data)
    generation = blob.new_generation()
    keys = {d: blob_key(workspace, d, generation) for d in data.keys() - there.keys()}
    blobs.put_many({key: data[digest] for digest, key in keys.items()})
    with db.write() as tx:
        needless = blob.add(tx, workspace, {d: len(data[d]) for d in keys}, generation)
    for digest in needless:
        blobs.delete(keys[digest])


def _item(path: str, found: Artifact | None, data: dict[str, bytes]) -> Item:
    if found is None:
        return Item(fault=NotFound("artifact", path).fault())
    if found.uri:
        return Item(fault=FieldInvalid("paths", f"{path!r} is kept elsewhere").fault())
    return Item(blob=found.blob, data=data[found.blob.digest])


def _check_items(
    request: BatchPutBlobsRequest, limits: Limits
) -> tuple[list[ServiceError | None], dict[str, bytes]]:
    """What is wrong with each item, and the good ones by digest."""
    if len(request.items) > MAX_PUT_ITEMS:
        raise FieldInvalid("items", f"at most {MAX_PUT_ITEMS} in a call")
    sent = [(item.blob, item.data) for item in request.items]  # data is a copy each time
    total = sum(len(data) for _, data in sent)
    if total > limits.max_batch_put_bytes:
        raise TooLarge("items", total, limits.max_batch_put_bytes)
    faults = [_fault(f"items[{n}]", claimed, data) for n, (claimed, data) in enumerate(sent)]
    good = {
        claimed.digest: data
        for (claimed, data), fault in zip(sent, faults, strict=True)
        if fault is None
    }
    return faults, good


def _fault(field: str, claimed: Blob, data: bytes) -> ServiceError | None:
    actual = f"sha256:{hashlib.sha256(data).hexdigest()}"
    if claimed.digest != actual:
        return DigestMismatch(claimed.digest[:80], actual)
    if claimed.size_bytes != len(data):
        problem = f"{claimed.size_bytes}, but {len(data)} bytes came"
        return FieldInvalid(f"{field}.blob.size_bytes", problem)
    return None
