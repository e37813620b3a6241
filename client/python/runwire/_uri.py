"""Tracking URIs: what a user may write, and what it comes to.

Standard library only. Local URIs are made absolute when they are given, so that neither
a later ``chdir`` nor a process elsewhere (the uploader) takes them for another place.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from runwire._errors import invalid

VARIABLE = "RUNWIRE_TRACKING_URI"
DEFAULT = "runwire-data"
GRPC_PORT = 5001

_SCHEME = re.compile(r"([a-zA-Z][a-zA-Z0-9+.-]+):(.*)", re.S)
_REMOTE = {"grpc", "grpcs", "http", "https"}
_DATABASES = {"sqlite", "postgresql", "postgres"}


def resolve_uri(uri: str | os.PathLike[str] | None = None) -> str:
    """The tracking URI in full: of the argument, else RUNWIRE_TRACKING_URI, else ./runwire-data.

    A folder becomes its absolute path, a relative ``sqlite:///x.db`` an absolute one.
    Raises ``InvalidArgumentError`` for what Runwire cannot speak to.

    >>> resolve_uri("sqlite:///x.db")
    'sqlite:////home/ana/x.db'
    """
    text = os.fspath(uri or os.environ.get(VARIABLE) or DEFAULT)
    match = _SCHEME.fullmatch(text)
    if match is None:  # one letter before the colon is a drive of Windows
        return str(Path(text).expanduser().absolute())
    scheme, rest = match[1].lower(), match[2]
    if scheme == "file":
        return str(_file_path(text).expanduser().absolute())
    if scheme in _REMOTE:
        return _remote(text, scheme)
    if scheme.split("+")[0] in _DATABASES:
        return _sqlite(rest) if scheme.startswith("sqlite") else text
    raise invalid("tracking_uri", _advice(text, scheme, rest))


def is_local(uri: str) -> bool:
    """Whether a resolved URI is served by this process, without a server."""
    return urlsplit(uri).scheme not in _REMOTE


def data_folder(uri: str) -> Path | None:
    """The folder of a resolved local URI: the folder itself, or where its SQLite file lies."""
    if uri.startswith("sqlite:///"):
        return Path(uri.removeprefix("sqlite:///")).parent
    if "://" in uri:
        return None
    return Path(uri)


def grpc_endpoints(uri: str) -> tuple[list[str], bool]:
    """(each host:port, secure) of a resolved ``grpc://`` or ``grpcs://`` URI.

    >>> grpc_endpoints("grpc://ada,bob:6001")
    (['ada:5001', 'bob:6001'], False)
    """
    scheme, netloc, *_ = urlsplit(uri)
    return [_endpoint(one) for one in netloc.split(",")], scheme == "grpcs"


def _endpoint(server: str) -> str:
    parts = urlsplit(f"//{server}")
    host = parts.hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port or GRPC_PORT}"


def shown(uri: str) -> str:
    """The URI without its password, for messages."""
    parts = urlsplit(uri)
    if not parts.password:
        return uri
    return uri.replace(f":{parts.password}@", ":***@", 1)


def _file_path(text: str) -> Path:
    """``file:PATH``, ``file:///PATH`` and ``file://localhost/PATH``."""
    rest = text[len("file:") :]
    if not rest.startswith("//"):
        return Path(unquote(rest) or DEFAULT)
    host, _, path = rest[2:].partition("/")
    if host not in ("", "localhost"):
        raise invalid(
            "tracking_uri",
            f"{text!r}: a file on another host ({host}); write file:///PATH for one on this",
        )
    path = unquote(path)
    return Path(path) if re.match(r"[a-zA-Z]:", path) else Path("/" + path)


def _remote(text: str, scheme: str) -> str:
    try:
        problem = _problem(text, scheme)
    except ValueError as error:
        problem = str(error)
    if problem:
        raise invalid(
            "tracking_uri",
            f"{text!r}: {problem}; write {scheme}://HOST:{5000 if 'http' in scheme else GRPC_PORT}",
        )
    return text.rstrip("/")


def _problem(text: str, scheme: str) -> str:
    """What is wrong with a remote URI; raises ValueError for what is no URI at all."""
    _, netloc, path, *_ = urlsplit(text)
    servers = [urlsplit(f"//{server}") for server in netloc.split(",")]
    if any(not server.hostname or server.port == 0 for server in servers):
        return "names no host"
    if scheme.startswith("grpc") and path.strip("/"):
        return f"a gRPC address has no path ({path})"
    if scheme.startswith("http") and len(servers) > 1:
        return "several servers go by their gRPC addresses, grpc://HOST:5001,HOST:5001"
    return ""


def _sqlite(rest: str) -> str:
    path = rest.removeprefix("///") if rest.startswith("///") else ""
    if not path or path == ":memory:":
        raise invalid(
            "tracking_uri",
            f"'sqlite:{rest}' names no file; write sqlite:///FILE or sqlite:////ABSOLUTE/FILE",
        )
    return f"sqlite:///{Path(path).absolute()}"


def _advice(text: str, scheme: str, rest: str) -> str:
    if rest[:1].isdigit():
        return (
            f"{text!r} has no scheme; did you mean http://{text} (the web port), or "
            f"grpc://{scheme}:{GRPC_PORT}?"
        )
    if scheme.split("+")[0] in ("mysql", "mssql", "oracle"):
        return f"{scheme} is not supported as a database; PostgreSQL and SQLite are"
    if scheme in ("databricks", "databricks-uc", "uc"):
        return f"{text!r}: Runwire does not speak to Databricks; it has servers of its own"
    return (
        f"{text!r}: {scheme!r} is no scheme of a tracking URI. Use a folder, sqlite:///FILE, "
        "postgresql://…, http(s)://HOST:5000 or grpc(s)://HOST:5001"
    )
