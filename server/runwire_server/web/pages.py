"""Probes for load balancers, Prometheus, discovery of the gRPC port, and the OpenAPI document.

``GET /api/v1/server`` answers ``GetServerInfo`` as JSON, so that a user configures one
URL, ``http://host:5000``, and the client finds the rest.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from google.protobuf.json_format import MessageToDict
from runwire.v1.server_service_pb2 import GetServerInfoResponse
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

Check = Callable[[], dict[str, str]]
Info = Callable[[], GetServerInfoResponse]
# What machines ask for under whatever name they know the server by: see ``guard``.
OPEN = ("/livez", "/readyz", "/metrics", "/api/v1/server")
# Made from the protos by scripts/gen.
OPENAPI = Path(__file__).parent / "openapi.json"


def routes(check: Check, info: Info, exposition: Callable[[], bytes]) -> list[Route]:
    """Handlers are plain functions, run in worker threads."""

    def home(_: Request) -> Response:
        about = info()
        return PlainTextResponse(
            f"Runwire {about.version}\n\n"
            "  import runwire\n"
            '  runwire.set_tracking_uri("http://HOST:PORT of this page")\n\n'
            "  /livez  /readyz  /metrics  /api/v1/server  /openapi.json\n"
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

    def openapi(_: Request) -> Response:
        return FileResponse(OPENAPI, media_type="application/json")

    handlers = {
        "/": home,
        "/livez": livez,
        "/readyz": readyz,
        "/metrics": metrics,
        "/api/v1/server": server,
        "/openapi.json": openapi,
    }
    return [Route(path, handler) for path, handler in handlers.items()]
