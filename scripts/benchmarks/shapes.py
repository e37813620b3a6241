"""Ingest that is not long and narrow: wide steps, batches sent again, a great many runs."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import cycle, repeat
from multiprocessing import get_context
from typing import Any

import runwire
from runwire.v1.metric_pb2 import Frame, MetricBatch, SeriesName
from runwire.v1.metric_service_pb2 import LogBatchRequest
from runwire.v1.metric_service_pb2_grpc import MetricServiceStub

from benchmarks import anchors
from benchmarks.work import Work, cpu_s, quantile

WIDE, STEPS = 100_000, 10
RUNS, RUN_KEYS = 1_000, 100
CONNECTIONS = 50


def wide(work: Work) -> dict[str, Any]:
    """I4: one step of 100,000 keys, from the call to the acknowledgement, ten times."""
    blobs = anchors.sqlite_append(work.folder, 1 << 20, 64 << 20)
    metrics = {f"layer.{number // 100}/weight.{number % 100}.norm": 0.5 for number in range(WIDE)}
    os.environ |= {"RUNWIRE_DIR": str(work.folder / "journals"), "RUNWIRE_QUIET": "1"}
    calls, durable = [], []
    with work.server() as uri:
        runwire.set_tracking_uri(uri)
        with runwire.start_run() as run:
            runwire.flush(timeout=60)
            for step in range(STEPS):
                metrics["layer.0/weight.0.norm"] = step * 0.1
                start = time.perf_counter()
                runwire.log_metrics(metrics, step=step)
                calls.append(time.perf_counter() - start)
                if not runwire.flush(timeout=60):
                    raise SystemExit("I4: the flush timed out")
                durable.append(time.perf_counter() - start)
        with runwire.Client(uri) as client:
            stored = sum(series.points for series in client.metrics.list(run.info.run_id))
    if stored != WIDE * STEPS:
        raise SystemExit(f"I4: {WIDE * STEPS} points were logged and {stored} are stored")
    return {
        "first step, s to durable": durable[0],
        "worst step, s to durable": max(durable),
        "median step, s to durable": sorted(durable)[STEPS // 2],
        "all steps, s to durable": sum(durable),
        "median call, ms": sorted(calls)[STEPS // 2] * 1e3,
        "anchor: SQLite append of a step's values, ms": WIDE * 8 / blobs * 1e3,
    }


def resend(work: Work) -> dict[str, Any]:
    """I6: a stored batch again and again, by a writer with little and with much behind it."""
    rounds, history = work.size(10_000), work.size(10_000)
    with work.server() as uri, runwire.Client(uri) as client:
        rpc = anchors.empty_rpc(uri)
        run_id = client.runs.create().run_id
        send = _sender(client, run_id)
        short = _median([_timed(send, 1) for _ in range(rounds // 2)])
        for sequence in range(2, history + 1):
            send(sequence)
        long = _median([_timed(send, history) for _ in range(rounds // 2)])
        first = _median([_timed(send, 1) for _ in range(rounds // 10)])
        (series,) = client.metrics.list(run_id)
    return {
        "rounds": rounds // 2 * 2 + rounds // 10,
        "1 batch stored: median, us": short * 1e6,
        f"{history:,} stored, the last again: median, us": long * 1e6,
        f"{history:,} stored, the first again: median, us": first * 1e6,
        "long history to short": max(first, long) / short,
        "points doubled": series.points - history * 20,
        "anchor: small unary RPC, us": rpc * 1e6,
    }


def _sender(client: Any, run_id: str) -> Callable[[int], None]:
    def send(sequence: int) -> None:
        frame = Frame(series=[1], steps=range(20), times_micros=range(20), values=[0.5] * 20)
        names = [SeriesName(id=1, key="loss")]
        batch = MetricBatch(sequence=sequence, series=names, frames=[frame])
        client.metrics.log_batch(run_id, batch, writer_id="w")

    return send


def _timed(send: Callable[[int], None], sequence: int) -> float:
    start = time.perf_counter()
    send(sequence)
    return time.perf_counter() - start


def _median(times: list[float]) -> float:
    return sorted(times)[len(times) // 2]


def many_runs(work: Work) -> dict[str, Any]:
    """S2: 1,000 runs, each with a row of 100 keys a second, at even distances.

    The jobs are calls of one process, as their uploaders would make them, over 50
    connections: a thousand uploaders would not leave the server its quarter of a core.
    """
    seconds = 5.0 if work.quick else 30.0
    with work.server_process() as (server, uri):
        empty = _cpu_of_empty_calls(server.pid, uri)
        context = get_context("spawn")
        results = context.Queue()
        fleet = context.Process(target=_fleet, args=(uri, seconds, results))
        fleet.start()
        results.get()  # every run has its keys
        start, used = time.perf_counter(), cpu_s(server.pid)
        results.get()  # the last row is logged
        share = (cpu_s(server.pid) - used) / (time.perf_counter() - start)
        times = results.get()
        fleet.join()
    return {
        "points/s": len(times) * RUN_KEYS / seconds,
        "CPU of the server, cores": share,
        "CPU of a row, us": share * seconds / len(times) * 1e6,
        "acknowledged: p50, ms": quantile(times, 0.5) * 1e3,
        "acknowledged: p99, ms": quantile(times, 0.99) * 1e3,
        "anchor: server CPU of an empty unary RPC, us": empty * 1e6,
    }


def _cpu_of_empty_calls(pid: int, uri: str, calls: int = 2000) -> float:
    used = cpu_s(pid)
    anchors.empty_rpc(uri, calls)
    return (cpu_s(pid) - used) / calls


def _fleet(uri: str, seconds: float, results: Any) -> None:
    import grpc

    target = uri.removeprefix("grpc://")
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.insecure_channel(target, options) for _ in range(CONNECTIONS)]
    stubs = [MetricServiceStub(channel) for channel in channels]
    with runwire.Client(uri) as client, ThreadPoolExecutor(16) as threads:
        jobs = list(threads.map(_Job, repeat(client, RUNS), cycle(stubs)))
    results.put("ready")
    _beat(jobs, seconds)
    results.put("over")
    with ThreadPoolExecutor(16) as threads:
        list(threads.map(_Job.end, jobs))
    results.put(sorted(taken for job in jobs for taken in job.times[1:]))


class _Job:
    """A run that logs a row each second, and sends what it has as its uploader would: one
    call at a time, no more often than the server asks for."""

    def __init__(self, client: Any, stub: Any):
        self._stub = stub
        self._request = LogBatchRequest(
            run_id=client.runs.create().run_id, writer_id=uuid.uuid4().hex
        )
        self._request.series.extend(
            SeriesName(id=number, key=f"train/metric_{number}") for number in range(RUN_KEYS)
        )
        self._rows: list[float] = []  # when they were logged
        self._steps, self._not_before = 0, 0.0
        self._call: Any = None
        self.times: list[float] = []
        self.log()
        self.end()

    def log(self) -> None:
        self._rows.append(time.perf_counter())
        if self._call is None and time.perf_counter() >= self._not_before:
            self._send()

    def _send(self) -> None:
        rows, self._rows = self._rows, []
        if rows:  # else the same again, which was refused
            self._steps += len(rows)
            steps = range(self._steps - len(rows), self._steps)
            values = [0.25] * (RUN_KEYS * len(rows))
            frame = Frame(series=range(RUN_KEYS), steps=steps, times_micros=steps, values=values)
            sequence = self._request.batch.sequence + 1
            self._request.batch.CopyFrom(MetricBatch(sequence=sequence, frames=[frame]))
        self._sent_at = time.perf_counter()
        self._call = self._stub.LogBatch.future(self._request)
        self._call.add_done_callback(partial(self._answered, rows))

    def _answered(self, rows: list[float], call: Any) -> None:
        if call.code().name != "OK":
            self._send_again(rows)
            return
        now, advice = time.perf_counter(), call.result().advice
        self.times += [now - logged for logged in rows]
        self._not_before = self._sent_at + advice.min_interval.ToTimedelta().total_seconds()
        self._call = None

    def _send_again(self, rows: list[float]) -> None:
        time.sleep(0.1)
        self._call = self._stub.LogBatch.future(self._request)
        self._call.add_done_callback(partial(self._answered, rows))

    def end(self) -> None:
        """Wait until all is acknowledged."""
        while self._call is not None or self._rows:
            if self._call is None:
                self._send()
            time.sleep(0.001)


def _beat(jobs: list[_Job], seconds: float) -> None:
    """Each run's next row in its turn."""
    start = time.perf_counter()
    for number in range(int(seconds * RUNS)):
        time.sleep(max(0.0, start + number / RUNS - time.perf_counter()))
        jobs[number % RUNS].log()
