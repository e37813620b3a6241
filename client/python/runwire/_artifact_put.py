"""Sending files: in groups, hash, ask what is missing and send that; and only then name all."""

from __future__ import annotations

import hashlib
import io
import mimetypes
import threading
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from runwire import _artifact_chunk as chunks
from runwire._artifact_parallel import (
    BATCH_BYTES,
    BATCH_FILES,
    SMALL_BYTES,
    Meter,
    Progress,
    batches,
    run_all,
)
from runwire._artifact_path import regular
from runwire._artifact_patience import Patience
from runwire._errors import NotFoundError, RunwireError, UnavailableError, from_fault
from runwire.v1.artifact_pb2 import Artifact, Blob
from runwire.v1.artifact_service_pb2 import (
    BatchPutBlobsRequest,
    UploadBlobRequest,
    UploadBlobResponse,
)

if TYPE_CHECKING:
    from runwire._artifact import Artifacts

# Of small files that are hashed and asked for together.
GROUP_BYTES = 4 << 20
GROUP_FILES = 1000


@dataclass(slots=True)
class Source:
    """One file to send, or bytes in memory. Hashed once; a large one must not change meanwhile.

    There may be very many: no bytes of a file are kept here, and no message.
    """

    path: str
    content: Path | bytes
    size_bytes: int
    modify_time_ns: int | None = None
    media_type: str = ""
    digest: str = ""

    @property
    def blob(self) -> Blob:
        return Blob(digest=self.digest, size_bytes=self.size_bytes)

    def open(self) -> BinaryIO:
        if isinstance(self.content, bytes):
            return io.BytesIO(self.content)
        return self.content.open("rb", buffering=0)

    def hash(self) -> bytes | None:
        """Take digest and size as they are now. Returns the bytes of a small one."""
        if isinstance(self.content, bytes):
            return self._take(self.content)
        with self.content.open("rb", buffering=0) as file:
            if self.size_bytes <= SMALL_BYTES:
                return self._take(file.read())
            self.digest = _name(hashlib.file_digest(file, "sha256"))
            self.size_bytes = file.tell()
        return None

    def _take(self, data: bytes) -> bytes | None:
        self.digest, self.size_bytes = _name(hashlib.sha256(data)), len(data)
        return data if len(data) <= SMALL_BYTES else None

    def describe(self, artifact: Artifact) -> None:
        """Fill in the message that points its path at its bytes."""
        artifact.path, artifact.media_type = self.path, self.media_type or _media_type(self.path)
        artifact.blob.digest, artifact.blob.size_bytes = self.digest, self.size_bytes
        if self.modify_time_ns is not None:
            artifact.modify_time.FromNanoseconds(self.modify_time_ns)


def sources(content: str | Path | bytes, artifact_path: str, media_type: str) -> list[Source]:
    """What to send of bytes, a file or a folder."""
    if isinstance(content, bytes):
        return [Source(artifact_path, content, len(content), None, media_type)]
    return [
        Source(path, local, found.st_size, found.st_mtime_ns, media_type)
        for path, local, found in regular(Path(content), artifact_path)
    ]


def send(
    artifacts: Artifacts, found: Iterable[Source], workspace: str, progress: Progress | None
) -> None:
    """Hash them and send the bytes that the server lacks, several groups at a time.

    In memory are the bytes of the groups under way. A file that is large is a group.
    """
    files = list(found)
    meter = Meter(progress, sum(source.size_bytes for source in files))
    first: dict[str, Source] = {}
    groups = batches(files, lambda source: source.size_bytes, GROUP_BYTES, GROUP_FILES)
    run_all(
        (partial(_send_group, artifacts, group, workspace, first, meter) for group in groups), meter
    )


