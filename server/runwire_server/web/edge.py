"""The services over HTTP: ``/SERVICE/METHOD`` in Connect and gRPC-Web, in whatever HTTP brings.

The same handlers behind the same interceptor and thread pools as on the gRPC port: what is
refused there is refused here, with the same reason. HTTP/1.1, and browsers, cannot send requests
while they listen: a stream of them comes whole, and what answers in between is not offered.
"""

from __future__ import annotations

import time
from contextlib import closing

from google.protobuf.descriptor import MethodDescriptor
from google.protobuf.descriptor_pool import Default
from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from runwire_server.app import SERVICE_NAMES, App
from runwire_server.errors import Draining, Overloaded, ServiceError, Unimplemented
from runwire_server.inprocess import InProcessError, InProcessServer
from runwire_server.interceptors import CallInterceptor, Observe, kind_of, status_of, tell
from runwire_server.pools import Pool, Pools
from runwire_server.web import connect, grpc_web
from runwire_server.web.body import Body, Held
from runwire_server.web.call import HttpCall, HttpContext, send_whole
from runwire_server.web.wire import Asked, Exchange

METHODS: dict[str, MethodDescriptor] = {
    f"/{service}/{method.name}": method
    for service in SERVICE_NAMES
    for method in Default().FindServiceByName(service).methods
}
ACCEPT_POST = ", ".join((*connect.UNARY_TYPES, *connect.STREAM_TYPES, *grpc_web.TYPES))


class Edge:
    """The ASGI application."""

    def __init__(self, app: App, pools: Pools, observe: Observe | None = None):
        self._services = InProcessServer([CallInterceptor(observe)])
        app.register(self._services)
        self._drain, self._pools, self._observe = app.drain, pools, observe
        self._held = Held()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        asked = _asked(scope)
        exchange = connect.exchange_of(asked) or grpc_web.exchange_of(asked)
        if exchange is None:
            await _not_spoken(asked)(scope, receive, send)
            return
        start = time.perf_counter()
        with closing(Body(receive, self._held)) as body:
            try:
                call = await self._admitted(asked, exchange, scope, body)
            except ServiceError as error:
                await send_whole(send, exchange.failure(self._refused(asked, error, start)))
            except ClientDisconnect:
                return
            else:
                await call.run(receive, send)

    async def _admitted(
        self, asked: Asked, exchange: Exchange, scope: Scope, body: Body
    ) -> HttpCall:
        """The call, with its body read: nothing is read for one that is refused anyway."""
        method, lasts_s = asked.method, exchange.lasts_s()
        if method.client_streaming and (method.server_streaming or not exchange.takes_streams):
            raise Unimplemented(f"{method.name} over HTTP, as its requests are a stream: use gRPC")
        pool = self._pools.of(streaming=asked.is_streaming)
        self._check_room(pool)
        context = HttpContext(lasts_s, asked.metadata(), scope.get("client"))
        announced = asked.headers.get("content-length", "")
        data = await body.read(announced, exchange.max_body_bytes)
        self._check_room(pool)  # others may have come while the body did
        handler = self._services.handler(asked.path, ())
        behavior = getattr(handler, kind_of(handler))
        return HttpCall(asked, exchange, behavior, context, pool, data, self._refused)

    def _check_room(self, pool: Pool) -> None:
        if self._drain.is_set():
            raise Draining
        if pool.is_full:
            raise Overloaded(retry_after_s=1.0)

    def _refused(self, asked: Asked, error: ServiceError, start: float) -> InProcessError:
        """The end of a call that came to no handler, counted and logged as the others are."""
        status = status_of(error)
        if asked.found is not None:  # or its name is anything at all
            name = status.code.name
            tell(self._observe, asked.path, name, start, error.reason, status.details)
        return InProcessError(*status)


def _asked(scope: Scope) -> Asked:
    path = scope["path"]
    query = scope["query_string"].decode("latin-1")
    return Asked(path, METHODS.get(path), scope["method"], Headers(scope=scope), query)


def _not_spoken(asked: Asked) -> PlainTextResponse:
    verbs = ("GET", "POST") if connect.is_readable(asked.found) else ("POST",)
    if asked.verb not in verbs:
        allowed = ", ".join(verbs)
        return PlainTextResponse(f"only {allowed}\n", 405, {"allow": allowed})
    text = f"send one of: {ACCEPT_POST}\n"
    return PlainTextResponse(text, 415, {"accept-post": ACCEPT_POST})
