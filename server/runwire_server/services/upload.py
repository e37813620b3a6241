"""One call of ``UploadBlob``: chunks in, acknowledgements out.

What is acknowledged is durable in the blob store and noted in the database, so that
another call, after a cut or a restart of the server, goes on from there. Bytes count
once: the digest is taken from what was stored, never from what a caller says.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import closing, suppress

from runwire.v1.artifact_pb2 import Blob, Chunk
from runwire.v1.artifact_service_pb2 import UploadBlobRequest, UploadBlobResponse
from runwire.v1.server_service_pb2 import Limits

from runwire_server.blobs import BlobStore, blob_key, chunks
from runwire_server.blobs.hasher import Hasher
from runwire_server.errors import (
    DigestMismatch,
    FieldInvalid,
    OffsetGap,
    Overloaded,
    ServiceError,
    StorageUnavailable,
    TooLarge,
)
from runwire_server.retry import retrying
from runwire_server.store import blob, upload
from runwire_server.store.database import Database
from runwire_server.store.experiment import workspace_of
from runwire_server.store.upload import Upload

# Bytes and seconds between two acknowledgements: each costs a sync of the disk and a
# transaction. However fast they come, no more than so many wait for one.
PROGRESS_BYTES, PROGRESS_S = 8 << 20, 0.2
MOST_PROGRESS_BYTES = 64 << 20
# Between two looks at whether the holder of an upload lives. One whose client has just died may
# write down what had arrived before: what is seen in the first looks says nothing.
LOOK_S, DYING_LOOKS = 0.25, 8
pause = time.sleep


class UploadCall:
    """Holds an upload for as long as its call lives."""

    def __init__(self, db: Database, blobs: BlobStore, limits: Limits, held: Upload):
        self._db, self._blobs, self._limits = db, blobs, limits
        self._upload = held
        self._size = 0
        self._flushed, self._flush_time = 0, 0.0
        self._touch_time = time.monotonic()
        self._writer = blobs.begin_segment(held.upload_id, held.holder)
        self._hasher = Hasher()

    def read_back(self) -> None:
        """Hash what was acknowledged before. Of much that takes a while, in which others hear
        that the call lives."""
        held = self._upload
        for segment in held.segments:
            for piece in self._blobs.pieces(held.upload_id, *segment):
                for data in self._blobs.stream(piece.key, 0, piece.size_bytes):
                    self._count(data)
                    self._touch()
        self._flushed = self._size

    def append(self, chunk: Chunk) -> bool:
        """Take the next chunk; true where more is durable than was acknowledged, or others
        should hear that the call lives."""
        if chunk.offset != self._size:
            raise OffsetGap(chunk.offset, self._upload.committed_size)
        data = chunks.decode(chunk, self._limits.max_message_bytes)
        size = self._size + len(data)
        if size > self._limits.max_blob_bytes:
            self._fail(TooLarge("chunk", size, self._limits.max_blob_bytes))
        declared = self._upload.declared
        if declared.digest and size > declared.size_bytes:
            problem = f"the blob was declared with {declared.size_bytes} bytes, and there are more"
            self._fail(FieldInvalid("open.blob.size_bytes", problem))
        self._writer.write(data)
        self._count(data)
        if self._is_flush_due():
            self._writer.flush()
            self._flushed, self._flush_time = size, time.monotonic()
        is_ahead = self._writer.durable() > self._upload.segments[-1].size_bytes
        return is_ahead or self._is_touch_due()

    def acknowledge(self, *, last: bool = False) -> UploadBlobResponse:
        """``Progress``; or ``Stored``, where another call has stored the same bytes meanwhile.

        ``last``: no chunk will follow in this call.
        """
        durable = self._writer.sync() if last else self._writer.durable()

        def note() -> tuple[Upload, Blob | None]:
            with self._db.write() as tx:
                held = upload.acknowledge(tx, self._upload, durable)
                return held, blob.hold(tx, held.workspace, held.declared.digest)

        self._touch_time = time.monotonic()
        self._upload, stored = retrying(note)
        if stored is not None:
            self.discard()
            return _stored(stored, existed=True)
        progress = UploadBlobResponse.Progress(committed_size=self._upload.committed_size)
        return UploadBlobResponse(progress=progress)

    def finish(self, claimed: Blob) -> UploadBlobResponse:
        """Store the whole. What the caller claims must be true, or nothing is kept."""
        actual = Blob(digest=self._hasher.digest(), size_bytes=self._size)
        self._check_claims(claimed, actual)
        durable = self._writer.seal()
        workspace, upload_id = self._upload.workspace, self._upload.upload_id
        generation = blob.new_generation()
        key = blob_key(workspace, actual.digest, generation)

        def hold() -> tuple[Upload, Blob | None]:
            with self._db.write() as tx:
                held = upload.acknowledge(tx, self._upload, durable)
                stored = blob.hold(tx, workspace, actual.digest)
                if stored is not None:
                    upload.finish(tx, held, stored)
                return held, stored

        def note() -> set[str]:
            with self._db.write() as tx:
                sizes = {actual.digest: actual.size_bytes}
                needless = blob.add(tx, workspace, sizes, generation)
                upload.finish(tx, self._upload, actual)
                return needless

        self._upload, existing = retrying(hold)
        if existing is None:
            self._assemble(key)
            if retrying(note):  # somebody else was first
                self._blobs.delete(key)
        self.close()
        self._blobs.drop_upload(upload_id)
        return _stored(actual, existed=existing is not None)

    def discard(self) -> None:
        """Forget the upload and its bytes, unless another call has it by now."""
        self.close()

        def forget() -> bool:
            with self._db.write() as tx:
                return upload.discard(tx, self._upload)

        if retrying(forget):
            self._blobs.drop_upload(self._upload.upload_id)

    def release(self) -> None:
        """Let another call go on from what was acknowledged."""

        def note() -> None:
            with self._db.write() as tx:
                upload.release(tx, self._upload)

        with suppress(ServiceError):  # it would be idle for a while, that is all
            retrying(note)

    def close(self) -> None:
        self._hasher.close()
        self._writer.close()

    def _touch(self) -> None:
        """Where it is due, note that the call lives, which has written nothing so far."""

        def note() -> Upload:
            with self._db.write() as tx:
                return upload.acknowledge(tx, self._upload, 0)

        if self._is_touch_due():
            self._touch_time = time.monotonic()
            self._upload = retrying(note)

    def _is_touch_due(self) -> bool:
        return time.monotonic() - self._touch_time >= upload.TOUCH_S

    def _is_flush_due(self) -> bool:
        waiting = self._size - self._flushed
        rested = time.monotonic() - self._flush_time >= PROGRESS_S
        return waiting >= MOST_PROGRESS_BYTES or (waiting >= PROGRESS_BYTES and rested)

    def _count(self, data: bytes) -> None:
        self._hasher.update(data)
        self._size += len(data)

    def _check_claims(self, claimed: Blob, actual: Blob) -> None:
        for field, blob_claimed in (("open", self._upload.declared), ("finish", claimed)):
            if blob_claimed.digest and blob_claimed.digest != actual.digest:
                self._fail(DigestMismatch(blob_claimed.digest, actual.digest))
            said = blob_claimed.size_bytes
            if said != actual.size_bytes and (said or blob_claimed.digest):
                problem = f"{said}, but {actual.size_bytes} bytes came"
                self._fail(FieldInvalid(f"{field}.blob.size_bytes", problem))

    def _fail(self, error: ServiceError) -> None:
        self.discard()
        if self._upload.is_adopted:
            # The fault may be of who began it. Whoever comes again finds it gone and begins one
            # of his own, where a fault is his.
            raise Overloaded(what="an upload that another sender began was wrong") from error
        raise error

    def _assemble(self, key: str) -> None:
        held = self._upload
        segments = [segment for segment in held.segments if segment.size_bytes]
        pieces = [
            piece for segment in segments for piece in self._blobs.pieces(held.upload_id, *segment)
        ]
        if sum(piece.size_bytes for piece in pieces) != self._size:
            raise StorageUnavailable("an upload is not whole")
        self.close()
        # The bytes of former calls are copied: one of them may still have a file open.
        own = [segment.name for segment in segments] == [held.holder]
        self._blobs.assemble(pieces, key, take=own)


def respond(
    db: Database, blobs: BlobStore, limits: Limits, requests: Iterator[UploadBlobRequest]
) -> Iterator[UploadBlobResponse]:
    """The answers to one stream. It ends after ``Stored``, or where the caller half-closes."""
    first = next(requests, None)
    if first is None or not first.HasField("open"):
        raise FieldInvalid("open", "it must be the first message")
    if first.open.blob.digest:
        blob.check_digest("open.blob.digest", first.open.blob.digest)
        if not first.open.upload_id:
            _wait_for_the_dead(db, first.open)
    held, stored = retrying(lambda: _open(db, limits, first.open))
    if held is None:
        if first.open.upload_id:
            blobs.drop_upload(first.open.upload_id)
        yield _stored(stored, existed=True)
        return
    with closing(UploadCall(db, blobs, limits, held)) as call:
        try:
            call.read_back()
            yield _opened(held, limits)
            yield from _answers(call, requests)
        finally:  # whatever ended it, most often a cut: the next call goes on at once
            call.release()


def _answers(
    call: UploadCall, requests: Iterator[UploadBlobRequest]
) -> Iterator[UploadBlobResponse]:
    for request in requests:
        if request.HasField("finish"):
            yield call.finish(request.finish.blob)
            return
        if not request.HasField("chunk"):
            raise FieldInvalid("message", "a chunk or finish must follow open")
        if call.append(request.chunk):
            answer = call.acknowledge()
            yield answer
            if answer.HasField("stored"):
                return
    yield call.acknowledge(last=True)


def _wait_for_the_dead(db: Database, opening: UploadBlobRequest.Open) -> None:
    """Where an upload of the same bytes has a holder, wait to see whether it lives.

    One that does shows it within seconds, and both go on beside each other. One whose client or
    server was killed does not, until its upload is free: then the caller takes that over, in
    place of sending again what was acknowledged.
    """
    workspace = workspace_of(opening.workspace)

    def held() -> dict[str, int]:
        with db.read() as tx:
            return upload.held(tx, workspace, opening.blob.digest)

    before, looks = held(), 0
    while before:
        pause(LOOK_S)
        looks += 1
        now = held()
        if before.keys() - now.keys() or (looks > DYING_LOOKS and now != before):
            return
        before = now


def _open(
    db: Database, limits: Limits, opening: UploadBlobRequest.Open
) -> tuple[Upload | None, Blob]:
    """An upload held by this call; or None, and the blob that is stored already."""
    declared = opening.blob
    if not 0 <= declared.size_bytes <= limits.max_blob_bytes:
        raise TooLarge("open.blob.size_bytes", declared.size_bytes, limits.max_blob_bytes)
    workspace = workspace_of(opening.workspace)
    with db.write() as tx:
        if opening.upload_id:
            held = upload.take_over(tx, workspace, opening.upload_id)
            stored = held.stored or blob.hold(tx, workspace, held.declared.digest)
            if stored is None:
                return held, declared
            upload.finish(tx, held, stored)
            return None, stored
        if not declared.digest:
            return upload.create(tx, workspace, declared), declared
        renewed = blob.renew(tx, workspace, [declared.digest])
        if renewed:
            return None, Blob(digest=declared.digest, size_bytes=renewed[declared.digest])
        adopted = upload.adopt(tx, workspace, declared.digest)
        return adopted or upload.create(tx, workspace, declared), declared


def _opened(held: Upload, limits: Limits) -> UploadBlobResponse:
    opened = UploadBlobResponse.Opened(
        upload_id=held.upload_id,
        committed_size=held.committed_size,
        chunk_bytes=limits.blob_chunk_bytes,
    )
    opened.expire_time.FromMicroseconds(held.expire_time)
    return UploadBlobResponse(opened=opened)


def _stored(stored: Blob, *, existed: bool) -> UploadBlobResponse:
    return UploadBlobResponse(stored=UploadBlobResponse.Stored(blob=stored, existed=existed))
