"""Which pages may talk to this port: Host and Origin are checked, CORS is off unless asked for.

A browser runs other people's pages, and sends what they ask for. Two ways in are closed:

- **DNS rebinding**: evil.example is made to point at 127.0.0.1, and its page then reads what
  only this machine should see. The Host header still says evil.example. So a server on
  loopback answers to the names of loopback only, and to ``--allowed-hosts``. One that listens
  elsewhere is reached by names that only its users know (a service's, a balancer's, an address),
  and takes every name unless ``--allowed-hosts`` says which.
- **Cross-site requests**: whatever is sent by a page of another origin has its Origin, and is
  refused unless ``--cors-origins`` names that. There are no cookies here to be stolen.

Probes and discovery are asked for by machines, behind proxies and by whatever name. They
change nothing and tell no secrets: they are not checked.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from runwire_server.settings import Settings
from runwire_server.web.pages import OPEN

# What a page of an allowed origin may read beyond the body.
EXPOSED = ("grpc-status", "grpc-message", "grpc-status-details-bin", "content-encoding")
PREFLIGHT_S = 7200
HOST = re.compile(r"(\[[^\[\]]+\]|[^\[\]:@/?#\\\s]+)(:\d*)?")
DEFAULT_PORTS = {"http": 80, "https": 443}


class Guard:
    """In front of all else on the port."""

    def __init__(self, app: ASGIApp, settings: Settings):
        bound = settings.host.lower()
        anywhere = frozenset[str]() if _is_loopback(bound) else frozenset({"*"})
        self._hosts = (_names(settings.allowed_hosts) or anywhere) | {bound}
        self._origins = _names(settings.cors_origins)
        self._app = _with_cors(app, self._origins) if self._origins else app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        problem = None if scope["path"] in OPEN else self._problem(Headers(scope=scope))
        app = self._app if problem is None else PlainTextResponse(f"{problem}\n", 403)
        await app(scope, receive, send)

    def _problem(self, headers: Headers) -> str | None:
        host, origin = headers.get("host", ""), headers.get("origin")
        if not _is_among(_hostname(host), self._hosts):
            return f"host {host!r} is not one of this server's: see --allowed-hosts"
        if origin is not None and not self._is_welcome(origin, host):
            return f"origin {origin!r} may not use this server: see --cors-origins"
        return None

    def _is_welcome(self, origin: str, host: str) -> bool:
        if "*" in self._origins or origin.lower() in self._origins:
            return True
        # A page of this server's own. The scheme is not compared: a proxy may speak TLS for us.
        scheme = origin.partition("://")[0]
        place = _place(origin)
        return place is not None and place == _place(f"{scheme}://{host}")


def _with_cors(app: ASGIApp, origins: frozenset[str]) -> ASGIApp:
    return CORSMiddleware(
        app,
        allow_origins=sorted(origins),
        allow_methods=("GET", "POST"),
        allow_headers=("*",),  # metadata of calls; without cookies it is nobody's secret
        expose_headers=EXPOSED,
        max_age=PREFLIGHT_S,
    )


def _names(setting: str) -> frozenset[str]:
    return frozenset(name.strip().lower() for name in setting.split(",") if name.strip())


def _is_among(name: str, hosts: frozenset[str]) -> bool:
    if "*" in hosts or name in hosts or _is_loopback(name):
        return True
    return any(host.startswith("*.") and name.endswith(host[1:]) for host in hosts)


def _is_loopback(host: str) -> bool:
    """By name or address. No DNS has a say in these names."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _hostname(host: str) -> str:
    """A Host header without its port; empty for what is none."""
    found = HOST.fullmatch(host)
    return found[1].lower().strip("[]").removesuffix(".") if found else ""


def _place(url: str) -> tuple[str, int] | None:
    """Host and port of an origin; None for what is none, "null" for instance."""
    try:
        parts = urlsplit(url)
        if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
            return None
        return parts.hostname, parts.port or DEFAULT_PORTS[parts.scheme]
    except ValueError:
        return None
