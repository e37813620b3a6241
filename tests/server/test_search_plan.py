"""Wherever a search starts, it finds the same; and it starts where few rows are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire_server.metrics.keys import key_id
from runwire_server.metrics.summaries import Summaries
from runwire_server.store import search_plan
from runwire_server.store.database import Database, Transaction
from runwire_server.store.search import RUNS, search
from runwire_server.store.tables import metric_summaries, run_params, run_tags, runs

from .trials import START, STATES, TRIALS, Trial, insert_run

# The same with and without a plan ---------------------------------------------------

TERMS = [
    "metrics.m > 0.1", "metrics.m <= 0.5", "metrics.m = NaN", "metrics.m != 1", "metrics.m = 10",
    "metrics.m IN (0, 0.5)", "min(metrics.m) > -2", "metrics.`val/loss` >= 0.5", "metrics.none > 0",
    "params.p = 10", "params.p > 0.5", "params.p IN (9, 10)", "params.p LIKE '1%'",
    "params.p IS NULL", "params.p = '😀'", "tags.t LIKE '%'", "start_time > 1700000000002",
    "start_time IS NULL", f"parent_run_id = '{0:032x}'", f"run_id IN ('{0:032x}', '{1:032x}')",
    "name != 'x'", "state = 'RUNNING'", "NOT params.p = 'a'", "(params.p = 'a' OR metrics.m > 0.2)",
    *(f"params.p = '{text}'" for text in ("a", "A", "10", "1e1", "NaN", "")),
    "params.p IN ('a', 'ab')", "params.p IN ('10', '9', '1e1')", "params.p IN ('10', 'a')",
    *(f"tags.t = '{text}'" for text in ("a", "10", "b_c", "")), "tags.t IN ('a', 'ä')",
]  # fmt: skip
ORDERS = ["metrics.m", "min(metrics.m)", "metrics.`val/loss`", "metrics.none", "params.p", "tags.t",
          "start_time", "name", "run_id"]  # fmt: skip
orders = st.builds("{} {}".format, st.sampled_from(ORDERS), st.sampled_from(["ASC", "DESC"]))


def of_experiments(*keys: int) -> dict[str, Any]:
    def home(column: sa.ColumnElement[Any]) -> sa.ColumnElement[bool]:
        return column == keys[0] if len(keys) == 1 else column.in_(keys)

    return {"home": home}


def anywhere(*keys: int) -> dict[str, Any]:
    """The same experiments, as a search without a plan has them."""
    return {"scope": [runs.c.experiment_id.in_(keys)]}


def visited(tx: Transaction, page_size: int, **query: Any) -> list[str]:
    found, token = [], ""
    while True:
        rows, token = search(tx, RUNS, page_size=page_size, page_token=token, **query)
        found += [row.run_id for row in rows]
        if not token:
            return found
        assert len(rows) == page_size


@pytest.fixture
def tx(db: Database) -> Iterator[Transaction]:
    with db.write() as transaction:
        for trial in TRIALS:
            insert_run(transaction, trial)
    with db.read() as transaction:
        yield transaction


@settings(max_examples=400)
@given(
    terms=st.lists(st.sampled_from(TERMS), max_size=3),
    order=st.lists(orders, max_size=2),
    experiments=st.sampled_from([(1,), (2,), (1, 2), ()]),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 4), st.integers(0, 12)),
)
def test_every_plan_visits_the_same_runs_in_the_same_order(
    tx: Transaction,
    terms: list[str],
    order: list[str],
    experiments: tuple[int, ...],
    sizes: tuple[int, int, int],
) -> None:
    page_size, window, counted = sizes
    query = {"filter": " AND ".join(terms), "order_by": ", ".join(order)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_plan, "FIRST_WINDOW", window)
        patch.setattr(search_plan, "GROWTH", 2)
        patch.setattr(search_plan, "MOST_COUNTED", counted)
        planned = visited(tx, page_size, **query, **of_experiments(*experiments))
    assert planned == visited(tx, 1000, **query, **anywhere(*experiments))


def test_texts_longer_than_an_index_holds_are_told_apart(db: Database) -> None:
    long = "ä" * 100
    with db.write() as tx:
        for number, text in enumerate([long, long + "b", "ä" * 64, "0" * 80, "0" * 79]):
            trial = Trial(f"{number:032x}", 1, "", "RUNNING", None, params={"p": text})
            insert_run(tx, trial)
    with db.read() as tx:
        for number, text in enumerate([long, long + "b", "ä" * 64, "0" * 80, "0" * 79]):
            found = visited(tx, 10, filter=f"params.p = '{text}'", **of_experiments(1))
            assert found == [f"{number:032x}"]


# What is read -------------------------------------------------------------------------

COUNT = 3000


def fill(tx: Transaction) -> None:
    """Runs with three params, tags and metrics each; every 300th is 'rare'."""
    texts = ["description", "user", "source_name", "git_commit", "forked_run_id", "parent_run_id"]
    numbers = dict.fromkeys(["first_step", "last_step", "last_time", "sum", "non_finite"], 0)
    made: dict[sa.Table, list[dict[str, Any]]] = {
        table: [] for table in (runs, run_params, run_tags, metric_summaries)
    }
    for i in range(COUNT):
        owner = {"run_id": f"{i * 7919 % 10007:032x}"}
        made[runs].append(
            {**dict.fromkeys(texts, ""), **owner, "experiment_id": 1, "name": f"run-{i}",
             "state": STATES["FINISHED"], "source": b"", "create_time": 0,
             "start_time": START * 1000 + i, "summaries_stale": False, "revision": 1}
        )  # fmt: skip
        word = "x" if i % 300 else "rare"
        for j in range(3):
            made[run_params].append({**owner, "key": f"p{j}", "value": word, "number": None})
            made[run_tags].append({**owner, "key": f"t{j}", "value": word})
            value = (i * 7919 + j * 31) % COUNT / COUNT
            of_key = {"experiment_id": 1, "key_id": key_id(f"m{j}"), "points": 1}
            made[metric_summaries].append(
                {**numbers, **owner, **of_key, "last": value, "min": value, "max": value}
            )
    for table, rows in made.items():
        tx.execute(sa.insert(table), rows)


@pytest.fixture
def filled(db: Database) -> Database:
    with db.write() as tx:
        fill(tx)
        tx.execute(sa.text("ANALYZE"))
    return db


def read(db: Database, **query: Any) -> list[str]:
    """What the statements of a search read, in the order of reading: index and constraints on
    SQLite, index and number of rows on PostgreSQL."""
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    with db.read() as tx, pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_plan, "MOST_COUNTED", COUNT // 15)
        sa.event.listen(db.engine, "before_cursor_execute", note)
        try:
            search(tx, RUNS, page_size=20, **query, **of_experiments(1))
        finally:
            sa.event.remove(db.engine, "before_cursor_execute", note)
        return [
            line
            for statement, parameters in statements
            if statement.startswith("SELECT") and "set_config" not in statement
            for line in explained(tx, statement, parameters)
        ]


def explained(tx: Transaction, statement: str, parameters: Any) -> Iterator[str]:
    how = "EXPLAIN (ANALYZE, FORMAT JSON)" if tx.is_postgres else "EXPLAIN QUERY PLAN"
    result = tx.connection.exec_driver_sql(f"{how} {statement}", parameters)
    if tx.is_postgres:
        yield from scans(result.scalar_one()[0]["Plan"])
    else:
        yield from (row[3] for row in result)


def scans(node: dict[str, Any]) -> Iterator[str]:
    if "Relation Name" in node:
        rows = node["Actual Rows"] * node["Actual Loops"]
        verb = "SCAN" if node["Node Type"] == "Seq Scan" else "SEARCH"
        yield f"{verb} {node['Relation Name']} {node.get('Index Name', '')} {rows:.0f}"
    for child in node.get("Plans", ()):
        yield from scans(child)


def whole_tables(lines: list[str]) -> list[str]:
    names = ("runs", "run_params", "run_tags", "metric_summaries")
    return [line for line in lines if line.startswith(tuple(f"SCAN {name}" for name in names))]


def rows_read(lines: list[str]) -> int:
    return sum(int(line.rsplit(" ", 1)[-1]) for line in lines)


SELECTIVE = {
    "params.p0 = 'rare'": "ix_run_params_value (key=? AND number=? AND <expr>=?)",
    "tags.t0 = 'rare'": "ix_run_tags_value (key=? AND <expr>=?)",
    "metrics.m0 > 0.999": "ix_metric_summaries_last (experiment_id=? AND key_id=? AND last>?)",
    "metrics.m0 = 0.5": "ix_metric_summaries_last (experiment_id=? AND key_id=? AND last=?)",
    "params.p0 = 'rare' AND metrics.m0 > 0.1": "(key=? AND number=? AND <expr>=?)",
    "metrics.m0 < 0.9 AND tags.t1 IN ('rare', 'none')": "(key=? AND <expr>=?)",
    f"run_id = '{7919:032x}'": "(run_id=?)",
}


@pytest.mark.parametrize("order_by", ["", "metrics.m1 DESC", "params.p1"])
def test_selective_filter_starts_from_the_rows_it_finds(filled: Database, order_by: str) -> None:
    for filter, constraints in SELECTIVE.items():
        lines = read(filled, filter=filter, order_by=order_by)
        assert not whole_tables(lines)
        if filled.is_postgres:
            assert rows_read(lines) < COUNT // 5, filter
        else:
            page = lines[-1 - lines[::-1].index("SCAN anon_1") :][1:]
            assert constraints in page[0], filter


ORDERED = {
    "": "ix_runs_experiment_id_start_time (experiment_id=? AND start_time",
    "start_time": "ix_runs_experiment_id_start_time (experiment_id=? AND start_time",
    "metrics.m1 DESC": "ix_metric_summaries_last (experiment_id=? AND key_id=? AND last",
    "metrics.m1, name": "ix_metric_summaries_last (experiment_id=? AND key_id=? AND last",
}


@pytest.mark.parametrize("filter", ["", "params.p0 = 'x'", "metrics.m0 > 0.1", "name != 'run-1'"])
def test_first_page_in_order_walks_the_index_of_the_order(filled: Database, filter: str) -> None:
    for order_by, constraints in ORDERED.items():
        lines = read(filled, filter=filter, order_by=order_by)
        assert not whole_tables(lines)
        if filled.is_postgres:
            assert rows_read(lines) < COUNT // 2, order_by
        else:
            page = lines[-1 - lines[::-1].index("SCAN anon_1") :][2:]  # after the window's edge
            assert constraints in page[0], order_by


@pytest.mark.parametrize("experiments", [None, [1], [1, 2]])
def test_stale_runs_are_found_by_their_own_index(
    filled: Database, experiments: list[int] | None
) -> None:
    """Every search asks for them first, and there are few or none."""
    statements: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        statements.append((statement, parameters))

    sa.event.listen(filled.engine, "before_cursor_execute", note)
    assert Summaries(filled).stale(experiment_ids=experiments) == []
    sa.event.remove(filled.engine, "before_cursor_execute", note)
    with filled.read() as tx:
        (line,) = explained(tx, *statements[-1])
    assert "ix_runs_stale" in line
