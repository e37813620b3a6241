"""Calls without an end, as iterators that go on by themselves after a cut."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

from runwire._errors import CancelledError, RunwireError

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runwire._call import Caller

Event = TypeVar("Event")

# Once a feed has begun: longer than a server takes to be replaced.
ATTEMPTS, PATIENCE_S = 100, 90.0


class Feed(Generic[Event]):
    """Events as they come, without end. Read it in one thread; ``close`` it from any, or use
    it in a ``with`` block.

    A cut connection, a server that restarts or moves its callers elsewhere is mended, with
    nothing missed and nothing told twice; after a minute and a half without a server
    ``UnavailableError`` is raised. ``cursor`` is the place after the last event: given to
    the call that made this feed it goes on there, in another process too.
    """

    def __init__(
        self,
        caller: Caller,
        method: tuple[type, str],
        request: Message,
        open_event: Callable[[Any], Event],
    ):
        """``request`` and responses have a field ``cursor``, unless ``_note`` knows another."""
        self.cursor: bytes = getattr(request, "cursor", b"")
        self.is_away = False  # it waits for a server
        self._caller, self._method, self._request = caller, method, request
        self._open_event = open_event
        self._events = self._read()
        self._call: Any = None
        self._closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Event:
        return next(self._events)

    def close(self) -> None:
        """A ``next`` that waits in another thread ends, as one after the last event."""
        self._closed = True
        if self._call is not None:
            self._call.cancel()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _read(self) -> Iterator[Event]:
        retry = self._caller.retry()
        while not self._closed:
            responses = self._caller.stream(*self._method, self._request, opened=self._opened)
            try:
                for response in responses:
                    self.is_away, retry = False, self._caller.retry(ATTEMPTS, PATIENCE_S)
                    self._note(response)
                    yield self._open_event(response)
                return
            except CancelledError:
                if not self._closed:
                    raise
            except RunwireError as error:
                self.is_away = True
                if not self._closed and not retry.wait(error):
                    raise
            finally:
                responses.close()

    def _note(self, response: Any) -> None:
        """Remember, and put into the request, where to go on after a cut."""
        if response.cursor:
            self.cursor = self._request.cursor = response.cursor  # type: ignore[attr-defined]

    def _opened(self, call: Any) -> None:
        self._call = call
        if self._closed:
            call.cancel()
