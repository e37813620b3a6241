"""Blobs in a local folder.

Not through fsspec, whose local files know neither fsync nor a durable rename: a blob
is written under another name, synced, renamed, and its folder synced. One that is an
upload's only segment gets a second name: the segment stays until the upload is dropped, so
that who dies before the blob is noted leaves an upload that can be gone on with.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import stat
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from runwire_server.blobs.store import (
    READ_BYTES,
    BlobStore,
    Entry,
    Piece,
    SegmentWriter,
    unavailable,
    upload_folder,
)
from runwire_server.errors import StorageUnavailable

# Chunks of an upload that wait for the disk; their memory is the upload's.
MOST_WRITES = 4
# Only where a link cannot be given a second name itself (see ``_no_link``).
_FOLLOWS = os.link not in os.supports_follow_symlinks


class FolderStore(BlobStore):
    """``root/blobs/…`` and ``root/uploads/…``; made when first written."""

    def __init__(self, root: Path):
        self._root = root.absolute()

    def put(self, key: str, data: bytes) -> None:
        with _translated(), self._written(key) as file:
            file.write(data)

    def stream(self, key: str, offset: int, size: int) -> Iterator[bytes]:
        with _translated(), open(self._root / key, "rb", 0, opener=_no_link) as file:
            file.seek(offset)
            while size:
                data = file.read(min(size, READ_BYTES))
                if not data:
                    raise StorageUnavailable(f"blob {key} is shorter than it was")
                size -= len(data)
                yield data

    def stat(self, key: str) -> int | None:
        with _translated():
            try:
                found = (self._root / key).lstat()
            except FileNotFoundError:
                return None
            return found.st_size if stat.S_ISREG(found.st_mode) else None

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        for folder, _, names in os.walk(self._root / prefix):
            for name in names:
                path = Path(folder, name)
                with contextlib.suppress(FileNotFoundError):  # it went meanwhile
                    found = path.lstat()
                    key = path.relative_to(self._root).as_posix()
                    yield Entry(key, found.st_size, found.st_mtime)

    def delete(self, key: str) -> None:
        with _translated():
            (self._root / key).unlink(missing_ok=True)

    def check(self) -> None:
        probe = self._root / f".probe-{secrets.token_hex(4)}"
        with _translated():
            _make_folder(self._root)
            try:
                probe.write_bytes(b"?")
            finally:
                probe.unlink(missing_ok=True)

    def begin_segment(self, upload_id: str, name: str) -> SegmentWriter:
        with _translated():
            return _FileSegment(self._root / upload_folder(upload_id) / name)

    def pieces(self, upload_id: str, name: str, size_bytes: int) -> Sequence[Piece]:
        return [Piece(f"{upload_folder(upload_id)}/{name}", size_bytes)] if size_bytes else []

    def assemble(self, pieces: Sequence[Piece], key: str, *, take: bool) -> None:
        with _translated():
            if take and len(pieces) == 1 and self._link(pieces[0].key, key):
                return
            with self._written(key) as file:
                for piece in pieces:
                    for data in self.stream(piece.key, 0, piece.size_bytes):
                        file.write(data)

    def drop_upload(self, upload_id: str) -> None:
        with _translated(), contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._root / upload_folder(upload_id))

    @contextmanager
    def _written(self, key: str) -> Iterator[BinaryIO]:
        """A file that is under ``key``, whole and durable, after the block; or not at all."""
        target = self._root / key
        _make_folder(target.parent)
        temporary = _beside(target)
        try:
            with temporary.open("xb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            self._rename(temporary, target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def _link(self, key: str, other: str) -> bool:
        """Give a synced file another name, whatever has that now. False where links are not to
        be had: not on every file system, not across two, nor any number of them."""
        target = self._root / other
        _make_folder(target.parent)
        temporary = _beside(target)
        try:
            os.link(self._root / key, temporary, follow_symlinks=_FOLLOWS)
        except OSError:
            return False
        try:
            self._rename(temporary, target)
        finally:  # a rename onto the same file leaves both names
            temporary.unlink(missing_ok=True)
        return True

    def _rename(self, source: Path, target: Path) -> None:
        source.replace(target)
        _sync_folder(target.parent)


class _FileSegment(SegmentWriter):
    """A file that only grows. Writing and syncing have a thread each, so that neither the
    next chunk's network and hash nor the next write waits for the disk."""

    def __init__(self, path: Path):
        _make_folder(path.parent)
        self._file = path.open("xb", buffering=0)
        self._taken = self._durable = 0
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="write")
        self._syncer = ThreadPoolExecutor(1, thread_name_prefix="sync")
        self._writes: deque[Future[None]] = deque()
        self._sync: Future[None] | None = None
        self._failure: OSError | None = None
        _sync_folder(path.parent)

    def write(self, data: bytes) -> None:
        while len(self._writes) >= MOST_WRITES:
            self._settle_write()
        self._taken += len(data)
        self._writes.append(self._writer.submit(self._write, data))

    def flush(self) -> None:
        if self._sync is not None:
            self._settle_sync()
        last = self._writes[-1] if self._writes else None
        self._sync = self._syncer.submit(self._sync_after, last, self._taken)

    def durable(self) -> int:
        if self._sync is not None and self._sync.done():
            self._settle_sync()
        return self._durable

    def sync(self) -> int:
        while self._writes:
            self._settle_write()
        if self._sync is not None:
            self._settle_sync()
        if self._durable < self._taken:
            with _translated():
                self._sync_after(None, self._taken)
        return self._durable

    seal = sync

    def close(self) -> None:
        self._writer.shutdown()
        self._syncer.shutdown()
        self._file.close()

    def _write(self, data: bytes) -> None:
        if self._failure is not None:  # what follows a gap must not look like its bytes
            raise self._failure
        view = memoryview(data)
        try:
            while view:
                view = view[self._file.write(view) :]
        except OSError as error:
            self._failure = error
            raise

    def _sync_after(self, write: Future[None] | None, size: int) -> None:
        if write is not None:
            write.result()
        if self._failure is not None:
            raise self._failure
        os.fsync(self._file.fileno())
        self._durable = size

    def _settle_write(self) -> None:
        with _translated():
            self._writes.popleft().result()

    def _settle_sync(self) -> None:
        sync, self._sync = self._sync, None
        if sync is not None:
            with _translated():
                sync.result()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unavailable(error) from error


def _beside(target: Path) -> Path:
    """A name that nobody else has, in the same folder."""
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}")


def _no_link(path: str, flags: int) -> int:
    """A link among the blobs is not ours, and may lead to what nobody may read through us."""
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0))


def _make_folder(folder: Path) -> None:
    """Make it and the folders above it, each durable in the one that holds it."""
    if folder.is_dir():
        return
    _make_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    _sync_folder(folder.parent)


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":
        return  # folders cannot be opened there; NTFS logs renames itself
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
