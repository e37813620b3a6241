"""Blobs that no tree holds and nobody has a lease on, and uploads that nobody goes on with.

Rows go first, in a transaction; what they name in the blob store goes after it, by
names that are never used again. A crash in between leaves bytes without a row, which
``known`` finds. All of it is safe beside calls that store, name or ask for the same
bytes: those lock the blob's row and renew its lease before they rely on it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from runwire_server.store import blob
from runwire_server.store.database import Transaction
from runwire_server.store.tables import artifacts, blobs, small_blobs, uploads


class Spare(NamedTuple):
    """A blob that nobody needs."""

    workspace: str
    digest: str
    size_bytes: int
    generation: str


_NEEDED = (
    sa.select(artifacts.c.digest)
    .where(artifacts.c.workspace == blobs.c.workspace, artifacts.c.digest == blobs.c.digest)
    .exists()
)
_COLUMNS = tuple(blobs.c[name] for name in Spare._fields)


def spare(tx: Transaction, after: tuple[str, str], limit: int) -> Sequence[Spare]:
    """Blobs behind ``after`` (workspace, digest) that nobody needs now, in that order."""
    workspace, digest = after
    behind = sa.or_(
        blobs.c.workspace > workspace,
        sa.and_(blobs.c.workspace == workspace, blobs.c.digest > digest),
    )
    query = (
        sa.select(*_COLUMNS)
        .where(behind, blobs.c.lease_time < tx.now, ~_NEEDED)
        .order_by(blobs.c.workspace, blobs.c.digest)
        .limit(limit)
    )
    return list(map(Spare._make, tx.execute(query)))


def remove(tx: Transaction, workspace: str, digests: Iterable[str]) -> list[Spare]:
    """Remove the rows of those that are still not needed; these are returned.

    The rows are locked first, and the trees asked by another statement: so it sees what was
    committed by whoever had a row locked before.
    """
    removed: list[Spare] = []
    for some in blob.in_batches(digests):
        these = sa.and_(blobs.c.workspace == workspace, blobs.c.digest.in_(some))
        locked = sa.select(*_COLUMNS).where(these, blobs.c.lease_time < tx.now)
        rows = tx.execute(tx.locked(locked.order_by(blobs.c.digest))).all()
        query = sa.select(blobs.c.digest).where(these, _NEEDED)
        needed = set(tx.execute(query).scalars())
        gone = [Spare._make(row) for row in rows if row.digest not in needed]
        for table in (small_blobs, blobs):
            chosen = table.c.digest.in_([one.digest for one in gone])
            tx.execute(sa.delete(table).where(table.c.workspace == workspace, chosen))
        removed += gone
    return removed


def generations(tx: Transaction, digests: Sequence[str]) -> dict[tuple[str, str], str]:
    """By (workspace, digest), of blobs of any workspace: the names that are in use."""
    found: dict[tuple[str, str], str] = {}
    workspaces = tx.execute(sa.select(blobs.c.workspace).distinct()).scalars().all()
    for workspace in workspaces:
        these = blob.generations(tx, workspace, digests)
        found |= {(workspace, digest): end for digest, end in these.items()}
    return found


def in_store(tx: Transaction, limit: int) -> Sequence[Spare]:
    """Some blobs whose bytes are in the blob store, the longest leases first."""
    is_row = (
        sa.select(small_blobs.c.digest)
        .where(small_blobs.c.workspace == blobs.c.workspace, small_blobs.c.digest == blobs.c.digest)
        .exists()
    )
    query = sa.select(*_COLUMNS).where(~is_row).order_by(blobs.c.lease_time.desc()).limit(limit)
    return list(map(Spare._make, tx.execute(query)))


def expired_uploads(tx: Transaction, after: str, limit: int) -> Sequence[str]:
    """Uploads behind ``after`` that nobody can go on with, in the order of their ids."""
    query = (
        sa.select(uploads.c.upload_id)
        .where(uploads.c.upload_id > after, uploads.c.expire_time <= tx.now)
        .order_by(uploads.c.upload_id)
        .limit(limit)
    )
    return tx.execute(query).scalars().all()


def remove_upload(tx: Transaction, upload_id: str) -> bool:
    """False where somebody goes on with it after all."""
    these = sa.and_(uploads.c.upload_id == upload_id, uploads.c.expire_time <= tx.now)
    return bool(tx.execute(sa.delete(uploads).where(these)).rowcount)


def known_uploads(tx: Transaction, upload_ids: Iterable[str]) -> set[str]:
    """Those that have a row."""
    found: set[str] = set()
    for some in blob.in_batches(set(upload_ids)):
        query = sa.select(uploads.c.upload_id).where(uploads.c.upload_id.in_(some))
        found |= set(tx.execute(query).scalars())
    return found
