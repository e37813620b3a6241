"""The status page of a journal: what its uploader and its trainer tell each other.

One 8-byte store a value, so neither side ever waits for the other.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

from runwire._journal_files import Mapping, create_mapped, open_mapped

STATUS_BYTES = 16 * 1024
_FLAGS_OFFSET = 512
MAX_FLAGGED_RUNS = STATUS_BYTES - _FLAGS_OFFSET

# What is known of the server.
UNKNOWN, CONNECTED, AWAY, REFUSED = range(4)
# What is known of a run, one bit each.
RUN_ANSWERED, RUN_REFUSED, RUN_STOP_REQUESTED, RUN_FINISHED = 1, 2, 4, 8
RUN_OPEN = 16  # created or resumed by this writer, and not finished


class _Word:
    """One 8-byte value at a fixed place."""

    def __init__(self, index: int):
        self._index = index

    def __get__(self, status: Status, owner: object = None) -> int:
        return int(status.words[self._index])

    def __set__(self, status: Status, value: int) -> None:
        status.words[self._index] = value


class Status:
    """Positions are those of the journal (bytes of records since its start)."""

    acknowledged = _Word(1)  # everything below is with the server, or refused by it
    trimmed = _Word(2)  # everything below is deleted here
    progress = _Word(3)  # every create, attach, artifact and finish below is done
    server_state = _Word(4)
    rejected_entries = _Word(5)  # refused by the server one by one: bad keys, conflicts
    generation = _Word(6)  # uploaders that were started on this journal
    synced = _Word(7)  # everything below survives a power cut
    uploader_pid = _Word(8)
    wanted = _Word(32)  # written by the trainer: it waits for this position

    def __init__(self, mapping: Mapping):
        self._view, self.words = mapping.view, mapping.words

    @classmethod
    def create(cls, path: Path) -> Status:
        return cls(create_mapped(path, STATUS_BYTES))

    @classmethod
    def open(cls, path: Path) -> Status:
        with contextlib.suppress(FileExistsError):
            return cls.create(path)
        return cls(open_mapped(path))

    def run_flags(self, run: int) -> int:
        if run >= MAX_FLAGGED_RUNS:
            return 0
        at = _FLAGS_OFFSET + run
        return int(bytes(self._view[at : at + 1])[0])

    def flag_run(self, run: int, flag: int) -> None:
        if run < MAX_FLAGGED_RUNS:
            self._set_flags(run, self.run_flags(run) | flag)

    def clear_run(self, run: int, flag: int) -> None:
        if run < MAX_FLAGGED_RUNS:
            self._set_flags(run, self.run_flags(run) & ~flag)

    def _set_flags(self, run: int, flags: int) -> None:
        at = _FLAGS_OFFSET + run
        self._view[at : at + 1] = bytes([flags])
