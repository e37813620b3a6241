"""The bytes of small blobs, as rows of the database.

A blob store makes a file or an object durable by itself: some 500 files a second on a
disk, one round trip each to S3. Rows become durable with the transaction of their whole
batch, at some 17,000 a second. Above ``MAX_BYTES`` the bytes themselves take longer.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING

import sqlalchemy as sa

from runwire_server.store import blob
from runwire_server.store.database import Transaction
from runwire_server.store.tables import small_blobs

if TYPE_CHECKING:
    from runwire_server.store.database import Insert

MAX_BYTES = 32 << 10


def add(tx: Transaction, workspace: str, data: Mapping[str, bytes]) -> None:
    """Keep these bytes, by digest. The caller has noted the blobs in the same transaction."""
    rows = [(workspace, digest, data[digest]) for digest in sorted(data)]
    if rows:
        tx.execute_many(_insert(tx.insert), ("workspace", "digest", "data"), rows)


@functools.cache
def _insert(insert: Callable[[sa.Table], Insert]) -> Insert:
    keys = [small_blobs.c.workspace, small_blobs.c.digest]
    return insert(small_blobs).on_conflict_do_nothing(index_elements=keys)


def find(tx: Transaction, workspace: str, digests: Iterable[str]) -> dict[str, bytes]:
    """Those of the bytes that are rows, by digest."""
    found: dict[str, bytes] = {}
    for some in blob.in_batches(set(digests)):
        these = sa.and_(small_blobs.c.workspace == workspace, small_blobs.c.digest.in_(some))
        query = sa.select(small_blobs.c.digest, small_blobs.c.data).where(these)
        found |= {row.digest: bytes(row.data) for row in tx.execute(query)}
    return found
