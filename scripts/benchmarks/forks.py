"""Forks of a process that logs: none hangs, none crashes, and what was logged is there once."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
import warnings
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.work import Work

WORKERS = 8
"""Children at a time, as of a DataLoader(num_workers=8)."""
LOGGERS_EVERY = 4
ROWS = 10
DEADLINE_S = 30.0


def fork_while_logging(work: Work) -> dict[str, Any]:
    """L5: in a process of its own that logs from a thread and holds a client with a channel."""
    rounds = work.size(1_000) // WORKERS
    with (
        work.server() as uri,
        ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as parent,
    ):
        return parent.submit(_parent, uri, work.folder / "journals", rounds).result()


def _parent(uri: str, journals: Path, rounds: int) -> dict[str, Any]:
    os.environ |= {"RUNWIRE_DIR": str(journals), "RUNWIRE_QUIET": "1"}
    import runwire

    # Python's warning that a process with threads forks: that is what is measured here.
    warnings.simplefilter("ignore", DeprecationWarning)
    runwire.set_tracking_uri(uri)
    with runwire.Client(uri) as client:
        with runwire.start_run() as run:
            stop = threading.Event()
            logged: list[int] = []
            logger = threading.Thread(target=_log_until, args=(stop, logged))
            logger.start()
            begin = time.perf_counter()
            codes = [code for number in range(rounds) for code in _data_loader(number)]
            seconds = time.perf_counter() - begin
            stop.set()
            logger.join()
        _wait_until_sent(journals)
        of_children = range(len(codes) // LOGGERS_EVERY * ROWS)
        found = client.metrics.read(run.info.run_id)
        steps = {key: found[run.info.run_id, key].steps.tolist() for key in ("parent", "child")}
    expected = {"parent": set(range(logged[0])), "child": set(of_children)}
    return {
        "forks": len(codes),
        "forks/s": len(codes) / seconds,
        "hangs": sum(code is None for code in codes),
        "crashes": sum(code not in (0, None) for code in codes),
        "rows of the parent": logged[0],
        "rows of children": len(of_children),
        "lost": sum(len(expected[key] - set(steps[key])) for key in steps),
        "doubled": sum(len(steps[key]) - len(set(steps[key])) for key in steps),
    }


def _log_until(stop: threading.Event, logged: list[int]) -> None:
    import runwire

    step = 0
    while not stop.wait(0.001):
        for _ in range(100):
            runwire.log_metric("parent", 1.0, step=step)
            step += 1
    logged.append(step)


def _data_loader(number: int) -> list[int | None]:
    """Forks one batch of workers; their exit codes, None of those that hung."""
    context = multiprocessing.get_context("fork")
    first = number * WORKERS
    workers = [
        context.Process(target=_worker, args=(first + index,), daemon=True)
        for index in range(WORKERS)
    ]
    for worker in workers:
        worker.start()
    deadline = time.perf_counter() + DEADLINE_S
    codes = []
    for worker in workers:
        worker.join(max(0.0, deadline - time.perf_counter()))
        codes.append(worker.exitcode)
        if worker.exitcode is None:
            worker.kill()
            worker.join()
    return codes


def _worker(number: int) -> None:
    """Some data; of every fourth worker, rows to the parent's run."""
    import runwire

    sum(range(10_000))
    if number % LOGGERS_EVERY == 0:
        for row in range(ROWS):
            runwire.log_metric("child", 1.0, step=number // LOGGERS_EVERY * ROWS + row)


def _wait_until_sent(journals: Path) -> None:
    """An uploader removes the journal of a process that has ended once all of it is stored."""
    deadline = time.perf_counter() + 300
    while len(list(journals.glob("*/meta.json"))) > 1:  # ours stays until we end
        if time.perf_counter() > deadline:
            raise SystemExit("L5: the children's journals were not sent within five minutes")
        time.sleep(0.05)
