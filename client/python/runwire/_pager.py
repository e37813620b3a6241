"""Lists that fetch their pages as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Page(NamedTuple, Generic[T]):
    """One page; ``next_page_token`` is empty on the last."""

    items: Sequence[T]
    next_page_token: str


class Pager(Generic[T]):
    """Iterate over the items, or over ``pages()``. Nothing is asked before.

    Each iteration starts anew, from the page token that the search was given.

    >>> newest = next(iter(client.runs.search(order_by="start_time DESC")), None)
    """

    def __init__(self, fetch: Callable[[str], Page[T]], page_token: str = ""):
        self._fetch, self._page_token = fetch, page_token

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from page.items

    def pages(self) -> Iterator[Page[T]]:
        """The pages with their tokens; the token of the last is empty."""
        token = self._page_token
        while True:
            page = self._fetch(token)
            yield page
            token = page.next_page_token
            if not token:
                return
