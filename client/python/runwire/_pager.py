"""Lists that fetch their pages as they are read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Generic, Protocol, TypeVar


class Page(Protocol):
    """The response of a search: its items, and where the next page starts."""

    @property
    def next_page_token(self) -> str: ...


PageT = TypeVar("PageT", bound=Page)
T = TypeVar("T")


class Pager(Generic[T, PageT]):
    """Iterate over the items, or over ``pages()``. Nothing is asked before.

    Each iteration starts anew, from the page token that the search was given.

    >>> newest = next(iter(client.runs.search(order_by="start_time DESC")), None)
    """

    def __init__(
        self,
        fetch: Callable[[str], PageT],
        items: Callable[[PageT], Sequence[T]],
        page_token: str = "",
    ):
        self._fetch, self._items, self._page_token = fetch, items, page_token

    def __iter__(self) -> Iterator[T]:
        for page in self.pages():
            yield from self._items(page)

    def pages(self) -> Iterator[PageT]:
        """The pages as the service sends them; the last has no ``next_page_token``."""
        token = self._page_token
        while True:
            page = self.page(token)
            yield page
            token = page.next_page_token
            if not token:
                return

    def page(self, page_token: str | None = None) -> PageT:
        """One page: the first, or the one of a ``next_page_token``."""
        return self._fetch(self._page_token if page_token is None else page_token)
