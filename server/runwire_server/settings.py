"""Arguments and environment become one frozen ``Settings``; nothing else reads either."""

from __future__ import annotations

import argparse
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from urllib.parse import urlsplit

import runwire

DEFAULT_FOLDER = "runwire-data"
# Jobs send a heartbeat every 15 s, and may pause for 30 s after a server was away.
LEAST_LOST_AFTER_S = 60.0
# No store signs a URL for longer than a week.
MOST_DIRECT_S = 7 * 24 * 3600
ORIGIN = re.compile(r"https?://[^/@?#]+", re.IGNORECASE)

EPILOG = """\
Every option can come from the environment as RUNWIRE_ and its name in capitals:
RUNWIRE_BACKEND_STORE_URI=postgresql://db/runwire, RUNWIRE_GRPC_PORT=6001.

examples:
  runwire server
  runwire server --backend-store-uri sqlite:////srv/runwire/runwire.db \\
                 --artifacts-destination /srv/runwire/blobs --host 0.0.0.0
  runwire server --backend-store-uri postgresql://user@db/runwire \\
                 --artifacts-destination s3://bucket/runwire --workers 4
"""


@dataclass(frozen=True)
class Settings:
    """Everything a server can be told. Ports: 0 picks a free one, -1 (web) is off."""

    backend_store_uri: str = f"sqlite:///{DEFAULT_FOLDER}/runwire.db"
    artifacts_destination: str = f"{DEFAULT_FOLDER}/blobs"
    host: str = "127.0.0.1"
    port: int = 5000
    grpc_port: int = 5001
    advertise: str = ""
    allowed_hosts: str = ""
    cors_origins: str = ""
    workers: int = 1
    unary_threads: int = 16
    stream_threads: int = 1024
    grace_s: float = 30.0
    lost_after_s: float = 300.0
    direct_downloads_s: int = 0
    log_level: str = "info"
    log_format: str = "text"

    def __post_init__(self) -> None:
        if self.workers < 1:
            raise ValueError("--workers: at least 1")
        if self.workers > 1 and not self.backend_store_uri.startswith("postgres"):
            raise ValueError("--workers needs PostgreSQL: SQLite is served by one process")
        if 0 < self.lost_after_s < LEAST_LOST_AFTER_S:
            raise ValueError(f"--lost-after-s: 0, or at least {LEAST_LOST_AFTER_S:.0f}")
        if not 0 <= self.direct_downloads_s <= MOST_DIRECT_S:
            raise ValueError(f"--direct-downloads-s: 0 to {MOST_DIRECT_S}")
        for origin in filter(None, self.cors_origins.replace(" ", "").split(",")):
            if origin != "*" and not ORIGIN.fullmatch(origin):
                raise ValueError(f"--cors-origins: {origin!r} is not like https://host:port, or *")
        for name in ("port", "grpc_port"):
            if not -1 <= getattr(self, name) <= 65535:
                raise ValueError(f"--{name.replace('_', '-')}: not a port")


HELP = {
    "backend_store_uri": "database of experiments, runs, metrics and models: "
    "sqlite:///FILE or postgresql://… (default: %(default)s)",
    "artifacts_destination": "folder, or URL of an object store such as s3://bucket/prefix, "
    "for artifacts (default: %(default)s)",
    "host": "address to listen on; 0.0.0.0 for all (default: %(default)s)",
    "port": "web port: Connect and gRPC-Web, probes, Prometheus, discovery; 0 picks a free one, "
    "-1 turns it off (default: %(default)s)",
    "grpc_port": "gRPC port; 0 picks a free one (default: %(default)s)",
    "advertise": "HOST:PORT under which clients reach the gRPC port, where a proxy stands "
    "between (default: the host they came by)",
    "allowed_hosts": "names under which browsers and others may reach the web port, with commas "
    "between, *.example.com for all below one (default: those of loopback where --host is one of "
    "them, else every name)",
    "cors_origins": "origins whose pages may use the web port, such as https://app.example.com, "
    "with commas between; * for all (default: none but its own)",
    "workers": "server processes on the same port, PostgreSQL only (default: %(default)s)",
    "unary_threads": "calls answered at once, per process (default: %(default)s)",
    "stream_threads": "long streams open at once, per process (default: %(default)s)",
    "grace_s": "seconds that calls under way get at shutdown (default: %(default)s)",
    "lost_after_s": "seconds without data or a heartbeat after which a running run is marked "
    "LOST; 0 never does (default: %(default)s)",
    "direct_downloads_s": "seconds for which clients get signed URLs, to fetch large files from "
    "the object store itself; 0: they come through the server (default: %(default)s)",
    "log_level": "debug, info, warning or error (default: %(default)s)",
    "log_format": "text, or json with one object a line (default: %(default)s)",
}
CHOICES = {"log_level": ["debug", "info", "warning", "error"], "log_format": ["text", "json"]}


def parser(
    environ: Mapping[str, str] = os.environ, prog: str = "runwire server"
) -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=prog,
        description="Serve experiments, runs, metrics, artifacts and models over gRPC.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--version", action="version", version=runwire.__version__)
    for field in fields(Settings):
        made.add_argument(
            "--" + field.name.replace("_", "-"),
            default=environ.get("RUNWIRE_" + field.name.upper(), field.default),
            type=type(field.default),
            choices=CHOICES.get(field.name),
            help=HELP[field.name],
        )
    return made


def read(
    arguments: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ
) -> Settings:
    """The settings of a command line; exits with code 2 and a message when they are wrong."""
    made = parser(environ)
    try:
        return Settings(**vars(made.parse_args(arguments)))
    except ValueError as error:
        made.error(str(error))


def local(uri: str, environ: Mapping[str, str] = os.environ) -> Settings:
    """The settings of local mode for a tracking URI that names no server.

    Artifacts lie beside the data unless RUNWIRE_ARTIFACTS_DESTINATION says otherwise: in
    ``FOLDER/blobs``, in ``x.blobs`` for ``sqlite:///x.db``, else in ``runwire-data/blobs``.
    """
    scheme = urlsplit(uri).scheme
    if scheme == "sqlite":
        database, blobs = uri, str(Path(uri.removeprefix("sqlite:///")).with_suffix(".blobs"))
    elif scheme.startswith("postgres"):
        database, blobs = uri, f"{DEFAULT_FOLDER}/blobs"
    else:
        folder = Path(uri.removeprefix("file://").removeprefix("file:") or DEFAULT_FOLDER)
        database, blobs = f"sqlite:///{folder / 'runwire.db'}", str(folder / "blobs")
    return Settings(
        backend_store_uri=database,
        artifacts_destination=environ.get("RUNWIRE_ARTIFACTS_DESTINATION", blobs),
    )
