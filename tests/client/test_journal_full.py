"""A journal that has no room: bounded, counted, announced, and it never kills."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Any

import pytest
from runwire._journal import Journal, JournalSettings, RunLog
from runwire._journal_format import DROPPED, FINISH
from runwire._journal_reader import JournalReader
from runwire._journal_segments import FIRST_SEGMENT_BYTES

from client.journal_content import content

OFFLINE = JournalSettings(uploader="off")
RUN = "0123456789abcdef0123456789abcdef"


def full(tmp_path: Path, **changes: Any) -> tuple[Journal, RunLog]:
    settings = OFFLINE._replace(quota_bytes=2 * FIRST_SEGMENT_BYTES, **changes)
    journal = Journal.open(tmp_path, "unused", settings=settings)
    return journal, journal.create_run(RUN, {})


def test_a_full_journal_drops_counts_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    journal, run = full(tmp_path, when_full="drop")
    row = {f"m{number}": 1.0 for number in range(20)}
    with caplog.at_level(logging.WARNING, logger="runwire"):
        for step in range(5000):
            run.log_metrics(row, step)
        run.finish("FINISHED", 5)
    found = content(journal.directory, 1 << 16)
    stored = len(found.rows)
    assert [entry[1] for entry in found.rows] == list(range(stored))
    told = [payload for kind, payload in found.control if kind == DROPPED]
    assert told == [{"run": 0, "points": (5000 - stored) * 20}]
    assert found.control[-1][0] == FINISH  # what ends a run finds room all the same
    assert sum("points are dropped" in line for line in caplog.messages) == 1
    sizes = [path.stat().st_size for path in journal.directory.glob("*.seg")]
    assert sum(sizes) <= 2 * FIRST_SEGMENT_BYTES
    journal.close()


def test_a_full_journal_goes_on_when_room_was_made(tmp_path: Path) -> None:
    journal, run = full(tmp_path, when_full="drop")
    for step in range(20_000):
        run.log_metrics({"a": 1.0}, step)
    dropped = journal._dropped[0]
    reader = JournalReader(journal.directory)
    while reader.read(1 << 16) is not None:
        pass
    journal.status.trimmed = reader.trim(reader.position)
    journal.segments._retry_at = 0.0
    run.log_metrics({"a": 2.0}, 99_999)
    found = content(journal.directory)
    assert found.rows[-1][1] == 99_999
    assert [p["points"] for kind, p in found.control if kind == DROPPED] == [dropped]
    journal.close()


def test_blocking_waits_for_room_but_not_for_ever(tmp_path: Path) -> None:
    journal, run = full(tmp_path, block_s=0.05)
    journal.segments.block_s = 0.05  # offline journals do not wait by themselves
    waited = []
    journal.segments.on_full = lambda: waited.append(1)
    for step in range(20_000):
        run.log_metrics({"a": 1.0}, step)
    assert waited == [1]  # once; after that it drops without waiting each time
    assert journal._dropped[0] == 20_000 - len(content(journal.directory, 1 << 16).rows)
    journal.close()


def test_a_full_disk_never_kills(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    journal = Journal.open(tmp_path, "unused", settings=OFFLINE)
    run = journal.create_run(RUN, {})

    def no_space(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", no_space)
    for step in range(10_000):
        run.log_metrics({"a": 1.0}, step)
    rows = content(journal.directory, 1 << 16).rows
    assert [row[1] for row in rows] == list(range(len(rows)))
    assert journal._dropped[0] == 10_000 - len(rows)
    assert not (journal.directory / "next").exists()
    journal.close()
