"""``runwire server`` and ``python -m runwire_server``: one process, or one and its workers."""

from __future__ import annotations

import _thread
import logging
import signal
import sys
import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from runwire_server import allocator, telemetry
from runwire_server import settings as settings_module
from runwire_server.app import App
from runwire_server.errors import ServiceError
from runwire_server.settings import Settings

if TYPE_CHECKING:
    from runwire_server.pools import Pools
    from runwire_server.web import WebServer

OnReady = Callable[[Settings, int, "WebServer | None"], None]

log = logging.getLogger("runwire.server")


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGTERM or SIGINT. 0: drained and stopped; 1: could not start."""
    settings = settings_module.read(arguments)
    telemetry.set_up_logs(settings.log_level, settings.log_format)
    stop = threading.Event()
    stop_on(stop, signal.SIGTERM, signal.SIGINT)
    if settings.workers > 1:
        from runwire_server import workers

        return exit_code(lambda: workers.supervise(settings, stop))
    return exit_code(lambda: serve(settings, stop, announce))


def stop_on(stop: threading.Event, *numbers: signal.Signals) -> None:
    """Set the event at a signal: from a thread, as the one that waits may hold its lock."""
    for number in numbers:
        signal.signal(number, lambda *_: _thread.start_new_thread(stop.set, ()))


def exit_code(run: Callable[[], int]) -> int:
    """What ``run`` returns; 1, and a line that says why, where it cannot start."""
    try:
        return run()
    except (ServiceError, OSError, ValueError) as error:
        log.error("cannot start: %s", error)
        return 1


def serve(settings: Settings, stop: threading.Event, on_ready: OnReady) -> int:
    """One process: the gRPC port, and the web port unless it is off."""
    from runwire_server.transport import GrpcServer

    allocator.keep_freed()
    app = App(
        settings.backend_store_uri,
        settings.artifacts_destination,
        pool_size=settings.unary_threads,
        lost_after_s=settings.lost_after_s,
        direct_downloads_s=settings.direct_downloads_s,
    )
    try:
        server = GrpcServer(app, settings, telemetry.observe)
        web = start_web(app, settings, server.pools, server.port)
        server.start()
        on_ready(settings, server.port, web)
        while not stop.wait(0.5):  # a signal just before a wait would not end it
            pass
        log.info("draining")
        app.drain.set()
        if web:
            web.leave()
        server.stop(settings.grace_s)
        if web:
            web.stop()
    finally:
        app.close()
    log.info("stopped")
    return 0


def start_web(app: App, settings: Settings, pools: Pools, grpc_port: int) -> WebServer | None:
    if settings.port < 0:
        return None
    from runwire_server.web import WebServer, make_app

    service = app.server_service
    service.grpc_endpoint = settings.advertise or f":{grpc_port}"
    edge = make_app(app, settings, pools, telemetry.observe, telemetry.exposition)
    web = WebServer(edge, settings.host, settings.port, settings.grace_s)
    service.web_endpoint = f":{web.port}"
    web.start()
    return web


def announce(settings: Settings, grpc_port: int, web: WebServer | None) -> None:
    """The one line on standard output: scripts wait for it and read the ports from it."""
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    line = f"runwire server ready: grpc://{host}:{grpc_port}"
    if web is not None:
        line += f" http://{host}:{web.port}"
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
