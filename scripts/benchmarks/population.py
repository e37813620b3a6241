"""Very many runs with params and summaries, made in bulk by SQL: what search is measured on.

Run number i has ten params and ten metrics, p0, m0 and m1 among them and the others spread
over 1,000 names each. p0 is 'x' in every tenth run and 'rare' in every thousandth; m0 and m1
are spread over 0 to 1, independent of each other and of p0, and NaN in every hundredth.
"""

from __future__ import annotations

import random
import uuid
from collections.abc import Iterator
from contextlib import closing

import sqlalchemy as sa
from runwire.v1.run_pb2 import Run
from runwire_server.metrics.keys import key_id
from runwire_server.store import migrations
from runwire_server.store.database import Database, Transaction
from runwire_server.store.tables import metric_keys, runs

NAMES = 1000
FIRST_START = 1_700_000_000_000_000
_RUNS_AT_ONCE = 10_000

# i is the run's number, j which of its ten entries.
_ENTRIES = """WITH RECURSIVE entries(j) AS (
    SELECT 0 UNION ALL SELECT j + 1 FROM entries WHERE j < 9
), numbered AS (
    SELECT run_id, experiment_id, start_time - :first AS i, j FROM runs CROSS JOIN entries
), named AS (
    SELECT numbered.*, CASE WHEN j <= :always THEN j
        ELSE :always + 1 + (i * 10 + j) % (:names - :always - 1) END AS name,
        (i * (7919 + j * 15485863) + i % 991 * 27644437) % 1000003 AS drawn
    FROM numbered
)"""
_INTO_PARAMS = "INSERT INTO run_params (run_id, key, value, number)"
_PARAMS = """SELECT run_id, 'p' || name,
    CASE WHEN j > 0 THEN CAST(drawn % 1000 AS TEXT)
        WHEN i % 10 = 0 THEN 'x' WHEN i % 1000 = 1 THEN 'rare' ELSE 'y' || i % 7 END,
    CASE WHEN j > 0 THEN CAST(drawn % 1000 AS DOUBLE PRECISION) END
FROM named ORDER BY run_id"""
_INTO_SUMMARIES = """INSERT INTO metric_summaries (experiment_id, key_id, run_id, points,
    first_step, last_step, last_time, last, min, max, sum, mean, non_finite)"""
_SUMMARIES = """, valued AS (
    SELECT named.*, 'm' || name AS label,
        CASE WHEN i % 100 <> 7 THEN drawn / 1000003.0 END AS last
    FROM named
)
SELECT experiment_id, key_id, run_id, 100, 0, 99, i + :first, last, last, last, 1.0, last, 0
FROM valued JOIN metric_keys ON metric_keys.name = label ORDER BY run_id"""


def fill(url: str, count: int) -> list[str]:
    """So many runs in experiment "0" of an empty database. Their ids."""
    with closing(Database(url)) as db:
        migrations.upgrade(db)
        with db.write() as tx:
            ids = _insert_runs(tx, count)
            names = [f"m{number}" for number in range(NAMES)]
            named = [{"key_id": key_id(name), "name": name} for name in names]
            tx.execute(metric_keys.insert(), named)
            numbers = {"first": FIRST_START, "names": NAMES}
            params = f"{_INTO_PARAMS} {_ENTRIES} {_PARAMS}"
            tx.execute(sa.text(params), numbers | {"always": 0})
            summaries = f"{_INTO_SUMMARIES} {_ENTRIES} {_SUMMARIES}"
            tx.execute(sa.text(summaries), numbers | {"always": 1})
        if db.is_postgres:  # as autovacuum does within a minute
            with db.write() as tx:
                tx.execute(sa.text("ANALYZE"))
    return ids


def _insert_runs(tx: Transaction, count: int) -> list[str]:
    drawn = random.Random(7)
    ids = [uuid.UUID(int=drawn.getrandbits(128)).hex for _ in range(count)]
    for start in range(0, count, _RUNS_AT_ONCE):
        some = ids[start : start + _RUNS_AT_ONCE]
        tx.execute(runs.insert(), list(_rows(some, start)))
    return ids


def _rows(ids: list[str], first: int) -> Iterator[dict[str, object]]:
    texts = dict.fromkeys(
        ("description", "source_name", "git_commit", "parent_run_id", "forked_run_id"), ""
    )
    for number, run_id in enumerate(ids, first):
        yield texts | {
            "run_id": run_id, "experiment_id": 0, "name": f"run-{number}", "user": "ada",
            "state": Run.STATE_FINISHED, "source": b"", "create_time": FIRST_START + number,
            "start_time": FIRST_START + number, "end_time": FIRST_START + number + 3_600_000_000,
            "summaries_stale": False, "revision": 2,
        }  # fmt: skip
