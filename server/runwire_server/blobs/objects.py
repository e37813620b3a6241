"""Blobs in an object store, through any fsspec file system whose writes are atomic.

An object cannot grow, and the parts of a multipart upload cannot be read back. So an
upload under way lies there as *pieces* of 8 MiB, objects of their own: each survives a
restart of the server once it is written, can be read to hash it again, and all of them
become one object at the end.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from fsspec import AbstractFileSystem

from runwire_server.blobs.store import (
    BlobStore,
    Entry,
    Piece,
    SegmentWriter,
    unavailable,
    upload_folder,
)
from runwire_server.errors import ServiceError, StorageUnavailable

# Above the 5 MiB that S3 asks of every part but the last.
PIECE_BYTES = 8 << 20


class ObjectStore(BlobStore):
    """``root`` is the path in the file system, as ``bucket/prefix``."""

    def __init__(self, fs: Any, root: str):
        self._fs = fs
        self._root = root.rstrip("/")

    def put(self, key: str, data: bytes) -> None:
        with translated():
            self._fs.pipe_file(self.path(key), data)

    def stream(self, key: str, offset: int, size: int) -> Iterator[bytes]:
        """In blocks of up to 8 MiB, the next one on its way while one is used."""
        end = offset + size
        with ThreadPoolExecutor(1, thread_name_prefix="read-ahead") as pool:
            ahead = pool.submit(self._read, key, offset, min(end, offset + PIECE_BYTES))
            while offset < end:
                data = ahead.result()
                offset += len(data)
                if offset < end:
                    ahead = pool.submit(self._read, key, offset, min(end, offset + PIECE_BYTES))
                yield data

    def _read(self, key: str, start: int, end: int) -> bytes:
        if start == end:
            return b""
        with translated():
            data: bytes = self._fs.cat_file(self.path(key), start=start, end=end)
        if len(data) != end - start:
            raise StorageUnavailable(f"blob {key} is shorter than it was")
        return data

    @property
    def can_sign(self) -> bool:
        return type(self._fs).sign is not AbstractFileSystem.sign

    def sign(self, key: str, expire_s: int) -> str:
        with translated():
            return str(self._fs.sign(self.path(key), expiration=expire_s))

    def stat(self, key: str) -> int | None:
        with translated():
            try:
                info = self._fs.info(self.path(key), refresh=True)
            except FileNotFoundError:
                return None
        return int(info["size"]) if info["type"] == "file" else None

    def entries(self, prefix: str = "") -> Iterator[Entry]:
        with translated():
            found = self._fs.find(self.path(prefix) if prefix else self._root, detail=True)
        skip = len(self._fs._strip_protocol(self._root)) + 1
        for name, info in found.items():
            yield Entry(name[skip:], int(info["size"]), _modify_time(info))

    def delete(self, key: str) -> None:
        with translated():
            try:
                self._fs.rm_file(self.path(key))
            except FileNotFoundError:
                return

    def check(self) -> None:
        with translated():
            self._fs.info(self._root.split("/", 1)[0], refresh=True)

    def begin_segment(self, upload_id: str, name: str) -> SegmentWriter:
        return _PieceSegment(self, f"{upload_folder(upload_id)}/{name}")

    def pieces(self, upload_id: str, name: str, size_bytes: int) -> Sequence[Piece]:
        folder = f"{upload_folder(upload_id)}/{name}"
        return [
            Piece(_piece_key(folder, start // PIECE_BYTES), min(PIECE_BYTES, size_bytes - start))
            for start in range(0, size_bytes, PIECE_BYTES)
        ]

    def assemble(self, pieces: Sequence[Piece], key: str, *, take: bool) -> None:
        """Here through our own hands: not every store can join objects itself."""
        if not pieces:
            return self.put(key, b"")
        # Under its own name only when it is whole: closing a file keeps what was written.
        whole = pieces[0].key + ".whole"
        with translated():
            with self._fs.open(self.path(whole), "wb") as file:
                for piece in pieces:
                    for data in self.stream(piece.key, 0, piece.size_bytes):
                        file.write(data)
            self._fs.cp_file(self.path(whole), self.path(key))
        return None

    def drop_upload(self, upload_id: str) -> None:
        paths = [self.path(key) for key in self.list(upload_folder(upload_id))]
        with translated():
            if paths:
                self._fs.rm(paths)

    def path(self, key: str) -> str:
        return f"{self._root}/{key}"


class _PieceSegment(SegmentWriter):
    def __init__(self, store: ObjectStore, folder: str):
        self._store, self._folder = store, folder
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._durable = 0

    def write(self, data: bytes) -> None:
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        while self._waiting_bytes >= PIECE_BYTES:
            self._put_piece(PIECE_BYTES)

    def _put_piece(self, size: int) -> None:
        data = b"".join(self._waiting)
        rest = data[size:]
        self._waiting, self._waiting_bytes = [rest] if rest else [], len(rest)
        self._store.put(_piece_key(self._folder, self._durable // PIECE_BYTES), data[:size])
        self._durable += size

    def flush(self) -> None:
        """A piece is durable when it is written, and only whole ones are."""

    def durable(self) -> int:
        return self._durable

    sync = durable

    def seal(self) -> int:
        if self._waiting_bytes:
            self._put_piece(self._waiting_bytes)
        return self._durable


def _modify_time(info: dict[str, Any]) -> float | None:
    """Each of fsspec's drivers has a name of its own for it."""
    for name in ("LastModified", "last_modified", "mtime", "updated", "created"):
        found = info.get(name)
        if isinstance(found, datetime):
            return found.timestamp()
        if isinstance(found, int | float):
            return float(found)
    return None


def _piece_key(folder: str, index: int) -> str:
    return f"{folder}/{index:06d}"


@contextmanager
def translated() -> Iterator[None]:
    """Failures of the store, as ``StorageUnavailable``."""
    try:
        yield
    except ServiceError:
        raise
    except Exception as error:  # every fsspec driver raises exceptions of its own libraries
        raise unavailable(error) from error
