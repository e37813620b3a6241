"""ArtifactService: the bytes of blobs, and the trees that name them."""

from __future__ import annotations

import time
from collections.abc import Iterator

import grpc
from runwire.v1.artifact_pb2 import Blob
from runwire.v1.artifact_service_pb2 import (
    BatchGetArtifactsRequest,
    BatchGetArtifactsResponse,
    BatchPutBlobsRequest,
    BatchPutBlobsResponse,
    CommitArtifactsRequest,
    CommitArtifactsResponse,
    DeleteArtifactsRequest,
    DeleteArtifactsResponse,
    DownloadArtifactRequest,
    DownloadArtifactResponse,
    FindMissingBlobsRequest,
    FindMissingBlobsResponse,
    GetUploadRequest,
    GetUploadResponse,
    ListArtifactsRequest,
    ListArtifactsResponse,
    UploadBlobRequest,
    UploadBlobResponse,
)
from runwire.v1.artifact_service_pb2_grpc import ArtifactServiceServicer
from runwire.v1.server_service_pb2 import Limits

from runwire_server.blobs import BlobStore, blob_key, chunks
from runwire_server.errors import FieldInvalid, Quota
from runwire_server.retry import retrying
from runwire_server.services import artifact_batch
from runwire_server.services import upload as upload_call
from runwire_server.store import artifact, artifact_list, blob, small_blob, upload
from runwire_server.store.database import Database, Transaction
from runwire_server.store.experiment import workspace_of
from runwire_server.store.request import recall, remember
from runwire_server.store.times import to_proto

# A commit is one transaction, held in memory until the caller half-closes.
MAX_COMMIT_ARTIFACTS = 1_000_000
Context = grpc.ServicerContext


class ArtifactService(ArtifactServiceServicer):
    """``direct_s``: how long a signed URL of the blob store is good for; 0: none is given out."""

    def __init__(self, db: Database, blobs: BlobStore, limits: Limits, direct_s: int = 0):
        self._db, self._blobs, self._limits = db, blobs, limits
        self._direct_s = direct_s

    def FindMissingBlobs(
        self, request: FindMissingBlobsRequest, context: Context
    ) -> FindMissingBlobsResponse:
        workspace = workspace_of(request.workspace)
        with self._db.write() as tx:
            return FindMissingBlobsResponse(missing=blob.find_missing(tx, workspace, request.blobs))

    def BatchPutBlobs(
        self, request: BatchPutBlobsRequest, context: Context
    ) -> BatchPutBlobsResponse:
        return artifact_batch.put(self._db, self._blobs, self._limits, request)

    def BatchGetArtifacts(
        self, request: BatchGetArtifactsRequest, context: Context
    ) -> BatchGetArtifactsResponse:
        return artifact_batch.get(self._db, self._blobs, self._limits, request)

    def UploadBlob(
        self, request_iterator: Iterator[UploadBlobRequest], context: Context
    ) -> Iterator[UploadBlobResponse]:
        return upload_call.respond(self._db, self._blobs, self._limits, request_iterator)

    def GetUpload(self, request: GetUploadRequest, context: Context) -> GetUploadResponse:
        with self._db.read() as tx:
            found = upload.get(tx, workspace_of(request.workspace), request.upload_id)
        return GetUploadResponse(
            committed_size=found.committed_size,
            expire_time=to_proto(found.expire_time),
            stored=found.stored,
        )

    def DownloadArtifact(
        self, request: DownloadArtifactRequest, context: Context
    ) -> Iterator[DownloadArtifactResponse]:
        with self._db.read() as tx:
            workspace, found = _source(tx, request)
            small = small_blob.find(tx, workspace, [found.digest])
            generation = blob.generations(tx, workspace, [found.digest])[found.digest]
        offset, size = _range(request, found.size_bytes)
        key = blob_key(workspace, found.digest, generation)
        if small:
            blocks = iter([small[found.digest][offset : offset + size]] if size else [])
        elif self._direct_s and request.accept_location:
            yield DownloadArtifactResponse(blob=found, location=self._location(key))
            return
        else:
            blocks = self._blobs.stream(key, offset, size)
        response = DownloadArtifactResponse(blob=found)
        for start, data in chunks.split(blocks, offset, self._limits.blob_chunk_bytes):
            chunks.fill(response.chunk, start, data, request.accept_codecs)
            yield response
            response = DownloadArtifactResponse()
        if response.HasField("blob"):  # no bytes: an empty blob or range
            yield response

    def _location(self, key: str) -> DownloadArtifactResponse.Location:
        location = DownloadArtifactResponse.Location()
        location.expire_time.FromSeconds(int(time.time()) + self._direct_s)
        location.url = self._blobs.sign(key, self._direct_s)
        return location

    def CommitArtifacts(
        self, request_iterator: Iterator[CommitArtifactsRequest], context: Context
    ) -> CommitArtifactsResponse:
        whole = _gather(request_iterator)

        def commit() -> artifact.Tree:
            with self._db.write() as tx:
                return _commit(tx, whole)

        tree = retrying(commit)
        return CommitArtifactsResponse(
            tree_digest=tree.digest, files=tree.files, size_bytes=tree.size_bytes
        )

    def ListArtifacts(
        self, request: ListArtifactsRequest, context: Context
    ) -> ListArtifactsResponse:
        with self._db.read() as tx:
            owner = artifact.owner_to_read(tx, request.owner)
            listing = artifact_list.list_page(
                tx,
                owner,
                prefix=request.prefix,
                recursive=request.recursive,
                page_size=request.page_size,
                page_token=request.page_token,
            )
        return ListArtifactsResponse(**listing._asdict())

    def DeleteArtifacts(
        self, request: DeleteArtifactsRequest, context: Context
    ) -> DeleteArtifactsResponse:
        with self._db.write() as tx:
            owner = artifact.owner_to_change(tx, request.owner)
            return DeleteArtifactsResponse(files=artifact.delete(tx, owner, request.paths))


