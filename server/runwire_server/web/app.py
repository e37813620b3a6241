"""All of the web port as one ASGI application."""

from __future__ import annotations

from collections.abc import Callable

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp

from runwire_server.app import App
from runwire_server.interceptors import Observe
from runwire_server.pools import Pools
from runwire_server.settings import Settings
from runwire_server.web import pages
from runwire_server.web.edge import Edge
from runwire_server.web.guard import Guard


def make_app(
    app: App,
    settings: Settings,
    pools: Pools,
    observe: Observe | None = None,
    exposition: Callable[[], bytes] = bytes,
) -> ASGIApp:
    """``exposition``: the Prometheus page. ``observe`` hears of every call."""
    edge = Route("/runwire.v1.{service}/{method}", Edge(app, pools, observe))
    found = pages.routes(app.check, app.server_service.info, exposition)
    return Guard(Starlette(routes=[edge, *found]), settings)
