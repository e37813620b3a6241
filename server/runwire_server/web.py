"""The web port: probes for load balancers, Prometheus, and discovery of the gRPC port.

``GET /api/v1/server`` answers ``GetServerInfo`` as JSON, so that a user configures one
URL, ``http://host:5000``, and the client finds the rest.
"""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import uvicorn
from google.protobuf.json_format import MessageToDict
from runwire.v1.server_service_pb2 import GetServerInfoResponse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

Check = Callable[[], dict[str, str]]
Info = Callable[[], GetServerInfoResponse]


def make_app(check: Check, info: Info, exposition: Callable[[], bytes]) -> Starlette:
    """The ASGI application; handlers are plain functions, run in worker threads."""

    def home(_: Request) -> Response:
        about = info()
        return PlainTextResponse(
            f"Runwire {about.version}\n\n"
            "  import runwire\n"
            '  runwire.set_tracking_uri("http://HOST:PORT of this page")\n\n'
            "  /livez  /readyz  /metrics  /api/v1/server\n"
        )

    def livez(_: Request) -> Response:
        return PlainTextResponse("ok\n")

    def readyz(_: Request) -> Response:
        problems = check()
        body = {"ready": not problems, "problems": problems}
        return JSONResponse(body, status_code=503 if problems else 200)

    def metrics(_: Request) -> Response:
        return Response(exposition(), media_type="text/plain; version=0.0.4")

    def server(_: Request) -> Response:
        return JSONResponse(MessageToDict(info(), preserving_proto_field_name=True))

    handlers = {
        "/": home,
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": metrics,
        "/api/v1/server": server,
    }
    return Starlette(routes=[Route(path, handler) for path, handler in handlers.items()])


class WebServer:
    """uvicorn in a thread of its own. ``port`` is the one it got."""

    def __init__(self, app: Starlette, host: str, port: int):
        self._socket = socket.create_server(
            (host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        self.port: int = self._socket.getsockname()[1]
        self._server = uvicorn.Server(
            uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", ws="none")
        )
        self._thread = threading.Thread(
            target=self._server.run, args=([self._socket],), name="web", daemon=True
        )

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join()
        self._socket.close()