def _send_group(
    artifacts: Artifacts,
    group: list[Source],
    workspace: str,
    first: dict[str, Source],
    meter: Meter,
) -> None:
    """``first``: who brings the bytes of a digest, of all groups; the others need not."""
    kept: dict[str, bytes] = {}
    for source in group:
        size = source.size_bytes
        data = source.hash()
        meter.expect(source.size_bytes - size)
        if data is not None:
            kept[source.digest] = data
    own = {s.digest: s for s in group if first.setdefault(s.digest, s) is s}
    asked = artifacts.find_missing_blobs(
        (source.blob for source in own.values()), workspace=workspace
    )
    missing = [own[blob.digest] for blob in asked]
    meter.add(sum(s.size_bytes for s in group) - sum(s.size_bytes for s in missing))
    small = [source for source in missing if source.digest in kept]
    for batch in batches(small, lambda source: source.size_bytes, BATCH_BYTES, BATCH_FILES):
        _put_batch(artifacts, [(source, kept[source.digest]) for source in batch], workspace, meter)
    for source in missing:
        if source.digest not in kept:
            _put_large(artifacts, source, workspace, meter)


def _put_batch(
    artifacts: Artifacts, batch: list[tuple[Source, bytes]], workspace: str, meter: Meter
) -> None:
    items = (BatchPutBlobsRequest.Item(blob=source.blob, data=data) for source, data in batch)
    for result in artifacts.batch_put_blobs(items, workspace=workspace):
        if result.HasField("fault"):
            raise from_fault(result.fault)
    meter.add(sum(source.size_bytes for source, _ in batch))


def _put_large(artifacts: Artifacts, source: Source, workspace: str, meter: Meter) -> None:
    """One blob, through cuts, from the byte that the server has acknowledged."""
    upload_id, counted, patience = "", 0, Patience()
    while True:
        stream = UploadStream(source, workspace, upload_id, pack=artifacts.takes_zstd())
        try:
            with closing(stream.run(artifacts)) as sizes:
                for durable in sizes:
                    if durable > counted:
                        patience.progress()
                    meter.add(max(0, durable - counted))
                    counted = max(counted, durable)
            return
        except NotFoundError as error:
            if not stream.upload_id:
                raise
            stream.upload_id = ""  # the server has forgotten it: once more from the start
            patience.wait(error, again=True)
        except RunwireError as error:
            patience.wait(error)
        upload_id = stream.upload_id


class UploadStream:
    """One call of ``UploadBlob``. grpc asks for the requests in a thread of its own.

    Each call opens the file anew: the thread of a call that was cut may still read.
    """

    def __init__(self, source: Source, workspace: str, upload_id: str, *, pack: bool = False):
        self._source, self._workspace, self._pack = source, workspace, pack
        self.upload_id = upload_id
        self._answered = threading.Event()
        self._opened: UploadBlobResponse.Opened | None = None
        self._failure: OSError | None = None

    def run(self, artifacts: Artifacts) -> Generator[int]:
        """The acknowledged size in bytes, again and again until all of it is stored."""
        responses = artifacts.upload_blob(self._requests())
        try:
            for response in responses:
                if response.HasField("stored"):
                    yield response.stored.blob.size_bytes
                    return
                if response.HasField("opened"):
                    self._opened = response.opened
                    self.upload_id = self._opened.upload_id
                    self._answered.set()
                    yield self._opened.committed_size
                else:
                    yield response.progress.committed_size
            raise self._failure or UnavailableError("the server ended an upload")
        finally:
            self._opened = None
            self._answered.set()

    def _requests(self) -> Iterator[UploadBlobRequest]:
        yield UploadBlobRequest(
            open=UploadBlobRequest.Open(
                workspace=self._workspace, upload_id=self.upload_id, blob=self._source.blob
            )
        )
        self._answered.wait()
        opened = self._opened
        if opened is None:
            return
        try:
            yield from self._chunks(opened)
        except OSError as error:  # half-close, and let the other thread tell
            self._failure = error
            return
        yield UploadBlobRequest(finish=UploadBlobRequest.Finish(blob=self._source.blob))

    def _chunks(self, opened: UploadBlobResponse.Opened) -> Iterator[UploadBlobRequest]:
        """What was hashed, not what a file has grown by since."""
        offset, size = opened.committed_size, self._source.blob.size_bytes
        with self._source.open() as file:
            file.seek(offset)
            while data := file.read(min(opened.chunk_bytes, size - offset)):
                request = UploadBlobRequest()
                chunks.fill(request.chunk, offset, data, pack=self._pack)
                yield request
                offset += len(data)


def _media_type(path: str) -> str:
    return mimetypes.guess_type(path)[0] or ""


def _name(digest: hashlib._Hash) -> str:
    return f"sha256:{digest.hexdigest()}"
