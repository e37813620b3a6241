"""``client.artifacts``: files of runs and of model versions.

One method for each call of ArtifactService, and two that do a whole transfer:
``put`` and ``get``. A tree is named by ``run_id``, or by ``model`` and ``version``.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from runwire import (
    _artifact_chunk,
    _artifact_direct,
    _artifact_get,
    _artifact_put,
    _artifact_verify,
)
from runwire._artifact_commit import in_messages
from runwire._artifact_parallel import Progress
from runwire._artifact_path import normal
from runwire._artifact_patience import Patience
from runwire._artifact_put import Source
from runwire._errors import NotFoundError, UnavailableError
from runwire._pager import Pager
from runwire.v1.artifact_pb2 import CODEC_ZSTD, Artifact, ArtifactOwner, Blob, ModelVersionKey
from runwire.v1.artifact_service_pb2 import (
    ArtifactPath,
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
from runwire.v1.artifact_service_pb2_grpc import ArtifactServiceStub
from runwire.v1.server_service_pb2 import GetServerInfoRequest
from runwire.v1.server_service_pb2_grpc import ServerServiceStub

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runwire._call import Caller

_MODES = {
    "merge": CommitArtifactsRequest.MODE_MERGE,
    "replace": CommitArtifactsRequest.MODE_REPLACE,
}
# At least, by a server that is busy; otherwise it is ten times as many.
COMMITTED_A_SECOND = 2000
# Of a page of some 1,000 bytes an entry at most, in a message of 4 MiB.
LISTED_AT_ONCE = 2500


class Artifacts:
    """The artifact calls of one client. Safe for threads."""

    def __init__(self, caller: Caller):
        self._caller = caller
        self._takes_zstd: bool | None = None
        self._may_go_direct = not caller.connection.is_local

    # Whole transfers ------------------------------------------------------------

    def put(
        self,
        run_id: str,
        content: str | Path | bytes,
        artifact_path: str = "",
        *,
        media_type: str = "",
        workspace: str = "",
        progress: Progress | None = None,
    ) -> CommitArtifactsResponse:
        """Send bytes, a file or a folder, and add it to a run.

        Bytes and a file become ``artifact_path`` itself (a file's own name where that is
        empty), a folder's files ``artifact_path/…``. Links to files are followed, links to
        folders are not; what is no regular file is left out. What the server has already
        is not sent again, and what a cut interrupts goes on at the acknowledged byte.
        The run shows all of it at the end, or nothing.

        ``workspace``: that of the run's experiment. ``progress(bytes_done, bytes_in_all)`` is
        called as the server acknowledges. Raises ``OSError`` for what cannot be read.
        """
        found = _artifact_put.sources(content, artifact_path, media_type)
        _artifact_put.send(self, found, self._in(workspace), progress)
        first = CommitArtifactsRequest(owner=ArtifactOwner(run_id=run_id))
        return self._commit(lambda: in_messages(first, found, Source.describe), len(found))

    def get(
        self,
        run_id: str = "",
        artifact_path: str = "",
        dst_path: str | Path = ".",
        *,
        model: str = "",
        version: int = 0,
        workspace: str = "",
        progress: Progress | None = None,
    ) -> Path:
        """Fetch a file, a directory, or ("") everything; returns where it lies.

        Files keep their whole artifact path below the folder ``dst_path``, which is made
        where it is missing. Each appears under its name when all its bytes have come and
        their digest is right. Artifacts kept elsewhere (by URI) are left out. Raises
        ``NotFoundError`` where nothing is at ``artifact_path``, and ``ValueError`` where a
        path of the server would leave ``dst_path``.
        """
        owner = self._owner(run_id, model, version, workspace)
        prefix, root = normal(artifact_path).removesuffix("/"), Path(dst_path)
        found = self._files(owner, prefix)
        root.mkdir(parents=True, exist_ok=True)
        get_batch = partial(self._batch_get, owner)
        _artifact_get.fetch(found, prefix, root, self._opener(owner), get_batch, progress)
        return root / prefix

    def verify(
        self,
        run_id: str = "",
        artifact_path: str = "",
        *,
        model: str = "",
        version: int = 0,
        workspace: str = "",
        progress: Progress | None = None,
    ) -> dict[str, str]:
        """Read a file, a directory, or ("") everything, and check all digests; nothing is
        kept. Returns what is wrong, by path. Raises ``NotFoundError`` as ``get`` does."""
        owner = self._owner(run_id, model, version, workspace)
        found = self._files(owner, normal(artifact_path).removesuffix("/"))
        get_batch = partial(self._batch_get, owner)
        return _artifact_verify.verify(found, self._opener(owner), get_batch, progress)

    # One call each --------------------------------------------------------------

    def find_missing_blobs(self, blobs: Iterable[Blob], *, workspace: str = "") -> Sequence[Blob]:
        """Those of the blobs that the workspace has not. Renews the lease of the others."""
        request = FindMissingBlobsRequest(workspace=self._in(workspace), blobs=blobs)
        response: FindMissingBlobsResponse = self._unary("FindMissingBlobs", request)
        return response.missing

    def batch_put_blobs(
        self, items: Iterable[BatchPutBlobsRequest.Item], *, workspace: str = ""
    ) -> Sequence[BatchPutBlobsResponse.Result]:
        """Store small blobs, 2 MiB together at most. A result per item; see its ``fault``."""
        request = BatchPutBlobsRequest(workspace=self._in(workspace), items=items)
        response: BatchPutBlobsResponse = self._unary("BatchPutBlobs", request)
        return response.results

    def batch_get(
        self,
        run_id: str = "",
        paths: Sequence[str] = (),
        *,
        model: str = "",
        version: int = 0,
        workspace: str = "",
    ) -> Sequence[BatchGetArtifactsResponse.Item]:
        """Small files whole, 1,000 and 2 MiB together at most. An item per path; see its
        ``fault``. ``get`` checks their digests."""
        owner = self._owner(run_id, model, version, workspace)
        return self._batch_get(owner, paths)

    def upload_blob(self, requests: Iterable[UploadBlobRequest]) -> Generator[UploadBlobResponse]:
        """The raw stream of one upload's responses; ``put`` does all of this.

        The server answers ``open`` before it wants a chunk, and ends after ``stored``. Close
        the stream where it is not read to its end.
        """
        return self._caller.stream(ArtifactServiceStub, "UploadBlob", iter(requests))

    def get_upload(self, upload_id: str, *, workspace: str = "") -> GetUploadResponse:
        """How many bytes of an upload are durable, and what became of it."""
        request = GetUploadRequest(workspace=self._in(workspace), upload_id=upload_id)
        response: GetUploadResponse = self._unary("GetUpload", request)
        return response

    def download(
        self,
        run_id: str = "",
        artifact_path: str = "",
        *,
        model: str = "",
        version: int = 0,
        digest: str = "",
        workspace: str = "",
        offset: int = 0,
        limit: int = 0,
    ) -> Download:
        """A file, or a blob by its digest, as a stream of bytes.

        ``offset``: first byte, negative counts from the end; ``limit``: bytes at most, 0
        to the end. A range cannot be checked against the digest; ``get`` checks whole files.
        """
        request = DownloadArtifactRequest(offset=offset, limit=limit)
        if digest:
            request.workspace, request.blob.digest = self._in(workspace), digest
        else:
            request.artifact.owner.CopyFrom(self._owner(run_id, model, version, workspace))
            request.artifact.path = artifact_path
        return self._download(request)

    def commit(
        self,
        run_id: str,
        artifacts: Iterable[Artifact],
        *,
        mode: Literal["merge", "replace"] = "merge",
        request_id: str = "",
    ) -> CommitArtifactsResponse:
        """Point paths of a run at blobs that are stored, all or nothing.

        ``merge`` adds and overwrites paths, ``replace`` leaves these and no others. Tried
        again where the connection fails: a repeat leads to the same tree.
        """
        owner = ArtifactOwner(run_id=run_id)
        first = CommitArtifactsRequest(owner=owner, mode=_MODES[mode], request_id=request_id)
        sent = list(artifacts)
        return self._commit(lambda: in_messages(first, sent, _copy), len(sent))

    def _commit(
        self, requests: Callable[[], Iterator[CommitArtifactsRequest]], files: int
    ) -> CommitArtifactsResponse:
        patience, timeout_s = Patience(), self._caller.timeout_s + files / COMMITTED_A_SECOND
        while True:
            try:
                tree: CommitArtifactsResponse = self._caller.unary(
                    ArtifactServiceStub, "CommitArtifacts", requests(), timeout_s=timeout_s
                )
                return tree
            except UnavailableError as error:
                patience.wait(error)

    def list(
        self,
        run_id: str = "",
        prefix: str = "",
        *,
        recursive: bool = False,
        model: str = "",
        version: int = 0,
        workspace: str = "",
        page_size: int = 0,
        page_token: str = "",
    ) -> Pager[Artifact, ListArtifactsResponse]:
        """The files under a directory (or one file, or "" for the root), by path.

        Not ``recursive``, its directories come too: as artifacts with neither blob nor URI.
        """
        owner = self._owner(run_id, model, version, workspace)
        return self._list(owner, prefix.removesuffix("/"), recursive, page_size, page_token)

    def _list(
        self,
        owner: ArtifactOwner,
        prefix: str,
        recursive: bool,
        page_size: int = 0,
        page_token: str = "",
    ) -> Pager[Artifact, ListArtifactsResponse]:
        def fetch(token: str) -> ListArtifactsResponse:
            request = ListArtifactsRequest(
                owner=owner,
                prefix=prefix,
                recursive=recursive,
                page_size=page_size,
                page_token=token,
            )
            response: ListArtifactsResponse = self._unary("ListArtifacts", request)
            return response

        return Pager(fetch, _entries, page_token)

    def delete(self, run_id: str, paths: str | Sequence[str]) -> int:
        """Remove files, and all under directories; returns how many files went."""
        owner = ArtifactOwner(run_id=run_id)
        request = DeleteArtifactsRequest(
            owner=owner, paths=[paths] if isinstance(paths, str) else paths
        )
        response: DeleteArtifactsResponse = self._unary("DeleteArtifacts", request)
        return response.files

    def _files(self, owner: ArtifactOwner, prefix: str) -> Sequence[Artifact]:
        """Those whose bytes the server has. Raises ``NotFoundError`` for a prefix of none."""
        listed = self._list(owner, prefix, recursive=True, page_size=LISTED_AT_ONCE)
        found = [artifact for artifact in listed if artifact.HasField("blob")]
        if prefix and not found:
            named = {"kind": "artifact", "key": prefix}
            raise NotFoundError(f"no artifact {prefix!r}", reason="NOT_FOUND", metadata=named)
        return found

    def _opener(self, owner: ArtifactOwner) -> _artifact_get.Open:
        def open_at(path: str, offset: int) -> Download:
            source = ArtifactPath(owner=owner, path=path)
            request = DownloadArtifactRequest(artifact=source, offset=offset)
            request.accept_location = self._may_go_direct
            return self._download(request)

        return open_at

    def _read_direct(self, url: str, offset: int) -> Iterator[bytes]:
        """Where no byte comes, the blob store cannot be reached from here: never again."""
        is_reached = False
        try:
            for data in _artifact_direct.read(url, offset):
                is_reached = True
                yield data
        except UnavailableError:
            self._may_go_direct = is_reached
            raise

    def _in(self, workspace: str) -> str:
        return workspace or self._caller.workspace

    def _owner(self, run_id: str, model: str, version: int, workspace: str) -> ArtifactOwner:
        if not model:
            return ArtifactOwner(run_id=run_id)
        key = ModelVersionKey(model=model, version=version, workspace=self._in(workspace))
        return ArtifactOwner(model_version=key)

    def _unary(self, method: str, request: Message | Iterable[Message]) -> Any:
        return self._caller.unary(ArtifactServiceStub, method, request)

    def _batch_get(
        self, owner: ArtifactOwner, paths: Sequence[str]
    ) -> Sequence[BatchGetArtifactsResponse.Item]:
        request = BatchGetArtifactsRequest(owner=owner, paths=paths)
        response: BatchGetArtifactsResponse = self._unary("BatchGetArtifacts", request)
        return response.items

    def _download(self, request: DownloadArtifactRequest) -> Download:
        if self._is_worth_packing():
            request.accept_codecs.append(CODEC_ZSTD)
        responses = self._caller.stream(ArtifactServiceStub, "DownloadArtifact", request)
        return Download(responses, lambda url: self._read_direct(url, request.offset))

    def takes_zstd(self) -> bool:
        """Whether to pack chunks for this server: asked of it once."""
        if self._takes_zstd is None:
            features: Sequence[str] = ()
            if self._is_worth_packing():
                features = self._caller.unary(
                    ServerServiceStub, "GetServerInfo", GetServerInfoRequest()
                ).features
            self._takes_zstd = "artifacts.zstd" in features
        return self._takes_zstd

    def _is_worth_packing(self) -> bool:
        """Nothing is between us and a local store."""
        return not self._caller.connection.is_local and bool(_artifact_chunk.zstandard())


class Download:
    """Bytes on their way: iterate, or ``read``. ``blob`` tells digest and size of the whole."""

    def __init__(
        self,
        responses: Generator[DownloadArtifactResponse],
        read_direct: Callable[[str], Iterator[bytes]],
    ):
        self._responses, self._read_direct = responses, read_direct
        self._first: DownloadArtifactResponse = next(responses)
        self.blob = self._first.blob

    def __iter__(self) -> Iterator[bytes]:
        """In the order of offsets. Raises ``RunwireError`` where a chunk is not as it was sent."""
        if self._first.HasField("location"):
            yield from self._read_direct(self._first.location.url)
            return
        offset: int | None = None
        for response in chain([self._first], self._responses):
            if response.HasField("chunk"):
                offset = response.chunk.offset if offset is None else offset
                data = _artifact_chunk.check(response.chunk, offset)
                offset += len(data)
                yield data

    def read(self) -> bytes:
        """All of it, in memory."""
        return b"".join(self)

    def close(self) -> None:
        """End the call before the last byte. Nothing happens where it has ended."""
        self._responses.close()


def _entries(page: ListArtifactsResponse) -> Sequence[Artifact]:
    directories = [Artifact(path=path) for path in page.directories]
    return sorted([*page.artifacts, *directories], key=lambda one: one.path.encode())


def _copy(artifact: Artifact, into: Artifact) -> None:
    into.CopyFrom(artifact)
