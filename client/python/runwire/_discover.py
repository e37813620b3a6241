"""``http://HOST:5000`` as tracking URI: ask the web port where gRPC is served."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from typing import Any
from urllib.parse import urlsplit

from runwire._errors import InvalidArgumentError, UnavailableError
from runwire._uri import GRPC_PORT

TIMEOUT_S = 10.0
PATH = "/api/v1/server"
_MAX_ANSWER_BYTES = 1 << 20


def discover(uri: str) -> tuple[str, bool]:
    """(host:port, secure) of the gRPC endpoint behind a web address; https means TLS.

    Raises ``UnavailableError`` where nothing answers, ``InvalidArgumentError`` where
    something does that is no Runwire server.
    """
    endpoint = str(_ask(uri).get("grpc_endpoint", ""))
    parts = urlsplit(f"//{endpoint}")
    host = parts.hostname or urlsplit(uri).hostname or ""
    if host in ("0.0.0.0", "::"):  # noqa: S104 - the server listens everywhere; where we came is one
        host = urlsplit(uri).hostname or ""
    host = f"[{host}]" if ":" in host else host
    return f"{host}:{parts.port or GRPC_PORT}", uri.startswith("https:")


def _ask(uri: str) -> dict[str, Any]:
    request = urllib.request.Request(  # noqa: S310 - only http and https come here
        uri.rstrip("/") + PATH, headers={"Accept": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            answer = json.loads(response.read(_MAX_ANSWER_BYTES))
    except urllib.error.HTTPError as error:
        with error:
            if error.code in (429, 502, 503, 504):
                raise UnavailableError(f"{uri} answers {error.code} {error.reason}") from error
            raise _not_runwire(uri, f"{error.code} {error.reason}") from error
    except ValueError as error:
        raise _not_runwire(uri, "no JSON") from error
    except OSError as error:
        problem = getattr(error, "reason", None) or error
        raise UnavailableError(
            f"nothing answers at {uri} ({problem}). Is the server running there, and is this "
            "its web port (5000 unless told otherwise)?"
        ) from error
    if not isinstance(answer, dict) or "grpc_endpoint" not in answer:
        raise _not_runwire(uri, "other JSON")
    return answer


def _not_runwire(uri: str, answer: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{uri} is a web server, but not Runwire's (GET {PATH}: {answer}). Is it an mlflow "
        "server, or a proxy in front? `runwire server` starts ours; grpc://HOST:5001 goes "
        "to its gRPC port directly",
        reason="FIELD_INVALID",
        metadata={"field": "tracking_uri"},
    )
