"""All that a paged query finds, without a transaction open between the pages."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

from runwire_server.store.database import Database, Transaction

T = TypeVar("T")

PAGE = 1000


def scan(
    db: Database, query: Callable[[Transaction, T, int], Sequence[T]], first: T
) -> Iterator[T]:
    """``query(tx, after, limit)`` answers what follows ``after``, in order; ``first`` is before
    all."""
    after = first
    while True:
        with db.read() as tx:
            page = query(tx, after, PAGE)
        yield from page
        if len(page) < PAGE:
            return
        after = page[-1]
