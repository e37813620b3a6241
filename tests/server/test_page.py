"""Page sizes, page tokens, and the condition that begins a page."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Sequence
from typing import Any

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from runwire_server.errors import FieldInvalid, PageTokenMismatch
from runwire_server.limits import LIMITS
from runwire_server.store import page

QUERY = page.query_hash("run", "metrics.loss < 1", "", ())

values = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"])),
)
positions = st.lists(values, max_size=9)


@pytest.mark.parametrize(
    ("asked", "given_"), [(0, 100), (1, 1), (100, 100), (10**6, LIMITS.max_page_size)]
)
def test_page_size_is_clamped(asked: int, given_: int) -> None:
    assert page.clamp(asked) == given_


def test_negative_page_size_is_refused() -> None:
    with pytest.raises(FieldInvalid) as raised:
        page.clamp(-1)
    assert raised.value.field == "page_size"


@given(positions)
def test_token_gives_the_position_back_bit_by_bit(position: list[Any]) -> None:
    decoded = page.decode(page.encode(position, QUERY), QUERY)
    assert [(type(value), repr(value)) for value in decoded] == [
        (type(value), repr(value)) for value in position
    ]


@given(positions)
def test_token_of_another_query_is_refused(position: list[Any]) -> None:
    for arguments in (("run", "metrics.loss < 2", "", ()), ("run", "metrics.loss < 1", "", (1,))):
        with pytest.raises(PageTokenMismatch):
            page.decode(page.encode(position, QUERY), page.query_hash(*arguments))


@given(st.text())
def test_text_that_is_no_token_is_refused(text: str) -> None:
    with pytest.raises(PageTokenMismatch):
        page.decode(text, QUERY)


@given(positions, st.data())
def test_damaged_token_is_refused(position: list[Any], data: st.DataObject) -> None:
    token = page.encode(position, QUERY)
    at = data.draw(st.integers(0, len(token) - 1))
    # Not the last character: some of its bits count for nothing.
    character = data.draw(st.sampled_from("AZaz09-_=+ ").filter(lambda c: c != token[at]))
    damaged = token[:at] + character + token[at + 1 :]
    if at < len(token) - 1:
        with pytest.raises(PageTokenMismatch):
            page.decode(damaged, QUERY)
    with pytest.raises(PageTokenMismatch):
        page.decode(token[:at], QUERY)


def forged(body: bytes) -> str:
    """A token with the right hash, as only somebody who reads this code would make it."""
    sealed = page._sealed(body, QUERY)
    return base64.urlsafe_b64encode(page._VERSION + sealed + body).decode().rstrip("=")


json_values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text()),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=5,
)
SORTED = [
    page.SortColumn(sa.column("a", sa.Double()), False, True),
    page.SortColumn(sa.column("b", sa.Text()), True, True),
    page.SortColumn(sa.column("c", sa.BigInteger()), False, False),
]


@given(st.one_of(json_values.map(json.dumps).map(str.encode), st.binary()))
def test_forged_token_is_refused_or_a_position(body: bytes) -> None:
    try:
        decoded = page.decode(forged(body), QUERY)
        page.after(SORTED, decoded)
    except PageTokenMismatch:
        return
    assert [type(value) for value in decoded] == [float, str, int]


@pytest.mark.parametrize(
    "body",
    [b'["f7ff8000000000000"]', b'["f00"]', b'["fzz"]', b'["s\\u0000"]', b'["s\\ud800"]', b'["x"]',
     b'["i9223372036854775808"]', b'["i1_0"]', b'[""]', b"[1]", b"[null]", b"{}", b"1",
     b"[" * 9999],
)  # fmt: skip
def test_forged_value_that_no_database_takes_is_refused(body: bytes) -> None:
    with pytest.raises(PageTokenMismatch):
        page.after(SORTED[:1], page.decode(forged(body), QUERY))


@pytest.mark.parametrize(
    "position",
    [
        (),
        (1.0, "a"),
        (1.0, "a", 3, 4),
        (1, "a", 3),
        (1.0, 2, 3),
        (1.0, "a", None),
        (1.0, "a", True),
    ],
)
def test_position_of_other_columns_is_refused(position: Sequence[Any]) -> None:
    with pytest.raises(PageTokenMismatch):
        page.after(SORTED, position)


rows = st.tuples(
    st.one_of(st.none(), st.sampled_from([-math.inf, -1.5, -0.0, 0.0, 5e-324, 0.1, math.inf])),
    st.one_of(st.none(), st.sampled_from(["", "a", "B", "ä", "\uffff", "😀"])),
    st.integers(-(2**63), 2**63 - 1),
)


@given(st.lists(rows, min_size=1, max_size=12, unique_by=lambda row: row[2]), st.data())
def test_after_a_row_come_exactly_the_rows_sorted_behind_it(
    rows: list[tuple[Any, ...]], data: st.DataObject
) -> None:
    descending = data.draw(st.tuples(st.booleans(), st.booleans(), st.booleans()))
    table = sa.table("t", sa.column("a", sa.Double()), sa.column("b", sa.Text()),
                     sa.column("c", sa.BigInteger()))  # fmt: skip
    columns = [
        page.SortColumn(expression, way, expression.name != "c")
        for expression, way in zip(table.c, descending, strict=True)
    ]
    engine = sa.create_engine("sqlite://")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (a DOUBLE, b TEXT, c BIGINT)")
        names = ("a", "b", "c")
        connection.execute(table.insert(), [dict(zip(names, r, strict=True)) for r in rows])
        query = sa.select(table).order_by(*(column.order for column in columns))
        in_order = connection.execute(query).all()
        for place, row in enumerate(in_order):
            behind = query.where(page.after(columns, list(row)))
            assert connection.execute(behind).all() == in_order[place + 1 :]
    engine.dispose()
