"""Sending files: hash, ask what is missing, send that, and only then name it."""

from __future__ import annotations

import hashlib
import io
import mimetypes
import threading
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from runwire import _artifact_chunk as chunks
from runwire._artifact_parallel import (
    PARALLEL,
    SMALL_BYTES,
    Meter,
    Progress,
    batches,
    run_all,
)
from runwire._artifact_path import walk
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

ASK_AT_ONCE = 5000


@dataclass(frozen=True)
class Source:
    """One file to send, or bytes in memory. Hashed once; it must not change meanwhile."""

    path: str
    content: Path | bytes
    blob: Blob
    modify_time_ns: int | None = None
    media_type: str = ""

    def open(self) -> BinaryIO:
        return (
            io.BytesIO(self.content) if isinstance(self.content, bytes) else self.content.open("rb")
        )

    def artifact(self) -> Artifact:
        media_type = self.media_type or mimetypes.guess_type(self.path)[0] or ""
        made = Artifact(path=self.path, blob=self.blob, media_type=media_type)
        if self.modify_time_ns is not None:
            made.modify_time.FromNanoseconds(self.modify_time_ns)
        return made


def sources(content: str | Path | bytes, artifact_path: str, media_type: str) -> list[Source]:
    """What to send of bytes, a file or a folder, hashed."""
    if isinstance(content, bytes):
        blob = Blob(digest=_name(hashlib.sha256(content)), size_bytes=len(content))
        return [Source(artifact_path, content, blob, None, media_type)]

    def hashed(found: tuple[str, Path]) -> Source:
        path, local = found
        with local.open("rb") as file:
            digest = _name(hashlib.file_digest(file, "sha256"))
            blob = Blob(digest=digest, size_bytes=file.tell())
        return Source(path, local, blob, local.stat().st_mtime_ns, media_type)

    with ThreadPoolExecutor(PARALLEL) as pool:
        return list(pool.map(hashed, walk(Path(content), artifact_path)))


def send(
    artifacts: Artifacts, found: Iterable[Source], workspace: str, progress: Progress | None
) -> None:
    """Send the bytes that the server lacks, several streams at a time."""
    by_digest = {source.blob.digest: source for source in found}
    meter = Meter(progress, sum(source.blob.size_bytes for source in by_digest.values()))
    missing = _missing(artifacts, by_digest, workspace)
    meter.add(sum(s.blob.size_bytes for d, s in by_digest.items() if d not in missing))
    small = [source for source in missing.values() if source.blob.size_bytes <= SMALL_BYTES]
    large = [source for source in missing.values() if source.blob.size_bytes > SMALL_BYTES]
    transfers = [
        partial(_put_batch, artifacts, batch, workspace, meter)
        for batch in batches(small, lambda source: source.blob.size_bytes)
    ]
    transfers += [partial(_put_large, artifacts, source, workspace, meter) for source in large]
    run_all(transfers, meter)


def _missing(
    artifacts: Artifacts, by_digest: dict[str, Source], workspace: str
) -> dict[str, Source]:
    blobs = [source.blob for source in by_digest.values()]
    missing: dict[str, Source] = {}
    for start in range(0, len(blobs), ASK_AT_ONCE):
        asked = blobs[start : start + ASK_AT_ONCE]
        for blob in artifacts.find_missing_blobs(asked, workspace=workspace):
            missing[blob.digest] = by_digest[blob.digest]
    return missing


def _put_batch(artifacts: Artifacts, batch: list[Source], workspace: str, meter: Meter) -> None:
    items = []
    for source in batch:
        with source.open() as file:
            data = file.read(source.blob.size_bytes)
        items.append(BatchPutBlobsRequest.Item(blob=source.blob, data=data))
    for result in artifacts.batch_put_blobs(items, workspace=workspace):
        if result.HasField("fault"):
            raise from_fault(result.fault)
    meter.add(sum(source.blob.size_bytes for source in batch))


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


def _name(digest: hashlib._Hash) -> str:
    return f"sha256:{digest.hexdigest()}"
