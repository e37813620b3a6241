"""How fast runs are made by many clients at once."""

from __future__ import annotations

import multiprocessing
import time
from typing import Any

import runwire

from benchmarks import anchors
from benchmarks.work import Work, quantile

PROCESSES = 8


def create_runs(work: Work) -> dict[str, Any]:
    """S5: 8 client processes make runs, one call each, on SQLite with synchronous=FULL."""
    each = work.size(4000)
    commits = 1 / anchors.sqlite_commit(work.folder)
    with work.server() as uri:
        calls, _ = _together(_empty_call, uri, each)
        rate, times = _together(_create, uri, each)
        with runwire.Client(uri) as client:
            pages = client.runs.search(view="BASIC", page_size=10_000).pages()
            stored = sum(len(page.runs) for page in pages)
    if stored != PROCESSES * each:
        raise SystemExit(f"S5: {PROCESSES * each} runs were made and {stored} are stored")
    return {
        "runs": stored,
        "runs/s": rate,
        "p50 of a call, ms": quantile(times, 0.5) * 1e3,
        "p99 of a call, ms": quantile(times, 0.99) * 1e3,
        "anchor: SQLite durable commits of one row, one by one, commits/s": commits,
        "anchor: small unary RPCs of 8 processes, calls/s": calls,
    }


def _together(what: Any, uri: str, each: int) -> tuple[float, list[float]]:
    """Calls/s of all processes, and the seconds of each call in ascending order."""
    context = multiprocessing.get_context("spawn")
    results, ready, go = context.Queue(), context.Semaphore(0), context.Event()
    arguments = (what, uri, each, results, ready, go)
    running = [context.Process(target=_client, args=arguments) for _ in range(PROCESSES)]
    for process in running:
        process.start()
    for _ in running:
        ready.acquire()
    start = time.perf_counter()
    go.set()
    times = sorted(one for _ in running for one in results.get())
    seconds = time.perf_counter() - start
    for process in running:
        process.join()
    return len(times) / seconds, times


def _client(what: Any, uri: str, calls: int, results: Any, ready: Any, go: Any) -> None:
    with runwire.Client(uri) as client:
        _empty_call(client, 0)
        ready.release()
        go.wait()
        times = []
        for number in range(calls):
            start = time.perf_counter()
            what(client, number)
            times.append(time.perf_counter() - start)
        results.put(times)


def _create(client: runwire.Client, number: int) -> None:
    client.runs.create(name=f"run-{number}", user="ada")


def _empty_call(client: runwire.Client, _number: int) -> None:
    client.server_info()
