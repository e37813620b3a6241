"""A backlog goes by one call, where a stream can pass."""

from __future__ import annotations

import json
import struct
from collections import Counter
from collections.abc import Generator, Iterator
from typing import Any

import pytest
from drills.processes import eventually
from runwire._connect import Connection
from runwire._errors import (
    InternalError,
    PermissionDeniedError,
    RunwireError,
    UnimplementedError,
)
from runwire._journal import Journal
from runwire._uploader_link import Link
from runwire._uploader_loop import Uploader
from runwire._uploader_report import Report
from runwire.v1.metric_service_pb2 import LogBatchResponse, StreamBatchesResponse
from runwire.v1.run_pb2 import Run

from client.deliveries import (
    AS_SYNC,
    new_run,
    stored,
)


class Calls(Link):
    """Counts the calls that carry batches, once all of the journal was read and waits to be
    sent. Streams end with ``error`` where that is set."""

    def __init__(self, connection: Connection, journal: Journal, error: RunwireError | None = None):
        super().__init__(connection, journal.writer_id)
        self.single = self.streams = 0
        self._journal, self._error = journal, error

    def create_run(self, request: dict[str, Any]) -> Run:
        end = self._journal.segments.position
        eventually(lambda: self._journal.status.synced == end, "the journal's end")
        return super().create_run(request)

    def log_batch(self, run_id: str, batch: bytes | None, names: bytes = b"") -> LogBatchResponse:
        self.single += batch is not None
        return super().log_batch(run_id, batch, names)

    def stream_batches(
        self, run_id: str, requests: Iterator[bytes], timeout_s: float
    ) -> Generator[StreamBatchesResponse]:
        self.streams += 1
        if self._error is not None:
            raise self._error
        yield from super().stream_batches(run_id, requests, timeout_s)


def send_backlog(journal: Journal, connection: Connection, link: Calls) -> str:
    """Some 40 batches of two key sets and of rows that fill several; gives the run's id."""
    run = new_run(journal)
    wide = {f"wide/{number}": number / 3 for number in range(2000)}
    for step in range(10_000):
        run.log_metrics({"loss": float(step)}, step, step)
        if step % 2_000 == 0:
            run.log_metrics(wide, step, step)
    meta = json.loads((journal.directory / "meta.json").read_text())
    report = Report(journal.directory, quiet=True)
    small = Uploader(journal.directory, meta, link, report, AS_SYNC, max_batch_bytes=16 << 10)
    assert small.run()
    found = stored(connection, run.run_id)
    assert found["loss"] == Counter((n, n, struct.pack("d", n)) for n in range(10_000))
    assert all(found[key].total() == 5 for key in wide)
    return run.run_id


def test_a_backlog_goes_by_one_call(connection: Connection, journal: Journal) -> None:
    link = Calls(connection, journal)
    run_id = send_backlog(journal, connection, link)
    assert link.writer(run_id)[0] > 30
    assert link.streams == 1
    assert link.single <= 1  # the last batch goes on growing while others wait to be sent


@pytest.mark.parametrize("code", [UnimplementedError, InternalError, PermissionDeniedError])
def test_where_no_stream_can_pass_a_backlog_goes_by_single_calls(
    connection: Connection, journal: Journal, code: type[RunwireError]
) -> None:
    link = Calls(connection, journal, code("what a proxy says"))
    run_id = send_backlog(journal, connection, link)
    assert link.single == link.writer(run_id)[0] > 30
    assert "a stream failed" in (journal.directory / "uploader.log").read_text()
