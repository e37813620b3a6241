"""Blobs by digest: which bytes the blob store holds for a workspace.

A row says that the bytes are stored whole; it is written after them. ``lease_time``
keeps a blob that no tree holds yet from being collected.
"""

from __future__ import annotations

import functools
import re
import secrets
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from typing import TYPE_CHECKING

import sqlalchemy as sa
from runwire.v1.artifact_pb2 import Blob

from runwire_server.errors import FieldInvalid, NotFound
from runwire_server.store.database import Transaction
from runwire_server.store.tables import blobs

if TYPE_CHECKING:
    from runwire_server.store.database import Insert

LEASE_MICROS = 24 * 3600 * 1_000_000
# Values in one IN list: far below the bound parameters of either database.
IN_AT_ONCE = 500

_COLUMNS = ("workspace", "digest", "size_bytes", "lease_time", "generation")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


def check_digest(field: str, digest: str) -> None:
    if not _DIGEST.fullmatch(digest):
        raise FieldInvalid(field, f"{digest[:80]!r} is not 'sha256:' and 64 lower-case hex digits")


def renew(tx: Transaction, workspace: str, digests: Iterable[str]) -> dict[str, int]:
    """The sizes of those that are stored, by digest; their lease starts anew."""
    found: dict[str, int] = {}
    for some in in_batches(set(digests)):
        these = sa.and_(blobs.c.workspace == workspace, blobs.c.digest.in_(some))
        # The update takes the rows' locks, so none of these can be collected meanwhile; a query
        # after it could find others, which came in between and are not locked.
        renewed = sa.update(blobs).where(these).values(lease_time=tx.now + LEASE_MICROS)
        rows = tx.execute(renewed.returning(blobs.c.digest, blobs.c.size_bytes))
        found |= {row.digest: row.size_bytes for row in rows}
    return found


def find_missing(tx: Transaction, workspace: str, asked: Sequence[Blob]) -> list[Blob]:
    """Those that are not stored, in the order asked, each once. Renews the lease of the others."""
    for index, blob in enumerate(asked):
        check_digest(f"blobs[{index}].digest", blob.digest)
    found = renew(tx, workspace, (blob.digest for blob in asked))
    missing = {blob.digest: blob for blob in asked if blob.digest not in found}
    return list(missing.values())


def new_generation() -> str:
    """The end of a name that no bytes have had yet."""
    return secrets.token_hex(4)


def add(tx: Transaction, workspace: str, sizes: dict[str, int], generation: str = "") -> set[str]:
    """Note that these bytes are stored (digest -> size), under names of a generation.

    What is there already stays, and its lease starts anew. Returns the digests of which
    others had stored the bytes, under another name: those of the caller are of no use.
    """
    note(tx, workspace, sizes, generation)
    found = generations(tx, workspace, sizes)
    return {digest for digest in sizes if found[digest] != generation}


def note(tx: Transaction, workspace: str, sizes: dict[str, int], generation: str = "") -> None:
    """As ``add``, for bytes that are kept under no name of their own. Locks the blobs' rows."""
    lease = tx.now + LEASE_MICROS
    rows = [(workspace, digest, sizes[digest], lease, generation) for digest in sorted(sizes)]
    if rows:
        tx.execute_many(_upsert(tx.insert), _COLUMNS, rows)


@functools.cache
def _upsert(insert: Callable[[sa.Table], Insert]) -> Insert:
    statement = insert(blobs)
    renewed = {"lease_time": statement.excluded.lease_time}
    keys = [blobs.c.workspace, blobs.c.digest]
    return statement.on_conflict_do_update(index_elements=keys, set_=renewed)


def generations(tx: Transaction, workspace: str, digests: Iterable[str]) -> dict[str, str]:
    """How the names of the bytes end, of those that are stored."""
    found: dict[str, str] = {}
    for some in in_batches(set(digests)):
        these = sa.and_(blobs.c.workspace == workspace, blobs.c.digest.in_(some))
        rows = tx.execute(sa.select(blobs.c.digest, blobs.c.generation).where(these))
        found |= {row.digest: row.generation for row in rows}
    return found


def get(tx: Transaction, workspace: str, digest: str) -> Blob:
    """Raises ``NotFound`` where this workspace has no such blob, whoever else has."""
    check_digest("blob.digest", digest)
    found = find(tx, workspace, digest)
    if found is None:
        raise NotFound("blob", digest)
    return found


def find(tx: Transaction, workspace: str, digest: str) -> Blob | None:
    """The stored blob, or None; "" is the digest of none."""
    these = sa.and_(blobs.c.workspace == workspace, blobs.c.digest == digest)
    size = tx.execute(sa.select(blobs.c.size_bytes).where(these)).scalar_one_or_none()
    return None if size is None else Blob(digest=digest, size_bytes=size)


def hold(tx: Transaction, workspace: str, digest: str) -> Blob | None:
    """As ``find``; its lease starts anew, so that it is there when the caller names it."""
    size = renew(tx, workspace, [digest] if digest else []).get(digest)
    return None if size is None else Blob(digest=digest, size_bytes=size)


def in_batches(values: Iterable[str]) -> Iterator[list[str]]:
    """Sorted, in lists that one IN takes."""
    ordered = iter(sorted(values))
    while batch := list(islice(ordered, IN_AT_ONCE)):
        yield batch
