"""The listing of a tree, in pages by the bytes of the path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import sqlalchemy as sa
from runwire.v1.artifact_pb2 import Artifact

from runwire_server.errors import NotFound, PageTokenMismatch
from runwire_server.store import artifact, page
from runwire_server.store.artifact_entry import after, ordered_path
from runwire_server.store.database import Transaction
from runwire_server.store.paths import check_prefix
from runwire_server.store.tables import artifacts


class Listing(NamedTuple):
    artifacts: list[Artifact]
    directories: list[str]
    next_page_token: str


class _Found(NamedTuple):
    """An entry of the listing: a directory has no row."""

    path: str
    row: sa.Row[Any] | None

    def position(self) -> page.Position:
        return [self.path, int(self.row is None)]


def list_page(
    tx: Transaction,
    owner: str,
    *,
    prefix: str = "",
    recursive: bool = False,
    page_size: int = 0,
    page_token: str = "",
) -> Listing:
    """What lies under ``prefix``: a directory, one file (itself), or "" for the root.

    Not recursive: its files and the names of its directories, as full paths, both in one
    order and both counted by ``page_size``. A prefix with nothing under it gives nothing.
    Raises ``FieldInvalid`` and ``PageTokenMismatch``.
    """
    prefix = check_prefix("prefix", prefix)
    size = page.clamp(page_size)
    query_hash = page.query_hash("artifacts", owner, prefix, recursive)
    if page_token:
        beyond = _beyond(tx, page.decode(page_token, query_hash))
    else:
        if prefix and (file := _file(tx, owner, prefix)):
            return Listing([file], [], "")
        beyond = ordered_path(tx) > f"{prefix}/" if prefix else sa.true()
    # One lower bound only: of two, SQLite seeks the first and steps to the other.
    query = sa.select(artifacts).where(artifacts.c.owner == owner)
    if prefix:
        query = query.where(~after(tx, prefix))
    found = _find(tx, query, beyond, size + 1, len(prefix) + 1 if prefix else 0, recursive)
    token = page.encode(found[size - 1].position(), query_hash) if len(found) > size else ""
    return Listing(
        [artifact.message(entry.row) for entry in found[:size] if entry.row is not None],
        [entry.path for entry in found[:size] if entry.row is None],
        token,
    )


def _find(
    tx: Transaction,
    query: sa.Select[Any],
    beyond: sa.ColumnElement[bool],
    count: int,
    start: int,
    recursive: bool,
) -> list[_Found]:
    """Up to ``count`` entries. What is inside a directory is jumped over, not read."""
    found: list[_Found] = []
    while len(found) < count:
        rest = query.where(beyond).order_by(ordered_path(tx)).limit(count - len(found))
        rows = tx.execute(rest).all()
        if not rows:
            break
        for row in rows:
            end = -1 if recursive else row.path.find("/", start)
            entry = _Found(row.path, row) if end == -1 else _Found(row.path[:end], None)
            if not (found and entry.row is None and found[-1] == entry):
                found.append(entry)
        beyond = _beyond(tx, found[-1].position())
    return found


def _file(tx: Transaction, owner: str, path: str) -> Artifact | None:
    try:
        return artifact.get(tx, owner, path)
    except NotFound:
        return None


def _beyond(tx: Transaction, position: Sequence[object]) -> sa.ColumnElement[bool]:
    match position:
        case [str(path), int(is_directory)]:
            return after(tx, path) if is_directory else ordered_path(tx) > path
    raise PageTokenMismatch
