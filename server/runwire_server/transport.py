"""The gRPC port: admission to the thread pools, health, reflection, graceful drain.

grpcio's synchronous server, because the database and fsspec block.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from runwire_server.app import SERVICE_NAMES, App
from runwire_server.errors import Overloaded
from runwire_server.interceptors import CallInterceptor, Observe, kind_of
from runwire_server.limits import LIMITS, STREAM_AGE_S
from runwire_server.pools import Pools
from runwire_server.settings import Settings

# A client behind a load balancer would stay with its first server for ever: after ten
# minutes (grpc adds ±10 % itself) its new calls take a new connection. The old one lasts
# as long as a stream may: streams are told to close in time, and are not cut.
OPTIONS = (
    ("grpc.max_receive_message_length", LIMITS.max_message_bytes),
    ("grpc.max_send_message_length", LIMITS.max_message_bytes),
    ("grpc.max_connection_age_ms", 600_000),
    ("grpc.max_connection_age_grace_ms", int(STREAM_AGE_S * 1000) + 60_000),
    ("grpc.keepalive_time_ms", 60_000),
    ("grpc.keepalive_timeout_ms", 20_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # Ours ping every minute, idle or not; the default would send them away.
    ("grpc.http2.min_recv_ping_interval_without_data_ms", 20_000),
)


class Admission(grpc.ServerInterceptor):
    """Gives each call its pool, or refuses it while that is full. Outermost."""

    def __init__(self, pools: Pools):
        self._pools = pools
        self._refusals = ThreadPoolExecutor(1, thread_name_prefix="refusals")

    def intercept_service(self, continuation: Any, details: grpc.HandlerCallDetails) -> Any:
        handler = continuation(details)
        if handler is None or not details.method.startswith("/runwire.v1."):
            return handler
        streaming = handler.request_streaming or handler.response_streaming
        pool = self._pools.of(streaming=streaming)
        if pool.is_full:
            return self._refuse(handler, details)
        if streaming:
            # grpcio runs a method on the pool that its function names.
            getattr(handler, kind_of(handler)).experimental_thread_pool = pool
        return handler

    def _refuse(self, handler: Any, details: grpc.HandlerCallDetails) -> Any:
        def refuse(_request: Any, _context: grpc.ServicerContext) -> Any:
            raise Overloaded(retry_after_s=1.0)

        kind = kind_of(handler)
        make = getattr(grpc, f"{kind}_rpc_method_handler")
        plain = make(refuse, handler.request_deserializer, handler.response_serializer)
        refusal = CallInterceptor().intercept_service(lambda _: plain, details)
        getattr(refusal, kind).experimental_thread_pool = self._refusals
        return refusal

    def close(self) -> None:
        self._refusals.shutdown()


class Health(health.HealthServicer):  # type: ignore[misc]
    """Says how it stands; ``close`` ends the calls that watch, which never end by themselves."""

    def __init__(self) -> None:
        super().__init__()
        self._watching: set[Callable[[None], None]] = set()

    def Watch(self, request: Any, context: grpc.ServicerContext, send: Any = None) -> Any:
        self._watching.add(send)
        context.add_callback(lambda: self._watching.discard(send))
        return super().Watch(request, context, send)

    def tell(self, status: Any) -> None:
        for name in ("", *SERVICE_NAMES):
            self.set(name, status)

    def close(self) -> None:
        self.tell(health_pb2.HealthCheckResponse.NOT_SERVING)
        for send in list(self._watching):
            send(None)


class GrpcServer:
    """An ``App`` on a gRPC port. ``port`` is the one it got; ``pools`` are closed with it."""

    def __init__(self, app: App, settings: Settings, observe: Observe | None = None):
        self._app = app
        self.pools = Pools(settings)
        self._admission = Admission(self.pools)
        self._server = grpc.server(
            self.pools.unary,
            interceptors=[self._admission, CallInterceptor(observe)],
            options=[*OPTIONS, ("grpc.so_reuseport", int(settings.workers > 1))],
        )
        app.register(self._server)
        self._health = Health()
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*SERVICE_NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        self.port = self._bind(settings.host, settings.grpc_port)

    def _bind(self, host: str, port: int) -> int:
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            return self._server.add_insecure_port(address)
        except RuntimeError as error:
            raise OSError(f"cannot listen on {address}: is the port in use?") from error

    def start(self) -> None:
        self._server.start()
        self._health.tell(health_pb2.HealthCheckResponse.SERVING)

    def stop(self, grace_s: float) -> None:
        """Say so (health, ``Closing`` on streams), let calls finish, then close.

        Calls still under way after ``grace_s`` seconds are cut; what they had
        acknowledged is committed, the rest is sent again by their client.
        """
        self._health.close()
        self._app.drain.set()
        self._server.stop(grace_s).wait()
        self.pools.close()
        self._admission.close()
