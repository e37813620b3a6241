"""Ingest that is not long and narrow: wide steps, batches sent again, a great many runs."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
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
    """S2: 1,000 runs, each a batch with one row of 100 keys a second, at even distances.

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
        times = results.get()
        share = (cpu_s(server.pid) - used) / (time.perf_counter() - start)
        fleet.join()
    return {
        "batches/s": len(times) / seconds,
        "points/s": len(times) * RUN_KEYS / seconds,
        "CPU of the server, cores": share,
        "CPU of a batch, us": share * seconds / len(times) * 1e6,
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
        requests = list(threads.map(partial(_opened, client, stubs), range(RUNS)))
    results.put("ready")
    results.put(_beat(stubs, requests, seconds))


def _opened(client: Any, stubs: list[Any], number: int) -> LogBatchRequest:
    """A run that has its keys, and the request of its last batch."""
    request = _first_request(client.runs.create().run_id)
    stubs[number % CONNECTIONS].LogBatch(request)
    request.series.extend(request.batch.series)
    del request.batch.series[:]
    return request


def _first_request(run_id: str) -> LogBatchRequest:
    request = LogBatchRequest(run_id=run_id, writer_id=uuid.uuid4().hex)
    request.batch.sequence = 1
    request.batch.series.extend(
        SeriesName(id=number, key=f"train/metric_{number}") for number in range(1, RUN_KEYS + 1)
    )
    request.batch.frames.append(
        Frame(series=range(1, RUN_KEYS + 1), steps=[0], times_micros=[0], values=[0.25] * RUN_KEYS)
    )
    return request


def _beat(stubs: list[Any], requests: list[LogBatchRequest], seconds: float) -> list[float]:
    """Each run's next batch in its turn, whether the one before is answered or not; seconds
    until each was acknowledged, in ascending order."""
    times: list[float] = []
    start, count = time.perf_counter(), int(seconds * RUNS)
    answered = threading.Semaphore(0)
    for number in range(count):
        due = start + number / RUNS
        time.sleep(max(0.0, due - time.perf_counter()))
        request = requests[number % RUNS]
        request.batch.sequence += 1
        request.batch.frames[0].steps[0] += 1
        call = stubs[number % RUNS % CONNECTIONS].LogBatch.future(request)
        call.add_done_callback(partial(_answered, due, times, answered))
    for _ in range(count):
        answered.acquire()
    return sorted(times)


def _answered(due: float, times: list[float], answered: threading.Semaphore, call: Any) -> None:
    call.result()
    times.append(time.perf_counter() - due)
    answered.release()
