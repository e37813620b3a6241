"""SQL that the databases spell differently; everything else of that kind is in ``database``."""

from __future__ import annotations

import json
from typing import Any, Self

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles


class WrittenJoin(sa.Join):
    """An inner join whose left side is read first, after ``Transaction.join_as_written``."""

    inherit_cache = True


@compiles(WrittenJoin, "sqlite")
def _cross_join(join: WrittenJoin, compiler: Any, **how: Any) -> str:
    # SQLite never reorders a CROSS JOIN: https://www.sqlite.org/optoverview.html#crossjoin
    how |= {"asfrom": True, "from_linter": None}
    left, right = compiler.process(join.left, **how), compiler.process(join.right, **how)
    return f"{left} CROSS JOIN {right} ON {compiler.process(join.onclause, **how)}"


class Among(sa.ColumnElement[bool]):
    """``column IN values``, where these are one parameter and the statement is the same for any
    number of them. ``name``: of the parameter, a list."""

    inherit_cache = True
    type = sa.Boolean()
    _traverse_internals = [
        ("column", sa.sql.visitors.InternalTraversal.dp_clauseelement),
        ("values", sa.sql.visitors.InternalTraversal.dp_clauseelement),
    ]

    def __init__(self, column: sa.ColumnElement[Any], name: str):
        self.column = column
        self.values = sa.bindparam(name, type_=_Values(column.type))

    def self_group(self, against: Any = None) -> Self:
        return self  # by itself SQLAlchemy compares it with 1 on SQLite, and no index serves that


class _Values(sa.TypeDecorator[list[Any]]):
    """A list: an array on PostgreSQL, JSON on SQLite."""

    impl = sa.Text
    cache_ok = True

    def __init__(self, item: sa.types.TypeEngine[Any]):
        super().__init__()
        self.item = item

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        return sa.ARRAY(self.item) if dialect.name == "postgresql" else self.impl_instance

    def process_bind_param(self, value: list[Any] | None, dialect: sa.Dialect) -> Any:
        return value if dialect.name == "postgresql" else json.dumps(value)


@compiles(Among)
def _among_json(among: Among, compiler: Any, **how: Any) -> str:
    values = compiler.process(among.values, **how)
    column = compiler.process(among.column, **how)
    return " ".join((column, "IN (SELECT value FROM json_each(", values, "))"))


@compiles(Among, "postgresql")
def _among_array(among: Among, compiler: Any, **how: Any) -> str:
    values = compiler.process(among.values, **how)
    return f"{compiler.process(among.column, **how)} = ANY ({values})"
