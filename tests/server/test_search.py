"""Search against a model of it in plain Python, over a small population of runs."""

from __future__ import annotations

import math
import operator
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cmp_to_key
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from runwire_server.errors import FilterSyntax, PageTokenMismatch
from runwire_server.store.database import Database, Transaction
from runwire_server.store.search import MODELS, RUNS, search

from .trials import (
    NUMBERS,
    START,
    STATES,
    TEXTS,
    TRIALS,
    Trial,
    found,
    insert_run,
    number_of,
    started,
)


@pytest.fixture
def tx(db: Database) -> Iterator[Transaction]:
    with db.write() as transaction:
        for trial in TRIALS:
            insert_run(transaction, trial)
    with db.read() as transaction:
        yield transaction


# The model: a strategy of (text, predicate) pairs ----------------------------------

Predicate = Callable[[Trial], bool]
Term = tuple[str, Predicate]
SIGNS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "==": operator.eq, "!=": operator.ne, "<>": operator.ne,
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge,
}  # fmt: skip


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def like(text: str, pattern: str, flags: int = 0) -> bool:
    parts = re.findall(r"\\.|.", pattern, re.DOTALL)
    wild = {"%": ".*", "_": "."}
    regex = "".join(wild.get(part) or re.escape(part[-1]) for part in parts)
    return re.fullmatch(regex, text, flags | re.DOTALL | re.ASCII) is not None


def on_text(key: str, get: Callable[[Trial], str | None]) -> st.SearchStrategy[Term]:
    """Comparisons of a text; get gives None where it is missing."""

    def made(test: Callable[[str], bool]) -> Predicate:
        def predicate(trial: Trial) -> bool:
            value = get(trial)
            return value is not None and test(value)

        return predicate

    texts = st.sampled_from(TEXTS[1:])
    patterns = st.sampled_from(
        ["%", "a%", "A_", "%b%", "_", "100\\%", "b\\_%", "%\\\\%", "ä", "1%"]
    )
    signs = st.builds(
        lambda sign, value: (
            f"{key} {sign} {quoted(value)}",
            made(lambda text: SIGNS[sign](text, value)),
        ),
        st.sampled_from(list(SIGNS)),
        texts,
    )
    likes = st.builds(
        lambda word, negated, pattern: (
            f"{key} {'NOT ' * negated}{word} {quoted(pattern)}",
            made(lambda text: like(text, pattern, re.IGNORECASE * (word == "ILIKE")) != negated),
        ),
        st.sampled_from(["LIKE", "ILIKE"]),
        st.booleans(),
        patterns,
    )
    lists = st.builds(
        lambda negated, values: (
            f"{key} {'not ' * negated}in ({', '.join(map(quoted, values))})",
            made(lambda text: (text in values) != negated),
        ),
        st.booleans(),
        st.lists(texts, min_size=1, max_size=3),
    )
    nulls = st.sampled_from(
        [
            (f"{key} IS NULL", lambda trial: get(trial) is None),
            (f"{key} IS NOT NULL", lambda trial: get(trial) is not None),
        ]
    )
    return signs | likes | lists | nulls


def on_number(key: str, get: Callable[[Trial], float | None]) -> st.SearchStrategy[Term]:
    def made(sign: str, number: float) -> Term:
        def predicate(trial: Trial) -> bool:
            value = get(trial)
            return value is not None and SIGNS[sign](value, number)

        return f"{key} {sign} {number!r}", predicate

    return st.builds(made, st.sampled_from(list(SIGNS)), st.sampled_from(NUMBERS))


def last_of(trial: Trial) -> float | None:
    series = trial.metrics.get("m")
    return None if series is None else math.nan if series.last is None else series.last


def of_series(name: str, column: str) -> Callable[[Trial], float | None]:
    return lambda trial: getattr(trial.metrics[name], column) if name in trial.metrics else None


def on_time() -> st.SearchStrategy[Term]:
    def made(sign: str, milliseconds: int) -> Term:
        def predicate(trial: Trial) -> bool:
            value = started(trial)
            return value is not None and SIGNS[sign](value, milliseconds)

        return f"start_time {sign} {milliseconds}", predicate

    return st.builds(made, st.sampled_from(list(SIGNS)), st.integers(START, START + 8))