def _source(tx: Transaction, request: DownloadArtifactRequest) -> tuple[str, Blob]:
    """Whose blob to read: through a tree, or by digest in the caller's workspace."""
    if request.HasField("blob"):
        workspace = workspace_of(request.workspace)
        return workspace, blob.get(tx, workspace, request.blob.digest)
    owner = artifact.owner_to_read(tx, request.artifact.owner)
    found = artifact.get(tx, owner, request.artifact.path, field="artifact.path")
    if found.HasField("uri"):
        raise FieldInvalid("artifact.path", f"it is kept elsewhere, at {found.uri}")
    return artifact.workspace_of_owner(tx, owner), found.blob


def _range(request: DownloadArtifactRequest, size_bytes: int) -> tuple[int, int]:
    """Offset and size of what to send. A negative offset reaches back to the start at most."""
    offset = request.offset
    if offset < 0:
        offset = max(0, size_bytes + offset)
    if offset > size_bytes:
        raise FieldInvalid("offset", f"{offset}, but there are {size_bytes} bytes")
    if request.limit < 0:
        raise FieldInvalid("limit", "must not be negative")
    rest = size_bytes - offset
    return offset, min(request.limit, rest) if request.limit else rest


def _commit(tx: Transaction, whole: CommitArtifactsRequest) -> artifact.Tree:
    owner = artifact.owner_to_change(tx, whole.owner)
    if recall(tx, whole) is not None:
        return artifact.tree_digest(tx, owner)
    tree = artifact.commit(tx, owner, whole.artifacts, whole.mode)
    remember(tx, whole, owner)
    return tree


def _gather(requests: Iterator[CommitArtifactsRequest]) -> CommitArtifactsRequest:
    """The messages of one commit as a single one."""
    whole = next(requests, None)
    if whole is None:
        raise FieldInvalid("owner", "the first message must name it")
    if whole.mode not in CommitArtifactsRequest.Mode.values():
        raise FieldInvalid("mode", f"{whole.mode} is not a mode")
    for request in requests:
        whole.artifacts.extend(request.artifacts)
        if len(whole.artifacts) > MAX_COMMIT_ARTIFACTS:
            raise Quota("max_commit_artifacts", MAX_COMMIT_ARTIFACTS)
    return whole
