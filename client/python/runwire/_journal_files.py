"""Files of a journal: reserved on disk, mapped, locked; and who owns them.

Windows and macOS have no ``posix_fallocate`` (zeros are written), Windows no
``flock`` (``msvcrt``); a file system that cannot map files is written with plain
writes, which are slower (about 2 us more a row) and just as safe.
"""

from __future__ import annotations

import mmap
import os
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

_ZEROS = bytes(1 << 20)


class Mapping(NamedTuple):
    """A file as bytes and as 8-byte words; both can be stored to."""

    view: Any
    words: Any
    size: int

    @property
    def is_plain(self) -> bool:
        """Whether each store is a write to the file, made by Python code."""
        return isinstance(self.view, _PlainBytes)


def reserve(fd: int, size: int) -> None:
    """Give the file its blocks now. A hole in a mapped file of a full disk would kill
    the process (SIGBUS) at the first store. Raises OSError where there is no room."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, 0, size)
        return
    os.lseek(fd, 0, os.SEEK_SET)
    for start in range(0, size, len(_ZEROS)):
        os.write(fd, _ZEROS[: size - start])


def create_mapped(path: Path, size: int) -> Mapping:
    """A new file of zeros, mapped. Raises OSError and leaves nothing behind."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
    try:
        reserve(fd, size)
        return _mapping(fd, size)
    except BaseException:
        os.close(fd)
        fd = -1
        path.unlink()
        raise
    finally:
        if fd >= 0:
            os.close(fd)


def open_mapped(path: Path) -> Mapping:
    """An existing file, mapped for reading and writing."""
    fd = os.open(path, os.O_RDWR | getattr(os, "O_BINARY", 0))
    try:
        return _mapping(fd, os.fstat(fd).st_size)
    finally:
        os.close(fd)


def _mapping(fd: int, size: int) -> Mapping:
    try:
        mapped = mmap.mmap(fd, size)
    except OSError:  # a file system without shared mappings
        plain = os.dup(fd)
        return Mapping(_PlainBytes(plain), _PlainWords(plain), size)
    if hasattr(mmap, "MADV_RANDOM"):
        # Else the first store makes the kernel read ahead, which is to zero megabytes.
        mapped.madvise(mmap.MADV_RANDOM)
    view = memoryview(mapped)
    return Mapping(view, view.cast("q"), size)


def unmap(mapping: Mapping, start: int, size: int) -> None:
    """Let go of pages that are not needed here any more; the file keeps them. To unmap the
    whole of it at once would take long (measured 0.2 ms and more for 4 MiB)."""
    if sys.platform == "linux" and not mapping.is_plain:
        mapping.view.obj.madvise(mmap.MADV_DONTNEED, start, size)


class _PlainBytes:
    """Slices of a file, stored and loaded by positioned reads and writes."""

    def __init__(self, fd: int):
        self._fd = fd

    def __setitem__(self, where: slice, data: bytes) -> None:
        os.pwrite(self._fd, data, where.start)

    def __getitem__(self, where: slice) -> bytes:
        return os.pread(self._fd, where.stop - where.start, where.start)

    def __del__(self) -> None:
        os.close(self._fd)


class _PlainWords:
    """8-byte words of a file. The bytes object owns the file descriptor."""

    def __init__(self, fd: int):
        self._fd = fd

    def __setitem__(self, index: int, word: int) -> None:
        os.pwrite(self._fd, word.to_bytes(8, sys.byteorder, signed=True), index * 8)

    def __getitem__(self, index: int) -> int:
        return int.from_bytes(os.pread(self._fd, 8, index * 8), sys.byteorder, signed=True)


def hold_lock(path: Path) -> int | None:
    """Lock a file for as long as the returned descriptor is open; None: somebody has it."""
    try:
        fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    except FileNotFoundError:
        return None  # the journal is gone
    try:
        _lock(fd)
    except OSError:
        os.close(fd)
        return None
    return fd


def _lock(fd: int) -> None:
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(fd, msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def boot_id() -> str:
    """Changes when the machine starts anew; empty where that is not known."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def process_start(pid: int) -> str:
    """When the process started, in the kernel's ticks; empty where that is not known.

    A process id is used again after its process has ended, its start time is not.
    """
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""


def now_micros() -> int:
    return time.time_ns() // 1000
