"""The memory of request ids: a repeated create or verb is answered, not done again.

::

    if (key := request.recall(tx, message)) is not None:
        return present_resource(key), True
    ...
    request.remember(tx, message, key)

Both run in the transaction of the work itself, so an id is remembered exactly where
the work was committed, and free again where it was not.
"""

from __future__ import annotations

import hashlib
from typing import Any, Protocol

import sqlalchemy as sa

from runwire_server.errors import RequestIdReused
from runwire_server.store.check import check_name
from runwire_server.store.database import Transaction
from runwire_server.store.tables import requests

KEPT_MICROS = 24 * 3600 * 1_000_000
MAX_REQUEST_ID_BYTES = 128
# How many expired ids a new one sweeps out: more than one, so that the table shrinks.
SWEPT = 100


class Identified(Protocol):
    """A request message with a ``request_id``; where that is empty nothing is remembered."""

    request_id: str

    @property
    def DESCRIPTOR(self) -> Any: ...

    def SerializeToString(self, *, deterministic: bool = ...) -> bytes: ...


def recall(tx: Transaction, request: Identified) -> str | None:
    """The resource key remembered for this same request in the last 24 hours, else None.

    The id is taken from here on: the same call elsewhere waits for this transaction to end
    before it looks. Raises ``RequestIdReused`` where the id came with another method or
    content, and ``FieldInvalid`` or ``TooLarge`` for an id that cannot be kept.
    """
    if not request.request_id:
        return None
    check_name("request_id", request.request_id, MAX_REQUEST_ID_BYTES)
    if _take(tx, request):
        return None
    columns = sa.select(requests.c.request_hash, requests.c.resource)
    row = tx.execute(columns.where(requests.c.request_id == request.request_id)).one()
    if row.request_hash != _hash(request):
        raise RequestIdReused(request.request_id)
    return row.resource or None


def remember(tx: Transaction, request: Identified, resource: str) -> None:
    """Keep ``resource`` under the id that ``recall`` took. Sweeps out some expired ones."""
    if not request.request_id:
        return
    this = requests.c.request_id == request.request_id
    tx.execute(sa.update(requests).where(this).values(resource=resource))
    expired = (
        sa.select(requests.c.request_id)
        .where(requests.c.create_time <= tx.now - KEPT_MICROS)
        .order_by(requests.c.create_time)
        .limit(SWEPT)
    )
    tx.execute(sa.delete(requests).where(requests.c.request_id.in_(expired)))


def _take(tx: Transaction, request: Identified) -> bool:
    """Write the id's row, without a resource so far; false where a fresh one is there."""
    values = {
        "request_id": request.request_id,
        "method": request.DESCRIPTOR.name.removesuffix("Request"),
        "request_hash": _hash(request),
        "resource": "",
        "create_time": tx.now,
    }
    take = (
        tx.insert(requests)
        .values(values)
        .on_conflict_do_update(
            index_elements=["request_id"],
            set_=values,
            where=requests.c.create_time <= tx.now - KEPT_MICROS,
        )
    )
    return tx.execute(take).rowcount > 0


def _hash(request: Identified) -> str:
    """Of the method's name and the content, independent of the order of map entries."""
    content = request.SerializeToString(deterministic=True)
    return hashlib.sha256(request.DESCRIPTOR.full_name.encode() + b"\0" + content).hexdigest()
