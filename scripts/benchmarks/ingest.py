"""How fast data becomes durable, from journal to acknowledgement."""

from __future__ import annotations

import multiprocessing
import os
import time
import uuid
from pathlib import Path
from typing import Any

from benchmarks import anchors
from benchmarks.postgres import postgres
from benchmarks.work import Work, quantile

KEYS = 20
POINT_BYTES = 8


def drain(work: Work) -> dict[str, Any]:
    """I1: two journals filled beforehand, then two uploaders against one server process."""
    rows = work.size(1_000_000)
    points = 2 * rows * KEYS
    disk = anchors.disk_append(work.folder)
    blobs = anchors.sqlite_append(work.folder, 512 * 1024)
    with work.server() as uri:
        rpc = anchors.empty_rpc(uri)
        rate = _drained(work, (uri, uri), rows)
    return {
        "points": points,
        "points/s, starts of the uploaders included": rate,
        "MiB/s of values": rate * POINT_BYTES / anchors.MIB,
        "anchor: SQLite blob append, MiB/s": blobs / anchors.MIB,
        "share of the SQLite anchor": rate * POINT_BYTES / blobs,
        "anchor: disk append, MiB/s": disk / anchors.MIB,
        "anchor: small unary RPC, us": rpc * 1e6,
    }


def drain_postgres(work: Work) -> dict[str, Any]:
    """I2: the same on PostgreSQL, by one server process and by two. All of it shares the
    cores of this machine, so that a second server can add what the first leaves idle only."""
    rows = work.size(500_000)
    with postgres(work.folder) as url:
        appended = anchors.postgres_append(url, 512 * 1024)
        store = ("--backend-store-uri", url)
        with work.server(*store) as one, work.server(*store) as two:
            alone = _drained(work, (one, one), rows)
            both = _drained(work, (one, two), rows)
    return {
        "points of each": 2 * rows * KEYS,
        "points/s, one server": alone,
        "points/s, two servers": both,
        "two servers to one": both / alone,
        "anchor: PostgreSQL bytea append, MiB/s": appended / anchors.MIB,
        "share of the PostgreSQL anchor": max(alone, both) * POINT_BYTES / appended,
    }


def _drained(work: Work, uris: tuple[str, ...], rows: int) -> float:
    """Points/s of one filled journal for each of the servers, until all is acknowledged."""
    journals = [_filled_journal(work.folder / "journals", uri, rows) for uri in uris]
    seconds = _run_uploaders([directory for directory, _ in journals])
    points = len(uris) * rows * KEYS
    stored = _stored_points(uris[0], [run_id for _, run_id in journals])
    if stored != points:
        raise SystemExit(f"{points} points were logged and {stored} are stored")
    return points / seconds


def _filled_journal(base: Path, uri: str, rows: int) -> tuple[Path, str]:
    from runwire._journal import Journal, JournalSettings

    settings = JournalSettings(quota_bytes=1 << 36, uploader="off")
    journal = Journal.open(base, uri, settings=settings)
    run_id = uuid.uuid4().hex
    run = journal.create_run(run_id, {"run": {"run_id": run_id, "experiment_id": "0"}})
    metrics = {f"metric_{i}": i * 0.1 for i in range(KEYS)}
    for step in range(rows):
        metrics["metric_0"] = step * 0.001
        run.log_metrics(metrics, step, step)
    run.finish("FINISHED", time.time_ns() // 1000)
    journal.close()
    return journal.directory, run_id


def _run_uploaders(directories: list[Path]) -> float:
    """Seconds until both have sent everything and left."""
    from runwire._uploader_start import start_uploader

    os.environ["RUNWIRE_QUIET"] = "1"
    start = time.perf_counter()
    running = [start_uploader(directory) for directory in directories]
    while any(is_running() for is_running in running):
        time.sleep(0.005)
    return time.perf_counter() - start


def _stored_points(uri: str, run_ids: list[str]) -> int:
    import runwire

    with runwire.Client(uri) as client:
        return sum(series.points for run_id in run_ids for series in client.metrics.list(run_id))


def many_jobs(work: Work) -> dict[str, Any]:
    """I3: 64 training processes, each with its uploader, against one server process.

    Journals are bounded to 8 MiB, so the jobs feel the pace of the server, as they
    would in a long run; what counts is what was acknowledged when all is in.
    """
    jobs, seconds = (16, 5.0) if work.quick else (64, 20.0)
    blobs = anchors.sqlite_append(work.folder, 256 * 1024)
    context = multiprocessing.get_context("spawn")
    with work.server() as uri:
        results, ready, go = context.Queue(), context.Semaphore(0), context.Event()
        arguments = (uri, work.folder / "journals", seconds, results, ready, go)
        processes = [context.Process(target=_job, args=arguments) for _ in range(jobs)]
        for process in processes:
            process.start()
        for _ in processes:
            ready.acquire()
        go.set()
        start = time.perf_counter()
        answers = [results.get() for _ in processes]
        for process in processes:
            process.join()
        elapsed = time.perf_counter() - start
        points = sum(calls for _, calls, _, _ in answers) * KEYS
        stored = _stored_points(uri, [run_id for run_id, _, _, _ in answers])
    if stored != points:
        raise SystemExit(f"I3: {points} points were logged and {stored} are stored")
    return {
        "jobs": jobs,
        "points, all acknowledged": points,
        "points/s until all is acknowledged": points / elapsed,
        "p50 of a call, us (median of jobs)": sorted(p50 for _, _, p50, _ in answers)[jobs // 2],
        "p99 of a call, us (worst job)": max(p99 for _, _, _, p99 in answers),
        "anchor: SQLite blob append, MiB/s": blobs / anchors.MIB,
        "share of the SQLite anchor": points * POINT_BYTES / elapsed / blobs,
    }


def _job(uri: str, base: Path, seconds: float, results: Any, ready: Any, go: Any) -> None:
    os.environ |= {
        "RUNWIRE_DIR": str(base),
        "RUNWIRE_QUIET": "1",
        "RUNWIRE_JOURNAL_QUOTA": str(8 << 20),
        "RUNWIRE_JOURNAL_BLOCK_S": "60",
    }
    import runwire

    runwire.set_tracking_uri(uri)
    metrics = {f"metric_{i}": i * 0.1 for i in range(KEYS)}
    times: list[int] = []
    with runwire.start_run() as run:
        ready.release()
        go.wait()
        clock, end = time.perf_counter_ns, time.perf_counter() + seconds
        step = 0
        while time.perf_counter() < end:
            before = clock()
            runwire.log_metrics(metrics, step=step)
            if step % 16 == 0:
                times.append(clock() - before)
            step += 1
        if not runwire.flush(timeout=300):
            raise SystemExit("the flush timed out")
    times.sort()
    results.put((run.info.run_id, step, quantile(times, 0.5) / 1e3, quantile(times, 0.99) / 1e3))
