"""Who was made from whom, as the tables have it: the edges that leave some nodes one way.

Each function takes ids of one kind of node, and gives at most ``limit`` edges in the order of
what they lead to. Edges point from what something was made from to what was made.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import sqlalchemy as sa

from runwire_server.store.database import Transaction
from runwire_server.store.dialects import WrittenJoin
from runwire_server.store.tables import (
    INDEXED_OF_URI,
    experiments,
    model_versions,
    models,
    run_inputs,
    runs,
)


class Node(NamedTuple):
    """kind: "run", "version", "dataset" or "uri"; key: its id. A version's is (model_id, number),
    because the name of a deleted model can be used again."""

    kind: str
    key: Any


class Edge(NamedTuple):
    """label: what the target calls its source, where that has no name of its own."""

    source: Node
    target: Node
    role: str
    label: str = ""


Keys: TypeAlias = Collection[Any]
Finder: TypeAlias = Callable[[Transaction, str, Keys, int], Iterator[Edge]]


def _inputs(tx: Transaction, workspace: str, run_ids: Keys, limit: int) -> Iterator[Edge]:
    of = run_inputs.c
    query = _uses().where(of.run_id.in_(run_ids), of.digest != "").order_by(of.digest, of.run_id)
    yield from _as_inputs(tx, query.limit(limit))


def _users(tx: Transaction, workspace: str, digests: Keys, limit: int) -> Iterator[Edge]:
    query = (
        _uses()
        .join(runs, runs.c.run_id == run_inputs.c.run_id)
        .join(experiments, experiments.c.experiment_id == runs.c.experiment_id)
        .where(run_inputs.c.digest.in_(digests), experiments.c.workspace == workspace)
        .order_by(run_inputs.c.run_id)
    )
    yield from _as_inputs(tx, query.limit(limit))


def _uses() -> sa.Select[Any]:
    of = run_inputs.c
    name = sa.func.min(of.name).label("name")
    return sa.select(of.run_id, of.digest, name).group_by(of.run_id, of.digest)


def _as_inputs(tx: Transaction, query: sa.Select[Any]) -> Iterator[Edge]:
    for row in tx.execute(query):
        yield Edge(Node("dataset", row.digest), Node("run", row.run_id), "input", row.name)


def _ancestors(tx: Transaction, workspace: str, run_ids: Keys, limit: int) -> Iterator[Edge]:
    of = runs.c
    query = sa.select(of.run_id, of.parent_run_id, of.forked_run_id).where(
        of.run_id.in_(run_ids), sa.or_(of.parent_run_id != "", of.forked_run_id != "")
    )
    for row in tx.execute(query.order_by(of.run_id).limit(limit)):
        for run_id, role in ((row.parent_run_id, "child"), (row.forked_run_id, "forked")):
            if run_id:
                yield Edge(Node("run", run_id), Node("run", row.run_id), role)


def _descendants(role: str, column: sa.Column[str]) -> Finder:
    def find(tx: Transaction, workspace: str, run_ids: Keys, limit: int) -> Iterator[Edge]:
        # The second condition is that of the partial index.
        query = sa.select(runs.c.run_id, column.label("source")).where(
            column.in_(run_ids), column != ""
        )
        for row in tx.execute(query.order_by(runs.c.run_id).limit(limit)):
            yield Edge(Node("run", row.source), Node("run", row.run_id), role)

    return find


def _origins(tx: Transaction, workspace: str, versions: Keys, limit: int) -> Iterator[Edge]:
    of = model_versions.c
    query = sa.select(model_versions).where(*among(of.model_id, of.version, versions))
    for row in tx.execute(query.order_by(of.model_id, of.version).limit(limit)):
        version = Node("version", (row.model_id, row.version))
        if row.source_run_id:
            yield Edge(Node("run", row.source_run_id), version, "registered")
        elif row.source_version:
            copied = Node("version", (row.source_model_id, row.source_version))
            yield Edge(copied, version, "copied")
        elif row.source_uri:
            yield Edge(Node("uri", row.source_uri), version, "registered")


def _versions_of_runs(tx: Transaction, workspace: str, run_ids: Keys, limit: int) -> Iterator[Edge]:
    of = model_versions.c
    query = sa.select(of.model_id, of.version, of.source_run_id).where(
        of.source_run_id.in_(run_ids)
    )
    for row in tx.execute(query.order_by(of.model_id, of.version).limit(limit)):
        version = Node("version", (row.model_id, row.version))
        yield Edge(Node("run", row.source_run_id), version, "registered")


def _versions_at_uris(tx: Transaction, workspace: str, uris: Keys, limit: int) -> Iterator[Edge]:
    of = model_versions.c
    query = versions_at(uris, workspace).order_by(of.model_id, of.version)
    for row in tx.execute(query.limit(limit)):
        version = Node("version", (row.model_id, row.version))
        yield Edge(Node("uri", row.source_uri), version, "registered")


def versions_at(uris: Keys, workspace: str) -> sa.Select[Any]:
    """Those that were registered from one of these URIs, by the index of URIs."""
    of = model_versions.c
    begin = sa.func.substr(
        of.source_uri,
        sa.literal_column("1"),
        sa.literal_column(str(INDEXED_OF_URI)),
        type_=sa.Text(),
    )
    # The index is partial: it is one of the second condition.
    indexed = (
        begin.in_({uri[:INDEXED_OF_URI] for uri in uris}),
        of.source_uri != sa.literal_column("''"),
    )
    return (
        sa.select(of.model_id, of.version, of.source_uri)
        .select_from(WrittenJoin(model_versions, models, models.c.model_id == of.model_id))
        .where(*indexed, of.source_uri.in_(uris), of.source_version == 0)
        .where(models.c.workspace == workspace)
    )


def _copies(tx: Transaction, workspace: str, versions: Keys, limit: int) -> Iterator[Edge]:
    of = model_versions.c
    # The second condition is that of the partial index.
    query = sa.select(of.model_id, of.version, of.source_model_id, of.source_version).where(
        *among(of.source_model_id, of.source_version, versions), of.source_version > 0
    )
    for row in tx.execute(query.order_by(of.model_id, of.version).limit(limit)):
        copied = Node("version", (row.source_model_id, row.source_version))
        yield Edge(copied, Node("version", (row.model_id, row.version)), "copied")


def among(
    model_id: sa.Column[str], version: sa.Column[int], keys: Keys
) -> list[sa.ColumnElement[bool]]:
    """One of these (model_id, number). SQLite has no index for pairs, but for either half."""
    return [
        model_id.in_({key[0] for key in keys}),
        version.in_({key[1] for key in keys}),
        sa.tuple_(model_id, version).in_(keys),
    ]


UPSTREAM: dict[str, Sequence[Finder]] = {
    "run": (_inputs, _ancestors),
    "version": (_origins,),
    "dataset": (),
    "uri": (),
}
DOWNSTREAM: dict[str, Sequence[Finder]] = {
    "run": (
        _versions_of_runs,
        _descendants("child", runs.c.parent_run_id),
        _descendants("forked", runs.c.forked_run_id),
    ),
    "version": (_copies,),
    "dataset": (_users,),
    "uri": (_versions_at_uris,),
}
