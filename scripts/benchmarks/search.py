"""How fast runs are found and paged through, where there are very many."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import runwire
import sqlalchemy as sa
from runwire_server.metrics.keys import key_id
from runwire_server.store.database import Database

from benchmarks import anchors, population
from benchmarks.postgres import postgres
from benchmarks.work import Work

RUNS = 100_000
ROUNDS = 15
# The first two are the goal's; the others are no slower for being asked otherwise.
QUERIES = {
    "5 % pass, by the same metric": (
        "metrics.m0 > 0.5 AND params.p0 = 'x'", "metrics.m0 DESC"),
    "5 % pass, by another metric": (
        "metrics.m0 > 0.5 AND params.p0 = 'x'", "metrics.m1 DESC"),
    "1 in 2,000 passes": ("metrics.m0 > 0.5 AND params.p0 = 'rare'", "metrics.m1"),
    "none passes": ("metrics.m0 > 0.5 AND params.p0 = 'none'", "metrics.m1"),
    "no filter, by a metric": ("", "metrics.m1 DESC"),
    "no filter, newest first": ("", ""),
}  # fmt: skip
# Walks the order and looks the rest up, until the page is full.
BARE = """SELECT o.run_id, o.last FROM metric_summaries o
WHERE o.experiment_id = 0 AND o.key_id = :m1 AND o.last >= 0.94
AND EXISTS (SELECT 1 FROM run_params p WHERE p.run_id = o.run_id AND p.key = 'p0' AND p.value = 'x')
AND EXISTS (SELECT 1 FROM metric_summaries m WHERE m.experiment_id = 0 AND m.key_id = :m0
    AND m.run_id = o.run_id AND m.last > 0.5)
ORDER BY o.last DESC LIMIT 100"""


def filtered_search(work: Work) -> dict[str, Any]:
    """R4: the first 100 results over 100,000 runs, on each database."""
    figures: dict[str, Any] = {"runs": work.size(RUNS)}
    for name, url, uri in _populated(work):
        rpc = anchors.empty_rpc(uri)
        with runwire.Client(uri) as client:
            medians = {what: _search(client, *query) for what, query in QUERIES.items()}
        figures |= {f"{name}: {what}, p50 ms": ms for what, ms in medians.items()}
        figures[f"{name}: slowest p50, ms"] = max(medians.values())
        figures[f"anchor: {name}, bare SQL of one such plan, ms"] = _bare_sql(url)
        figures[f"anchor: {name}, small unary RPC, ms"] = rpc * 1e3
    return figures


def page_runs(work: Work) -> dict[str, Any]:
    """R5: every run with all that it carries, page by page; and one run by itself."""
    figures: dict[str, Any] = {"runs": work.size(RUNS)}
    for name, url, uri in _populated(work):
        rpc = anchors.empty_rpc(uri)
        with runwire.Client(uri) as client:
            start = time.perf_counter()
            found = [run.run_id for run in client.runs.search(view="FULL", page_size=1000)]
            rate = len(found) / (time.perf_counter() - start)
            one = found[len(found) // 2]
            got = _median_ms(lambda: client.runs.get(one), rounds=1000)  # noqa: B023
        if len(set(found)) != work.size(RUNS):
            raise SystemExit("R5: not every run came once")
        figures |= {
            f"{name}: FULL runs/s": rate,
            f"{name}: get_run, p50 ms": got,
            f"anchor: {name}, bare SQL rows of params and metrics, runs/s": _bare_rows(url),
            f"anchor: {name}, small unary RPC, ms": rpc * 1e3,
        }
    return figures


def _populated(work: Work) -> Iterator[tuple[str, str, str]]:
    """(name, database URL, server URI) of each database, filled, with a server on it."""
    for name, database in (("SQLite", _sqlite), ("PostgreSQL", postgres)):
        with database(work.folder) as url:
            population.fill(url, work.size(RUNS))
            with work.server("--backend-store-uri", url) as uri:
                yield name, url, uri


@contextmanager
def _sqlite(folder: Path) -> Iterator[str]:
    yield f"sqlite:///{folder / 'runs.db'}"


def _search(client: runwire.Client, filter: str, order_by: str) -> float:
    def first_page() -> Any:
        return client.runs.search(
            ["0"], filter=filter, order_by=order_by, view="BASIC", page_size=100
        ).page()

    return _median_ms(first_page, ROUNDS)


def _median_ms(call: Callable[[], Any], rounds: int) -> float:
    call()
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times) * 1e3


def _bare_sql(url: str) -> float:
    db = Database(url)
    keys = {"m0": key_id("m0"), "m1": key_id("m1")}
    with db.read() as tx:
        found = _median_ms(lambda: tx.execute(sa.text(BARE), keys).all(), ROUNDS)
    db.close()
    return found


def _bare_rows(url: str) -> float:
    """Runs/s of reading the params and metrics of the first 10,000 by run id."""
    db, count = Database(url), 10_000
    last = "SELECT max(run_id) FROM (SELECT run_id FROM runs ORDER BY run_id LIMIT 10000) AS first"
    start = time.perf_counter()
    with db.read() as tx:
        end = tx.execute(sa.text(last)).scalar_one()
        for columns in ("key, value FROM run_params", "key_id, last FROM metric_summaries"):
            query = f"SELECT run_id, {columns} WHERE run_id <= :end ORDER BY run_id"
            tx.execute(sa.text(query), {"end": end}).all()
    seconds = time.perf_counter() - start
    db.close()
    return count / seconds