def on_datasets() -> st.SearchStrategy[Term]:
    return st.sampled_from(["train", "test", "x"]).map(
        lambda name: (f"dataset.name = '{name}'", lambda trial: name in trial.datasets)
    )


def on_states() -> st.SearchStrategy[Term]:
    def made(names: list[str]) -> Term:
        listed = ", ".join(f"'{name.lower()}'" for name in names)
        return f"status IN ({listed})", lambda trial: trial.state in names

    return st.lists(st.sampled_from(list(STATES)), min_size=1, max_size=2).map(made)


comparisons = st.one_of(
    on_text("params.p", lambda trial: trial.params.get("p")),
    on_text("tags.t", lambda trial: trial.tags.get("t")),
    on_text('tag."odd key/1"', lambda trial: trial.tags.get("odd key/1")),
    on_text("tags.nowhere", lambda trial: None),
    on_text("run_name", lambda trial: trial.name or None),
    on_number("params.p", lambda trial: number_of(trial.params.get("p", ""))),
    on_number("metrics.m", last_of),
    on_number("min(metrics.m)", of_series("m", "min")),
    on_number("max(metrics.m)", of_series("m", "max")),
    on_number("mean(metrics.m)", of_series("m", "mean")),
    on_number("metrics.val/loss", of_series("val/loss", "last")),
    on_number("metrics.nowhere", lambda trial: None),
    on_time(),
    on_datasets(),
    on_states(),
)


def combined(inner: st.SearchStrategy[Term]) -> st.SearchStrategy[Term]:
    def negation(term: Term) -> Term:
        return f"NOT ({term[0]})", lambda trial: not term[1](trial)

    def conjunction(terms: Sequence[Term]) -> Term:
        text = " AND ".join(f"({text})" for text, _ in terms)
        return text, lambda trial: all(test(trial) for _, test in terms)

    def disjunction(terms: Sequence[Term]) -> Term:
        # No brackets: AND and NOT bind stronger.
        return " or ".join(text for text, _ in terms), lambda trial: any(t(trial) for _, t in terms)

    several = st.lists(inner, min_size=2, max_size=3)
    return inner.map(negation) | several.map(conjunction) | several.map(disjunction)


expressions = st.recursive(comparisons, combined, max_leaves=8)


@settings(max_examples=300)
@given(term=expressions)
def test_filter_finds_what_the_same_test_in_python_finds(tx: Transaction, term: Term) -> None:
    text, predicate = term
    assert sorted(found(tx, text)) == sorted(t.run_id for t in TRIALS if predicate(t))


# Order and paging ---------------------------------------------------------------------

SORTS: dict[str, list[Callable[[Trial], Any]]] = {
    "metrics.m": [lambda t: t.metrics["m"].last if "m" in t.metrics else None],
    "min(metrics.m)": [of_series("m", "min")],
    "count(metrics.m)": [of_series("m", "points")],
    "metrics.`val/loss`": [of_series("val/loss", "last")],
    "params.p": [lambda t: number_of(t.params.get("p", "")), lambda t: t.params.get("p")],
    "tags.t": [lambda t: t.tags.get("t")],
    "start_time": [lambda t: t.start_time],
    "state": [lambda t: STATES[t.state]],
    "name": [lambda t: t.name or None],
    "parent_run_id": [lambda t: t.parent_run_id or None],
    "attribute.experiment_id": [lambda t: t.experiment_id],
    "run_id": [lambda t: t.run_id],
}


def in_order(terms: Sequence[tuple[str, bool]]) -> list[str]:
    def compare(one: Trial, other: Trial) -> int:
        for name, descending in terms:
            for get in SORTS[name]:
                a, b = get(one), get(other)
                if a == b:
                    continue
                if a is None or b is None:
                    return 1 if a is None else -1
                return (1 if a > b else -1) * (-1 if descending else 1)
        return 1 if one.run_id > other.run_id else -1

    return [trial.run_id for trial in sorted(TRIALS, key=cmp_to_key(compare))]


