"""Who this server is and what it accepts."""

from __future__ import annotations

from collections.abc import Sequence

import runwire
from grpc import ServicerContext
from runwire.v1.server_service_pb2 import GetServerInfoRequest, GetServerInfoResponse
from runwire.v1.server_service_pb2_grpc import ServerServiceServicer

from runwire_server.limits import LIMITS

FEATURES = (
    "batches.stream",
    "artifacts.gzip",
    "artifacts.resume",
    "artifacts.zstd",
    "runs.resume",
    "metrics.tail",
    "runs.watch",
    "models.watch",
)
# Where the settings and the blob store allow it.
DIRECT = "artifacts.direct"


class ServerService(ServerServiceServicer):
    """Endpoints are filled in by the transport, which alone knows its ports."""

    def __init__(self, features: Sequence[str] = FEATURES) -> None:
        self._features = features
        self.grpc_endpoint = ""
        self.web_endpoint = ""

    def GetServerInfo(
        self, request: GetServerInfoRequest, context: ServicerContext
    ) -> GetServerInfoResponse:
        return self.info()

    def info(self) -> GetServerInfoResponse:
        """The same for the web port, which has no gRPC context."""
        return GetServerInfoResponse(
            version=runwire.__version__,
            features=self._features,
            limits=LIMITS,
            grpc_endpoint=self.grpc_endpoint,
            web_endpoint=self.web_endpoint,
        )
