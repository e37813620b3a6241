"""One call over HTTP: its handler in a thread, its answer on the event loop.

A stream's thread makes at most ``AHEAD`` messages more than the caller has taken, and then
waits: what a slow reader costs is its thread. It ends with its caller: when that hangs up,
when its deadline has passed, or when it takes nothing for ``STALLED_S``.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future
from typing import Any, cast

import grpc
from starlette.types import Receive, Send

from runwire_server.errors import Draining, ServiceError
from runwire_server.inprocess import InProcessContext, InProcessError, Metadata
from runwire_server.interceptors import status_of, unexpected
from runwire_server.pools import Pool
from runwire_server.web.wire import Answer, Asked, Exchange, Single, Streamed

log = logging.getLogger("runwire.web")

AHEAD = 2
STALLED_S = 60.0

Refused = Callable[[Asked, ServiceError, float], InProcessError]
# How a call ends: with all of its answer, an error, or as a stream that was sent already.
Result = Answer | InProcessError | None


class HttpContext(InProcessContext):
    """What a handler may ask about its call."""

    def __init__(self, timeout_s: float | None, metadata: Metadata, client: tuple[str, int] | None):
        super().__init__(timeout_s, metadata)
        self._client = client

    def peer(self) -> str:
        return "http:" if self._client is None else f"http:{self._client[0]}:{self._client[1]}"


class HttpCall:
    """``run`` answers it, whatever happens."""

    def __init__(
        self,
        asked: Asked,
        exchange: Exchange,
        behavior: Callable[[Any, grpc.ServicerContext], Any],
        context: HttpContext,
        pool: Pool,
        body: bytes,
        refused: Refused,
    ):
        self._asked, self._exchange, self._behavior = asked, exchange, behavior
        self._context, self._pool, self._body, self._refused = context, pool, body, refused
        self._start = time.perf_counter()

    async def run(self, receive: Receive, send: Send) -> None:
        pieces = Pieces(asyncio.get_running_loop())
        thread = self._started(pieces)

        def end() -> None:
            self._context.finish()
            pieces.close()
            thread.cancel()  # where it still waits for its turn

        watch = asyncio.create_task(_until_gone(receive, end))
        reply = Reply(cast(Streamed, self._exchange), send)
        try:
            result = await self._result(thread, pieces, reply)
            if self._context.is_active():
                await reply.end(result)
        except TimeoutError:
            log.info("%s: its caller takes nothing, and is given up", self._asked.path)
        finally:
            watch.cancel()
            end()

    def _started(self, pieces: Pieces) -> Future[Result]:
        work = self._stream if self._asked.is_streaming else self._single
        try:
            return self._pool.submit(self._guarded, work, pieces)
        except RuntimeError:  # the pool is closed: this process is about to end
            never: Future[Result] = Future()
            never.cancel()
            return never

    async def _result(self, thread: Future[Result], pieces: Pieces, reply: Reply) -> Result:
        """How the call ended, all pieces of a stream having been sent."""
        done = asyncio.wrap_future(thread)
        try:
            async with asyncio.timeout(self._context.time_remaining()) as deadline:
                async for piece in pieces.until(done):
                    await reply.item(piece)
        except TimeoutError:
            if not deadline.expired():
                raise
            return InProcessError(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline has passed")
        if not self._context.is_active():
            return None  # nobody is there to be told
        if thread.cancelled():
            return self._refused(self._asked, Draining(), self._start)
        return thread.result()

    def _guarded(self, work: Callable[[Pieces], Result], pieces: Pieces) -> Result:
        """In the thread of the call."""
        try:
            return work(pieces)
        except InProcessError as error:
            return error
        except Exception as error:  # what the interceptor does not see: reading, and writing
            return InProcessError(*status_of(unexpected(self._asked.path, error)))

    def _request(self) -> Any:
        try:
            return self._exchange.request(self._body)
        except ServiceError as error:
            raise self._refused(self._asked, error, self._start) from None

    def _single(self, _: Pieces) -> Result:
        exchange = cast(Single, self._exchange)
        return exchange.answer(self._behavior(self._request(), self._context))

    def _stream(self, pieces: Pieces) -> Result:
        exchange = cast(Streamed, self._exchange)
        responses = self._behavior(self._request(), self._context)
        if not self._asked.method.server_streaming:  # one response for all requests
            pieces.put(exchange.item(responses))
            return None
        try:
            for response in responses:
                if not pieces.put(exchange.item(response)):
                    break
        finally:
            responses.close()
        return None


class Reply:
    """What has been said of an answer, and how to say the rest."""

    def __init__(self, exchange: Streamed, send: Send):
        self._exchange, self._send, self._begun = exchange, send, False

    async def item(self, piece: bytes) -> None:
        await self._begin()
        await _more(self._send, piece)

    async def end(self, result: Result) -> None:
        if isinstance(result, InProcessError) and not self._begun:
            result = self._exchange.failure(result)
        if isinstance(result, Answer):
            await send_whole(self._send, result)
            return
        await self._begin()
        await _more(self._send, self._exchange.tail(result), last=True)

    async def _begin(self) -> None:
        if not self._begun:
            self._begun = True
            await _begin(self._send, self._exchange.head())


class Pieces:
    """From the thread that makes them to the loop that sends them, ``AHEAD`` at most between."""

    def __init__(self, loop: asyncio.AbstractEventLoop):
        self._loop = loop
        self._made: deque[bytes] = deque()
        self._free = threading.Semaphore(AHEAD)
        self._news = asyncio.Event()
        self._closed = False

    def put(self, piece: bytes) -> bool:
        """In the thread: waits for its turn. False when nobody takes it any more."""
        self._free.acquire()
        if not self._closed:
            self._made.append(piece)
            self._loop.call_soon_threadsafe(self._news.set)
        return not self._closed

    async def until(self, done: asyncio.Future[Any]) -> AsyncIterator[bytes]:
        """The pieces, until the thread is done and all are taken."""
        done.add_done_callback(lambda _: self._news.set())
        while True:
            while self._made:
                yield self._made.popleft()
                self._free.release()
            if done.done() or self._closed:
                return
            await self._news.wait()
            self._news.clear()

    def close(self) -> None:
        """On the loop: no piece is taken any more, and the thread need not wait."""
        self._closed = True
        self._news.set()
        self._free.release()


async def _until_gone(receive: Receive, end: Callable[[], None]) -> None:
    """The caller has hung up, or has its answer."""
    while (await receive())["type"] != "http.disconnect":
        pass
    end()


async def send_whole(send: Send, answer: Answer) -> None:
    headers = answer.headers | {"content-length": str(len(answer.body))}
    await _begin(send, Answer(answer.status, headers, b""))
    await _more(send, answer.body, last=True)


async def _begin(send: Send, head: Answer) -> None:
    headers = [(name.encode(), value.encode()) for name, value in head.headers.items()]
    await send({"type": "http.response.start", "status": head.status, "headers": headers})


async def _more(send: Send, body: bytes, *, last: bool = False) -> None:
    async with asyncio.timeout(STALLED_S):
        await send({"type": "http.response.body", "body": body, "more_body": not last})