@settings(max_examples=150)
@given(
    terms=st.lists(st.tuples(st.sampled_from(list(SORTS)), st.booleans()), min_size=1, max_size=4),
    page_size=st.integers(1, 9),
)
def test_pages_visit_every_row_once_in_order(
    tx: Transaction, terms: list[tuple[str, bool]], page_size: int
) -> None:
    order_by = ", ".join(f"{name} {'desc' if way else 'ASC'}" for name, way in terms)
    visited, token = [], ""
    while True:
        rows, token = search(tx, RUNS, order_by=order_by, page_size=page_size, page_token=token)
        visited += [row.run_id for row in rows]
        if not token:
            break
        assert len(rows) == page_size
    assert visited == in_order(terms)


def test_runs_come_newest_first_unless_asked_otherwise(tx: Transaction) -> None:
    assert found(tx, "") == in_order([("start_time", True)])


def test_exact_last_page_has_no_further_token(tx: Transaction) -> None:
    rows, token = search(tx, RUNS, page_size=len(TRIALS))
    assert (len(rows), token) == (len(TRIALS), "")
    assert search(tx, RUNS, filter="name = 'nobody'") == ([], "")


def test_token_is_good_for_its_own_query_only_and_any_page_size(tx: Transaction) -> None:
    query: dict[str, Any] = {"filter": "metrics.m > 0", "order_by": "name", "arguments": ("w", 1)}
    _, token = search(tx, RUNS, page_size=2, **query)
    assert search(tx, RUNS, page_size=3, page_token=token, **query)[0]
    changes: list[dict[str, Any]] = [
        {"filter": "metrics.m > 1"}, {"order_by": "name desc"}, {"arguments": ("w", 2)},
    ]  # fmt: skip
    for change in changes:
        with pytest.raises(PageTokenMismatch):
            search(tx, RUNS, page_token=token, **{**query, **change})
    with pytest.raises(PageTokenMismatch):
        search(tx, MODELS, page_token=token)


def test_long_texts_keep_the_token_short(db: Database) -> None:
    with db.write() as tx:
        for i in range(3):
            trial = Trial(f"{i:032x}", 1, "", "RUNNING", None)
            trial.tags["t"] = "😀" * 5000 + str(i)
            insert_run(tx, trial)
        rows, token = search(tx, RUNS, order_by="tags.t desc", page_size=1)
        assert len(token) < 2000
        rest, _ = search(tx, RUNS, order_by="tags.t desc", page_token=token)
    # Equal in what is sorted by, so the id decides.
    assert [row.run_id for row in rows + rest] == [f"{i:032x}" for i in range(3)]


# Whatever is asked --------------------------------------------------------------------


WORDS = """
name metrics.m params.p tags.`t` state start_time experiment_id run_id datasets.name min(metrics.m)
'a' '%\\' '2023-01-01' 1 -2.5e3 nan Inf 999999999999999999999999999999
= != < IN ( ) , AND OR NOT IS NULL LIKE DESC
"""
words = st.sampled_from(WORDS.split())


def searched(tx: Transaction, **query: Any) -> None:
    """Finds rows, or says what is wrong with the query; anything else is a fault of ours."""
    with suppress(FilterSyntax):
        search(tx, RUNS, **query)


@given(filter=st.lists(words, max_size=8).map(" ".join), order_by=st.lists(words, max_size=4))
def test_any_filter_and_order_finds_rows_or_is_a_clear_error(
    tx: Transaction, filter: str, order_by: list[str]
) -> None:
    searched(tx, filter=filter)
    searched(tx, order_by=" ".join(order_by))


@given(
    column=st.sampled_from(["name", "metrics.m", "params.p", "start_time"]),
    filter=st.builds(
        "{} {} {}".format,
        st.sampled_from(["name", "params.p", "metrics.m", "start_time", "experiment_id", "state"]),
        st.sampled_from(["=", "<", "!=", "LIKE", "IN"]),
        st.one_of(st.text().map(quoted), st.floats().map(repr), st.integers().map(str)).flatmap(
            lambda value: st.sampled_from([value, f"({value})"])
        ),
    ),
)
def test_no_value_breaks_a_driver(tx: Transaction, column: str, filter: str) -> None:
    searched(tx, filter=filter, order_by=column)
