"""The web port: the services over Connect and gRPC-Web, probes, Prometheus and discovery."""

from runwire_server.web.app import make_app
from runwire_server.web.server import WebServer

__all__ = ["WebServer", "make_app"]
