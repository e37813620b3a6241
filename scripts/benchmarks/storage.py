"""What metrics take once they are kept, and what a server does with very many of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import runwire
from runwire_server import gc
from runwire_server.metrics.folder import Folder, Outcome
from runwire_server.metrics.pressure import Pressure
from runwire_server.metrics.summaries import Summaries
from runwire_server.store import migrations
from runwire_server.store.database import Database

from benchmarks import anchors, generated
from benchmarks.work import Work

KEYS = 20
MIB = 1 << 20


def kept_size(work: Work) -> dict[str, Any]:
    """I5: bytes on disk of each point of noisy float32 losses after folding: the whole
    database file, with steps, times, summaries and indexes."""
    figures: dict[str, Any] = {}
    for keys in (KEYS, 1):
        points = work.size(20_000_000)
        path = work.folder / f"{keys}.db"
        with closing(database(path)) as db:
            empty = _file_bytes(db, path)
            run_id = generated.run(db, keys, points // keys)
            raw = _file_bytes(db, path) - empty
            seconds = _timed(lambda db=db, run_id=run_id: fold(db, run_id))  # type: ignore[misc]
            kept = _file_bytes(db, path) - empty
        figures |= {
            f"{keys} keys, points": points,
            f"{keys} keys, bytes a point": kept / points,
            f"{keys} keys, bytes a point before folding": raw / points,
            f"{keys} keys, folded M points/s": points / seconds / 1e6,
        }
    return figures


def restart(work: Work) -> dict[str, Any]:
    """S3: from SIGKILL, with frames that were not folded, to the first answers."""
    points = work.size(1 << 30) // 8 // KEYS * KEYS
    path = work.folder / "runwire-data" / "runwire.db"
    path.parent.mkdir()
    with closing(database(path)) as db:
        run_id = generated.run(db, KEYS, points // KEYS)
        frames = _file_bytes(db, path)
    disk = anchors.disk_append(work.folder)
    with work.server_process() as (server, uri), runwire.Client(uri) as client:
        client.metrics.log(run_id, {"metric_0000000": 1.0}, step=1)
        server.kill()
    start = time.perf_counter()
    with work.server() as uri, runwire.Client(uri) as client:
        client.runs.get(run_id, view="BASIC")
        answered = time.perf_counter() - start
        client.metrics.log(run_id, {"metric_0000000": 1.0}, step=2)
        written = time.perf_counter() - start
    return {
        "frames not folded, MiB": frames / MIB,
        "restart to first answer, s": answered,
        "restart to first acknowledged point, s": written,
        "anchor: disk append, MiB/s": disk / MIB,
    }


def delete_run(work: Work) -> dict[str, Any]:
    """S4: a run of 10^8 points from the trash to free space."""
    points = work.size(100_000_000)
    path = work.folder / "runwire.db"
    with closing(database(path)) as db:
        empty = _file_bytes(db, path)
        run_id = generated.run(db, KEYS, points // KEYS)
        folding = _timed(lambda: fold(db, run_id))
        full = _file_bytes(db, path)
        disk = anchors.disk_append(work.folder)
        _delete(db, run_id)
        seconds = _timed(lambda: gc.collect(db, 0.0))
        left = _file_bytes(db, path)
    return {
        "points": points,
        "MiB before": (full - empty) / MIB,
        "MiB left": (left - empty) / MIB,
        "seconds until the space is back": seconds,
        "folded M points/s": points / folding / 1e6,
        "anchor: disk append, MiB/s": disk / MIB,
    }


def big_run(work: Work) -> dict[str, Any]:
    """The shapes of page 7: a run with 10^9 points, and one with 1,000,000 keys."""
    points, keys = work.size(1_000_000_000), work.size(1_000_000)
    path = work.folder / "runwire-data" / "runwire.db"
    path.parent.mkdir()
    with closing(database(path)) as db:
        long = generated.run(db, KEYS, points // KEYS)
        folding = _timed(lambda: fold(db, long))
        wide = generated.run(db, keys, 2)
        fold(db, wide)
    with work.server() as uri, runwire.Client(uri) as client:
        name = "metric_0000007"

        def drawn() -> Any:
            return client.metrics.read(long, name, reduce="BUCKETS", max_points=2000)

        reading = _timed(drawn)
        part = _timed(lambda: client.metrics.read(long, name, start=1000, end=101_000))
        one = _timed(lambda: client.metrics.read(wide, f"metric_{keys - 1:07}"))
        listing = _timed(lambda: list(client.metrics.list(wide, f"metric_{keys // 2:07}"[:-2])))
    return {
        "points": points,
        "folded M points/s": points / folding / 1e6,
        "a whole series in 2,000 buckets, ms": reading * 1e3,
        "100,000 points of it, ms": part * 1e3,
        "keys": keys,
        "one of the keys, ms": one * 1e3,
        "keys under a prefix, ms": listing * 1e3,
    }


def database(path: Path) -> Database:
    db = Database(f"sqlite:///{path}")
    migrations.upgrade(db)
    return db


def fold(db: Database, run_id: str) -> None:
    folder = Folder(db, Summaries(db), Pressure())
    while folder.compact(run_id, 60.0) is not Outcome.DONE:
        pass


def _delete(db: Database, run_id: str) -> None:
    from runwire_server.store import run

    with db.write() as tx:
        run.delete(tx, run_id)


def _file_bytes(db: Database, path: Path) -> int:
    """Of the database file, with all that was written in it."""
    db.reclaim()
    return path.stat().st_size


def _timed(work: Callable[[], Any]) -> float:
    start = time.perf_counter()
    work()
    return time.perf_counter() - start
