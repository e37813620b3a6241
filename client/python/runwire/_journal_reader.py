"""Read a journal while it is written: whole records only, rows as columns.

Rows of one shape mostly come in long runs. Those are cut out with strided views and
array slices, which the interpreter does at C speed: 50 to 400 million values a second,
against about one million rows a second one by one.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import sys
from array import array
from pathlib import Path
from typing import Any, NamedTuple

from runwire._journal_format import (
    ROW_OVERHEAD_WORDS,
    SEGMENT_HEADER,
    SEGMENT_HEADER_BYTES,
    SEGMENT_MAGIC,
    decode_control,
    segment_name,
)

_PAGE_BYTES = 4096
_MIN_RUN = 4  # rows of one shape worth cutting out together


class Schema(NamedTuple):
    """A key set of a run, as its writer declared it."""

    number: int
    run: int
    keys: tuple[str, ...]


class Definitions:
    """Runs and key sets by number, read from ``schemas.jsonl`` as it grows.

    ``runs`` holds ids at their numbers, and "" where a definition found no room on disk.
    """

    def __init__(self, directory: Path):
        self.runs: list[str] = []
        self.schemas: dict[int, Schema] = {}
        self._path = directory / "schemas.jsonl"
        self._offset = 0

    def schema(self, number: int) -> Schema:
        if number not in self.schemas:
            self.refresh()
        return self.schemas[number]

    def run_id(self, run: int) -> str:
        if not self._knows(run):
            self.refresh()
        if not self._knows(run):
            raise KeyError(f"run {run} is not defined in {self._path}")
        return self.runs[run]

    def _knows(self, run: int) -> bool:
        return run < len(self.runs) and self.runs[run] != ""

    def refresh(self) -> None:
        with self._path.open("rb") as file:
            file.seek(self._offset)
            for line in file:
                if not line.endswith(b"\n"):
                    break  # cut by a kill, or still being written
                if b"\0" in line:
                    break  # lost in a power cut
                self._offset += len(line)
                self._learn(json.loads(line))

    def _learn(self, definition: dict[str, Any]) -> None:
        if "run_id" in definition:
            run = definition["run"]
            self.runs += [""] * (run + 1 - len(self.runs))
            self.runs[run] = definition["run_id"]
        else:
            number = definition["schema"]
            self.schemas[number] = Schema(number, definition["run"], tuple(definition["keys"]))


class RowBlock(NamedTuple):
    """Rows of one key set: ``steps`` and ``times`` of ``rows`` words, ``values`` row by row."""

    schema: int
    rows: int
    steps: bytes
    times: bytes
    values: bytes


class Chunk(NamedTuple):
    """What lies between two positions: rows by key set, or one control record."""

    start: int
    end: int
    blocks: list[RowBlock]
    control: tuple[int, dict[str, Any]] | None = None


class _Segment(NamedTuple):
    number: int
    first: int  # position of its first record
    path: Path


class JournalReader:
    """One pass over the records, from the first segment that is still there.

    ``trusted_to``: for a journal of before a restart of the machine, the position that had
    reached the disk. What comes after may have lost pages in a power cut: it is read as far
    as it makes sense, and ``damaged_at`` tells where it does not.
    """

    def __init__(self, directory: Path, trusted_to: int | None = None):
        self.directory = directory
        self.damaged_at: int | None = None
        self._trusted_to = trusted_to
        self.definitions = Definitions(directory)
        self.position = 0
        self._passed: list[tuple[int, Path]] = []  # (end position, file) of ended segments
        self._unsynced: set[Path] = set()
        self.begin()

    def begin(self) -> None:
        """Go (back) to the first record on disk. Raises FileNotFoundError: no segment."""
        self._passed.clear()
        paths = sorted(self.directory.glob("*.seg"))
        first = _open_segment(paths[0]) if paths else None
        if first is None:
            raise FileNotFoundError(f"{self.directory} holds no journal")
        self._enter(first)

    def seek(self, position: int) -> None:
        """Go back to a record. Everything at or after the trimmed position can be reached."""
        self.begin()
        while True:
            following = self._next()
            if following is None or following.first > position:
                break
            self._leave(following)
        self._index = (position - self._segment.first + SEGMENT_HEADER_BYTES) >> 3
        self.position = position

    def _next(self) -> _Segment | None:
        return _open_segment(self.directory / segment_name(self._segment.number + 1))

    def _leave(self, following: _Segment) -> None:
        self._passed.append((following.first, self._segment.path))
        self._enter(following)

    def _enter(self, segment: _Segment) -> None:
        self._segment = segment
        self._unsynced.add(segment.path)
        self._load()
        self._index = SEGMENT_HEADER_BYTES >> 3
        self.position = segment.first

    def _load(self) -> None:
        with self._segment.path.open("rb") as file:
            try:
                mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                if self._trusted_to is None and hasattr(mmap, "MADV_RANDOM"):
                    # Else the kernel reads ahead, into pages that the writer then waits for.
                    mapped.madvise(mmap.MADV_RANDOM)
                self._view = memoryview(mapped)
            except OSError:  # no mapping here: a copy, taken again at each end of it
                data = file.read()
                self._view = memoryview(data)[: len(data) & ~7]
        self._words = self._view.cast("q")

    def _at_record(self) -> bool:
        """Whether a whole record begins here; goes on to the next segment at the end."""
        if self._index < len(self._words) and self._words[self._index]:
            return True
        following = self._next()
        if following is not None and (self._segment is None or following.first == self.position):
            self._leave(following)
        elif isinstance(self._view.obj, bytes) and self._segment is not None:
            self._load()
        return self._index < len(self._words) and self._words[self._index] != 0

    def read(self, max_bytes: int) -> Chunk | None:
        """The next records, about ``max_bytes`` of them and at least one; None: no more now."""
        if not self._at_record():
            return None
        if self._trusted_to is not None and self.position >= self._trusted_to:
            if not self._makes_sense():
                self.damaged_at = self.position
                return None
            max_bytes = 1
        start, index = self.position, self._index
        word = self._words[index]
        words = (word & 0xFFFFFFFF) >> 3
        if word >> 32 == 0:
            self._advance(words)
            body = bytes(self._view[index * 8 + 8 : (index + words) * 8])
            return Chunk(start, self.position, [], decode_control(body))
        stop = min(index + max(max_bytes >> 3, words), len(self._words))
        rows = self._run_length(index, word, words, stop)
        if rows >= _MIN_RUN or index + words >= stop:
            self._advance(rows * words)
            return Chunk(start, self.position, [self._cut(index, word >> 32, words, rows)])
        return Chunk(start, *self._gather(index, stop))

    def _makes_sense(self) -> bool:
        word, index = self._words[self._index], self._index
        schema, length = word >> 32, word & 0xFFFFFFFF
        end = index + (length >> 3)
        if length % 8 or length < 16 or end > len(self._words):
            return False
        try:
            if schema == 0:
                decode_control(self._view[index * 8 + 8 : end * 8].tobytes())
            elif length != 8 * (ROW_OVERHEAD_WORDS + len(self.definitions.schema(schema).keys)):
                return False
        except (ValueError, KeyError, struct.error):
            return False
        # A lost page is zeros, so the record before it is the last, and its rest is zeros.
        page = (index * 8 // _PAGE_BYTES + 1) * _PAGE_BYTES
        rest = self._view[page : end * 8].tobytes()
        return not rest or any(rest) or (end < len(self._words) and self._words[end] != 0)

    def unread(self, chunk: Chunk) -> None:
        """Take back the chunk that was read last."""
        self._advance((chunk.start - chunk.end) >> 3)

    def _advance(self, words: int) -> None:
        self._index += words
        self.position += words * 8

    def _run_length(self, index: int, word: int, words: int, stop: int) -> int:
        """How many records in a row have this header word. Equal heads prove each other:
        where one record of this length begins, the next begins one length later."""
        rows = max(1, (stop - index) // words)
        heads = self._words[index : index + (rows - 1) * words + 1 : words].tobytes()
        wanted = word.to_bytes(8, sys.byteorder) * rows
        if heads == wanted:
            return rows
        low, high = 1, rows  # heads agree for low rows, and do not for high
        while high - low > 1:
            middle = (low + high) // 2
            if heads[: middle * 8] == wanted[: middle * 8]:
                low = middle
            else:
                high = middle
        return low

    def _cut(self, index: int, schema: int, words: int, rows: int) -> RowBlock:
        end = index + rows * words
        steps = self._words[index + 1 : end : words].tobytes()
        times = self._words[index + 2 : end : words].tobytes()
        keys = words - ROW_OVERHEAD_WORDS
        return RowBlock(schema, rows, steps, times, self._values(index, words, rows, keys))

    def _values(self, index: int, words: int, rows: int, keys: int) -> bytes:
        """Row by row, without the three words before each row. Which way is fastest
        depends on the width (measured, see the module's head)."""
        end = index + rows * words
        if rows == 1:
            return self._view[(index + ROW_OVERHEAD_WORDS) * 8 : end * 8].tobytes()
        if keys <= 4:
            columns = bytearray(rows * keys * 8)
            target = memoryview(columns).cast("q")
            for key in range(keys):
                target[key::keys] = self._words[index + ROW_OVERHEAD_WORDS + key : end : words]
            return bytes(columns)
        if keys <= 200:
            block = array("q")
            block.frombytes(self._view[index * 8 : end * 8])
            del block[0::words], block[0 :: words - 1], block[0 :: words - 2]
            return block.tobytes()
        view = self._view
        return b"".join([view[at * 8 + 24 : (at + words) * 8] for at in range(index, end, words)])

    def _gather(self, index: int, stop: int) -> tuple[int, list[RowBlock]]:
        """Rows of mixed shapes, one by one, put together by shape."""
        words = self._words
        groups: dict[int, list[int]] = {}
        while index < stop:
            word = words[index]
            if not word >> 32:
                break
            groups.setdefault(word, []).append(index)
            index += (word & 0xFFFFFFFF) >> 3
        self._advance(index - self._index)
        return self.position, [self._pick(word, rows) for word, rows in groups.items()]

    def _pick(self, word: int, indexes: list[int]) -> RowBlock:
        words, length = self._words, (word & 0xFFFFFFFF) >> 3
        steps = array("q", [words[i + 1] for i in indexes]).tobytes()
        times = array("q", [words[i + 2] for i in indexes]).tobytes()
        if length == ROW_OVERHEAD_WORDS + 1:
            values = array("q", [words[i + 3] for i in indexes]).tobytes()
        else:
            view = self._view
            values = b"".join([view[i * 8 + 24 : (i + length) * 8] for i in indexes])
        return RowBlock(word >> 32, len(indexes), steps, times, values)

    def trim(self, position: int) -> int:
        """Delete the segments that lie wholly below; returns where the rest begins."""
        while self._passed and self._passed[0][0] <= position:
            path = self._passed.pop(0)[1]
            self._unsynced.discard(path)
            path.unlink(missing_ok=True)
        if not self._passed:
            return self._segment.first
        oldest = _open_segment(self._passed[0][1])
        return oldest.first if oldest is not None else 0

    def sync(self) -> int:
        """fdatasync what was read; returns the position that now survives a power cut."""
        position = self.position
        for path in (*self._unsynced, self.directory / "schemas.jsonl"):
            fd = os.open(path, os.O_RDWR)
            try:
                getattr(os, "fdatasync", os.fsync)(fd)
            finally:
                os.close(fd)
        self._unsynced = {self._segment.path}
        return position


def _open_segment(path: Path) -> _Segment | None:
    try:
        with path.open("rb") as file:
            header = file.read(SEGMENT_HEADER.size)
    except FileNotFoundError:
        return None
    if len(header) < SEGMENT_HEADER.size:
        return None
    magic, first, _capacity = SEGMENT_HEADER.unpack(header)
    if magic != SEGMENT_MAGIC:
        raise ValueError(f"{path} is not a segment of a journal")
    return _Segment(int(path.stem), first, path)
