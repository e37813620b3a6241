"""``runwire.Client``: explicit calls to one tracking server, or to local mode."""

from __future__ import annotations

import os
from types import TracebackType
from typing import TYPE_CHECKING, Self

from runwire import _fork  # noqa: F401 - before anything that imports grpc
from runwire._artifact import Artifacts
from runwire._call import Caller
from runwire._connect import connect
from runwire._experiment import Experiments
from runwire._metric import Metrics
from runwire._model import Models
from runwire._run import Runs

if TYPE_CHECKING:
    from runwire.v1.server_service_pb2 import GetServerInfoResponse


class Client:
    """The API of one tracking URI: ``experiments``, ``runs``, ``metrics``, ``artifacts``,
    ``models``.

    None: RUNWIRE_TRACKING_URI, else ``./runwire-data``. ``timeout_s`` is the deadline of
    one call, with its retries (RUNWIRE_TIMEOUT_S, else 30). Nothing is opened before the
    first call. Safe for threads; in a child of ``fork()`` it opens a connection of its own;
    pickled, it is made anew. Close it, or use it in a ``with`` block.

    >>> with runwire.Client("http://localhost:5000") as client:
    ...     for run in client.runs.search(filter="metrics.loss < 0.1"):
    ...         print(run.name)
    """

    def __init__(
        self,
        tracking_uri: str | os.PathLike[str] | None = None,
        *,
        timeout_s: float | None = None,
    ):
        self._connection = connect(tracking_uri)
        self._timeout_s = timeout_s
        caller = self._caller = Caller(self._connection, timeout_s=timeout_s)
        self.experiments = Experiments(caller)
        self.runs = Runs(caller)
        self.metrics = Metrics(caller)
        self.artifacts = Artifacts(caller)
        self.models = Models(caller)

    @property
    def tracking_uri(self) -> str:
        """In full: local paths are absolute."""
        return self._connection.uri

    def server_info(self) -> GetServerInfoResponse:
        """Version, features, limits and endpoints of the server."""
        from runwire.v1.server_service_pb2 import GetServerInfoRequest
        from runwire.v1.server_service_pb2_grpc import ServerServiceStub

        response: GetServerInfoResponse = self._caller.unary(
            ServerServiceStub, "GetServerInfo", GetServerInfoRequest()
        )
        return response

    def close(self) -> None:
        """Give up the connection. In local mode, what is queued is committed first."""
        self._caller.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (self.tracking_uri, self._timeout_s)

    def __repr__(self) -> str:
        from runwire._uri import shown

        return f"Client({shown(self.tracking_uri)!r})"


def _again(tracking_uri: str, timeout_s: float | None) -> Client:
    return Client(tracking_uri, timeout_s=timeout_s)
