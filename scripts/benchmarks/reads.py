"""How fast points come back: whole to numpy in the client, and reduced by the server.

Both from frames as they came and from folded blocks, of random walks: their doubles use
all their bits, so that blocks are as large as they get.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from pcodec import ChunkConfig, standalone
from runwire import Client
from runwire_server.metrics.lease import Leases
from runwire_server.metrics.summaries import Summaries

from benchmarks import anchors, generated
from benchmarks.storage import database, fold
from benchmarks.work import Work

ROUNDS = 9
POINT_BYTES = 24  # step, time and value
MAX_POINTS = 2_000
BLOCK_ROWS = 1 << 15
QUERIES = {
    "frames": "SELECT data FROM metric_frames WHERE run_id = ?",
    "blocks": "SELECT data FROM metric_block_parts WHERE run_id = ?",
}


def one_series(work: Work) -> dict[str, Any]:
    """R1: a million points of one series to numpy arrays of the client."""
    points = work.size(1_000_000)
    sent = generated.walks_of(1, points)
    figures: dict[str, Any] = {"points": points}
    with _served(work, 1, points) as (client, run_ids):
        for kind, run_id in run_ids.items():
            seconds, found = _timed(partial(client.metrics.read, run_id))
            if not np.array_equal(found[run_id, "metric_0000000"].values, sent[:, 0]):
                raise SystemExit("R1: what was read is not what was written")
            figures[f"from {kind}, ms"] = seconds * 1e3
        figures |= _sqlite(work, run_ids) | _decompression(sent)
    rate = anchors.loopback_copy()
    return figures | {"anchor: loopback copy of the answer, ms": points * POINT_BYTES / rate * 1e3}


def reduced(work: Work) -> dict[str, Any]:
    """R2: 200 series of 100,000 points each, reduced to 2,000 each."""
    keys, rows = 200, work.size(100_000)
    sent = generated.walks_of(keys, rows)
    figures: dict[str, Any] = {"points": keys * rows}
    wrong = 0
    with _served(work, keys, rows) as (client, run_ids):
        for reduce in ("BUCKETS", "SHAPE"):
            for kind, run_id in run_ids.items():
                read: Any = partial(client.metrics.read, reduce=reduce, max_points=MAX_POINTS)
                seconds, found = _timed(partial(read, run_id))
                figures[f"{reduce} from {kind}, ms"] = seconds * 1e3
                wrong += sum(
                    _extremes(found[run_id, f"metric_{key:07}"])
                    != (sent[:, key].min(), sent[:, key].max())
                    for key in range(keys)
                )
        figures |= {"series whose extremes are not exact": wrong}
        figures |= _sqlite(work, run_ids) | _decompression(sent) | _reduction(sent)
    return figures


def _extremes(one: Any) -> tuple[float, float]:
    if hasattr(one, "values"):
        return one.values.min(), one.values.max()
    return one.min.min(), one.max.max()


@contextmanager
def _served(work: Work, keys: int, rows: int) -> Iterator[tuple[Client, dict[str, str]]]:
    """A client of a server that has the walks twice: its runs by how they are stored."""
    path = _path(work)
    path.parent.mkdir()
    with closing(database(path)) as db:
        run_ids = {kind: generated.run(db, keys, rows, walks=True) for kind in QUERIES}
        Summaries(db).refresh_run(run_ids["frames"])
        fold(db, run_ids["blocks"])
        # A lease that nobody renews: for half a minute or more the server folds nothing.
        Leases(db).take(run_ids["frames"])
    with work.server() as uri, Client(uri) as client:
        yield client, run_ids


def _path(work: Work) -> Path:
    return work.folder / "runwire-data" / "runwire.db"


def _sqlite(work: Work, run_ids: dict[str, str]) -> dict[str, float]:
    """Anchors: reading what is stored of the points, and no more."""
    figures = {}
    with closing(sqlite3.connect(_path(work))) as connection:
        connection.execute("PRAGMA cache_size = -65536")
        for kind, run_id in run_ids.items():

            def fetch(query: str = QUERIES[kind], run_id: str = run_id) -> int:
                return sum(len(data) for (data,) in connection.execute(query, (run_id,)))

            figures[f"anchor: SQLite reading the {kind}, ms"] = _timed(fetch)[0] * 1e3
    return figures


def _decompression(values: np.ndarray[Any, Any]) -> dict[str, float]:
    """Anchor: pcodec alone, of values [row, key]."""
    level = ChunkConfig(compression_level=4)
    packed = [
        standalone.simple_compress(np.ascontiguousarray(part), level)
        for column in values.T
        for part in np.array_split(column, -(-len(column) // BLOCK_ROWS))
    ]
    seconds, _ = _timed(lambda: [standalone.simple_decompress(one) is None for one in packed])
    return {"anchor: decompression alone, ms": seconds * 1e3}


def _reduction(values: np.ndarray[Any, Any]) -> dict[str, float]:
    """Anchor: numpy alone, of values [row, key] as columns that lie in memory."""
    columns = np.ascontiguousarray(values.T)
    starts = np.linspace(0, len(values), MAX_POINTS, endpoint=False).astype(np.intp)

    def reduce() -> None:
        for column in columns:
            for statistic in (np.minimum, np.maximum, np.add):
                statistic.reduceat(column, starts)

    return {"anchor: numpy reduction alone, ms": _timed(reduce)[0] * 1e3}


def _timed(read: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds, the median of some rounds after a first one; and what was read."""
    found, times = read(), []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        found = read()
        times.append(time.perf_counter() - start)
    return sorted(times)[ROUNDS // 2], found
