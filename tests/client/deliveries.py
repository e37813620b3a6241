"""An uploader in the test's own process, on the real services, with faults on the way."""

from __future__ import annotations

import json
import os
import struct
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from runwire._call import Caller
from runwire._connect import Connection
from runwire._errors import ResourceExhaustedError, RunwireError, UnavailableError
from runwire._journal import Journal, JournalSettings, RunLog
from runwire._metric import Metrics
from runwire._uploader_link import Link
from runwire._uploader_loop import Patience, Uploader
from runwire._uploader_outbox import MAX_BATCH_BYTES
from runwire._uploader_report import Report
from runwire.v1.metric_pb2 import SeriesName
from runwire.v1.metric_service_pb2 import (
    LogBatchRequest,
    LogBatchResponse,
    StreamBatchesRequest,
    StreamBatchesResponse,
)

OFFLINE = JournalSettings(uploader="off")
MAX_LIVES = 200
AS_SYNC = Patience(until_drained=True, give_up_s=0.0)
Points = Counter[tuple[int, int, bytes]]


def new_id() -> str:
    return os.urandom(16).hex()


def new_run(journal: Journal, run_id: str = "", **fields: Any) -> RunLog:
    run_id = run_id or new_id()
    request = {"run": {"run_id": run_id, **fields}, "experiment_name": "test"}
    return journal.create_run(run_id, request)


def now_micros() -> int:
    return time.time_ns() // 1000


class FaultyLink(Link):
    """Meets each batch with the next of ``faults``: "ok"; "lost" on its way there; "unheard",
    committed with its answer lost; "late", committed only after the next call; "large"."""

    def __init__(self, connection: Connection, writer_id: str, faults: list[str], held: list[Any]):
        super().__init__(connection, writer_id)
        self._faults, self._held = faults, held

    def log_batch(self, run_id: str, batch: bytes | None, names: bytes = b"") -> LogBatchResponse:
        if batch is None:
            return super().log_batch(run_id, None)
        self._let_go()
        fault = self._next_fault()
        if fault == "late":
            self._held.append((run_id, batch, names))
        elif fault == "large":
            raise ResourceExhaustedError("too large", reason="TOO_LARGE")
        elif fault in ("ok", "unheard"):
            response = super().log_batch(run_id, batch, names)
            if fault == "ok":
                return response
        raise UnavailableError("cut")

    def stream_batches(
        self, run_id: str, requests: Iterator[bytes], timeout_s: float
    ) -> Generator[StreamBatchesResponse]:
        """The first batch with a fault is the last of the call."""
        self._let_go()
        faults: list[str] = []
        responses = super().stream_batches(run_id, self._pass(run_id, requests, faults), timeout_s)
        with closing(responses):
            for response in responses:
                if "unheard" not in faults:
                    yield response
        if faults == ["large"]:
            raise ResourceExhaustedError("too large", reason="TOO_LARGE")
        if faults:
            raise UnavailableError("cut")

    def _pass(self, run_id: str, requests: Iterator[bytes], faults: list[str]) -> Iterator[bytes]:
        known: list[SeriesName] = []
        for request in requests:
            message = StreamBatchesRequest.FromString(request)
            known += (*message.series, *message.batch.series)
            fault = self._next_fault()
            if fault == "ok":
                yield request
                continue
            faults.append(fault)
            if fault == "unheard":
                yield request
            elif fault == "late":
                names = LogBatchRequest(series=known).SerializeToString()
                self._held.append((run_id, message.batch.SerializeToString(), names))
            return

    def _next_fault(self) -> str:
        return self._faults.pop(0) if self._faults else "ok"

    def _let_go(self) -> None:
        """What was late comes now, whether it still fits or not."""
        while self._held:
            with suppress(RunwireError):
                super().log_batch(*self._held.pop(0))


def uploader(
    directory: Path,
    connection: Connection,
    faults: list[str],
    held: list[Any] | None = None,
    max_batch_bytes: int = MAX_BATCH_BYTES,
    patience: Patience = AS_SYNC,
) -> Uploader:
    meta = json.loads((directory / "meta.json").read_text())
    link = FaultyLink(connection, meta["writer_id"], faults, [] if held is None else held)
    report = Report(directory, quiet=True)
    return Uploader(directory, meta, link, report, patience, max_batch_bytes=max_batch_bytes)


def deliver(
    directory: Path,
    connection: Connection,
    faults: list[str],
    *,
    before_each_life: Callable[[], None] = lambda: None,
    max_batch_bytes: int = MAX_BATCH_BYTES,
) -> int:
    """Start uploaders until one has delivered everything; each ends at the first call that
    fails, as if it had been killed there. Returns how many it took."""
    held = list[Any]()
    for life in range(1, MAX_LIVES + 1):
        before_each_life()
        if uploader(directory, connection, faults, held, max_batch_bytes).run():
            return life
    raise AssertionError(f"not delivered in {MAX_LIVES} lives")


def stored(connection: Connection, run_id: str) -> dict[str, Points]:
    """Every point of a run that the server has, values bit for bit."""
    found = Metrics(Caller(connection)).read(run_id)
    return {
        key: Counter(
            (int(step), int(moment), struct.pack("d", value))
            for step, moment, value in zip(s.steps, s.times_micros, s.values, strict=True)
        )
        for (_, key), s in found.items()
    }
