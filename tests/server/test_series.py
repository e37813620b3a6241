"""The list of a run's series: the same by either way of finding it, at a constant cost a page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import sqlalchemy as sa
from runwire_server.metrics import series
from runwire_server.metrics.keys import key_id
from runwire_server.store.database import Database, Transaction
from runwire_server.store.tables import metric_keys, metric_summaries

RUN, OTHER = "a" * 32, "b" * 32
NUMBERS = dict.fromkeys(["points", "first_step", "last_step", "last_time", "sum", "non_finite"], 1)
KEYS = ["a", "a/b", "a/ä", "a\ud7ff", "a\ue000", "A", "ab", "aa", "a%", "a_b", "b", "ä", "😀",
        "\U0010ffff", "\U0010ffffx", "a\U0010ffff"]  # fmt: skip
PREFIXES = ["", "a", "a/", "a\ud7ff", "a\U0010ffff", "\U0010ffff", "a%", "a_", "A", "none", "😀",
            "ä"]  # fmt: skip


def insert(tx: Transaction, run_id: str, keys: Sequence[str]) -> None:
    names = [{"key_id": key_id(key), "name": key} for key in keys]
    tx.execute(tx.insert(metric_keys).on_conflict_do_nothing(), names)
    rows = [
        {**NUMBERS, "experiment_id": 0, "run_id": run_id, "key_id": key_id(key)} for key in keys
    ]
    tx.execute(sa.insert(metric_summaries), rows)


def names(tx: Transaction, **how: Any) -> list[str]:
    return [row.name for row in series.select_series(tx, RUN, **{"limit": 100, **how})]


@pytest.fixture
def keys(db: Database) -> list[str]:
    with db.write() as tx:
        insert(tx, RUN, KEYS[::2])
        insert(tx, OTHER, KEYS)
    return sorted(KEYS[::2])


@pytest.mark.parametrize("very_many", [1, 1000])
def test_series_come_by_the_code_points_of_their_keys(
    db: Database, keys: list[str], monkeypatch: pytest.MonkeyPatch, very_many: int
) -> None:
    monkeypatch.setattr(series, "VERY_MANY", very_many)
    with db.read() as tx:
        for prefix in PREFIXES:
            wanted = [key for key in keys if key.startswith(prefix)]
            assert names(tx, prefixes=[prefix]) == wanted
            for after in keys:
                rest = [key for key in wanted if key > after]
                assert names(tx, prefixes=[prefix], after=after, limit=3) == rest[:3]
        two = ["a/", "b"]
        assert names(tx, prefixes=two) == [key for key in keys if key.startswith(tuple(two))]
        assert names(tx, keys=["a", "none"], prefixes=["b"]) == [
            key for key in keys if key == "a" or key.startswith("b")
        ]


@contextmanager
def statements(db: Database) -> Iterator[list[tuple[str, Any]]]:
    found: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        found.append((statement, parameters))

    sa.event.listen(db.engine, "before_cursor_execute", note)
    yield found
    sa.event.remove(db.engine, "before_cursor_execute", note)


@pytest.mark.parametrize("how", [{}, {"prefixes": ["metric_1"]}, {"after": "metric_1500"}])
def test_page_of_very_many_series_walks_the_names(
    db: Database, monkeypatch: pytest.MonkeyPatch, how: dict[str, Any]
) -> None:
    monkeypatch.setattr(series, "VERY_MANY", 100)
    with db.write() as tx:
        insert(tx, RUN, [f"metric_{number:04}" for number in range(2000)])
        tx.execute(sa.text("ANALYZE"))
    with db.read() as tx:
        with statements(db) as seen:
            assert len(names(tx, limit=20, **how)) == 20
        statement, parameters = seen[-1]
        if db.is_postgres:
            explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
            plan = tx.connection.exec_driver_sql(explain, parameters).scalar_one()[0]["Plan"]
            assert sum(rows(plan)) <= 100
        else:
            lines = tx.connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plan = [row[3] for row in lines]
            assert "ix_metric_keys_name" in plan[0]
            assert "(run_id=? AND key_id=?)" in plan[1]
            assert len(plan) == 2  # nothing is sorted


def rows(node: dict[str, Any]) -> Iterator[int]:
    """That each node of a plan gave."""
    yield int(node["Actual Rows"] * node["Actual Loops"])
    for child in node.get("Plans", ()):
        yield from rows(child)
