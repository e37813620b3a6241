"""uvicorn on the web port, in a thread of its own."""

from __future__ import annotations

import socket
import threading

import uvicorn
from starlette.types import ASGIApp


class WebServer:
    """``port`` is the one it got. ``grace_s``: what calls under way get when it stops."""

    def __init__(self, app: ASGIApp, host: str, port: int, grace_s: float = 5.0):
        self._socket = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        # Every connection has it from here: the two writes of an answer, its headers and its
        # body, would otherwise wait for one another as long as the caller delays its ACK, 40 ms.
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http="h11",  # of those that uvicorn finds, the one that bounds a request's head
            log_config=None,
            access_log=False,
            lifespan="off",
            ws="none",
            server_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=max(1, int(grace_s)),
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="web", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def leave(self) -> None:
        """Take no new connection, and let the calls under way end."""
        self._server.should_exit = True

    def stop(self) -> None:
        """Leave, and wait for the last call: ``grace_s`` at most, then it is cut."""
        self.leave()
        self._thread.join()
        self._socket.close()
