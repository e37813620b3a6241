"""What the rest of the server asks of a blob store.

Keys are relative paths that the server makes itself. A write is all or nothing and
durable when the call returns; a store that is full, read-only or away raises
``StorageUnavailable`` and keeps nothing half-written under a key.
"""

from __future__ import annotations

import errno
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

from runwire_server.errors import StorageUnavailable

# Writes of a batch under way at once: they wait for a disk or a network, not for us.
WRITERS = 8
READ_BYTES = 1 << 20

_PROBLEMS = {
    errno.ENOSPC: "the blob store is full",
    errno.EDQUOT: "the quota of the blob store is used up",
    errno.EROFS: "the blob store is read-only",
    errno.EACCES: "the blob store may not be written",
    errno.EPERM: "the blob store may not be written",
    errno.ENOTDIR: "a file is where a folder of the blob store should be",
    errno.EEXIST: "a file is where a folder of the blob store should be",
}
# Where all that we keep is: the rest of a bucket may be anybody's.
FOLDERS = ("blobs", "uploads")
_BLOB_KEY = re.compile(r"blobs/[^/]+/sha256/([0-9a-f]{2})/([0-9a-f]{62})(?:\.[0-9a-f]+)?")
_PLAIN_WORKSPACE = re.compile(r"[a-z0-9_-]{1,64}")


class Piece(NamedTuple):
    """The first ``size_bytes`` bytes under a key."""

    key: str
    size_bytes: int


class Entry(NamedTuple):
    """What lies under a key, and when it was written (seconds; None: the store does not tell)."""

    key: str
    size_bytes: int
    modify_time: float | None


class SegmentWriter(ABC):
    """The bytes that one call adds to an upload. One thread uses it."""

    @abstractmethod
    def write(self, data: bytes) -> None: ...

    @abstractmethod
    def flush(self) -> None:
        """Begin to make durable what was written, without waiting where that can be."""

    @abstractmethod
    def durable(self) -> int:
        """How many bytes of the segment are durable by now."""

    @abstractmethod
    def sync(self) -> int:
        """Make durable what can be while more may come; returns ``durable()``."""

    @abstractmethod
    def seal(self) -> int:
        """Make all of it durable: nothing more will come. Returns the segment's size."""

    def close(self) -> None:  # noqa: B027 - most writers hold nothing
        """Give back what it holds. What is not durable is lost."""


class BlobStore(ABC):
    """Bytes by key, and uploads in segments. Safe for threads; make one in each process."""

    @abstractmethod
    def put(self, key: str, data: bytes) -> None: ...

    def put_many(self, items: Mapping[str, bytes]) -> None:
        """Several at once. Where one fails, the others may be there or not."""
        with ThreadPoolExecutor(WRITERS, thread_name_prefix="blobs") as pool:
            list(pool.map(self.put, items.keys(), items.values()))

    @abstractmethod
    def stream(self, key: str, offset: int, size: int) -> Iterator[bytes]:
        """``size`` bytes from ``offset`` on, in blocks; both lie inside the blob.

        Raises ``StorageUnavailable`` where the bytes are not there.
        """

    def read_many(self, sizes: Mapping[str, int]) -> dict[str, bytes]:
        """Whole blobs by their keys, several at once."""

        def read(key: str) -> bytes:
            return b"".join(self.stream(key, 0, sizes[key]))

        with ThreadPoolExecutor(WRITERS, thread_name_prefix="blobs") as pool:
            return dict(zip(sizes, pool.map(read, sizes), strict=True))

    @property
    def can_sign(self) -> bool:
        """Whether ``sign`` can be asked."""
        return False

    def sign(self, key: str, expire_s: int) -> str:
        """A URL that reads the bytes under a key for so many seconds, without us."""
        raise NotImplementedError

    @abstractmethod
    def stat(self, key: str) -> int | None:
        """The size in bytes, or None where there is nothing."""

    @abstractmethod
    def entries(self, prefix: str = "") -> Iterator[Entry]:
        """What lies under a folder, in no order."""

    def list(self, prefix: str = "") -> Iterator[str]:
        """The keys under a folder, in no order."""
        return (entry.key for entry in self.entries(prefix))

    @abstractmethod
    def delete(self, key: str) -> None:
        """Remove it; nothing happens where it is not there."""

    @abstractmethod
    def check(self) -> None:
        """Raises ``StorageUnavailable`` where it cannot be used."""

    @abstractmethod
    def begin_segment(self, upload_id: str, name: str) -> SegmentWriter: ...

    @abstractmethod
    def pieces(self, upload_id: str, name: str, size_bytes: int) -> Sequence[Piece]:
        """Where the first bytes of a segment lie. They never change once they are synced."""

    @abstractmethod
    def assemble(self, pieces: Sequence[Piece], key: str, *, take: bool) -> None:
        """Make one blob of them, which stay. ``take``: nobody writes them any more, the blob
        may share their bytes."""

    def drop_parts(self, before: float) -> int:
        """End multipart uploads of ours that were begun before (seconds) and abandoned."""
        return 0

    @abstractmethod
    def drop_upload(self, upload_id: str) -> None:
        """Remove all segments of an upload."""


def blob_key(workspace: str, digest: str, generation: str = "") -> str:
    """``blobs/WORKSPACE/sha256/ab/cdef….GENERATION``. Shared within a workspace only."""
    algorithm, _, digits = digest.partition(":")
    end = f".{generation}" if generation else ""
    folder = workspace_folder(workspace)
    return f"blobs/{folder}/{algorithm}/{digits[:2]}/{digits[2:]}{end}"


def workspace_folder(workspace: str) -> str:
    """Its name; of one that is not safe as a folder on every system, its hash."""
    if _PLAIN_WORKSPACE.fullmatch(workspace):
        return workspace
    return "=" + hashlib.sha256(workspace.encode()).hexdigest()[:32]


def digest_of_key(key: str) -> str:
    """The digest that a key of ``blob_key`` is of; "" for any other key."""
    found = _BLOB_KEY.fullmatch(key)
    return f"sha256:{found[1]}{found[2]}" if found else ""


def upload_folder(upload_id: str) -> str:
    return f"uploads/{upload_id}"


def upload_of_key(key: str) -> str:
    """The upload whose bytes lie under a key in ``uploads/``."""
    return key.split("/")[1]


def unavailable(error: Exception) -> StorageUnavailable:
    """What a caller is told of a store's failure; the log has the rest as its cause."""
    code = error.errno if isinstance(error, OSError) else None
    if isinstance(error, PermissionError):
        code = errno.EACCES
    if code in _PROBLEMS:
        return StorageUnavailable(_PROBLEMS[code])
    return StorageUnavailable(f"the blob store failed ({type(error).__name__})")
