"""What ``client.models.watch`` gives."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runwire._feed import Feed
from runwire.v1.registry_service_pb2 import WatchModelsRequest, WatchModelsResponse
from runwire.v1.registry_service_pb2_grpc import RegistryServiceStub

if TYPE_CHECKING:
    from runwire._call import Caller


class ModelFeed(Feed[WatchModelsResponse]):
    """``revision``: everything up to this one was told; given to ``watch`` as ``after_revision``
    it goes on there, in another process too. 0 before the end of a snapshot."""

    def __init__(self, caller: Caller, request: WatchModelsRequest):
        super().__init__(caller, (RegistryServiceStub, "WatchModels"), request, lambda event: event)
        self.revision = request.after_revision

    def _note(self, response: WatchModelsResponse) -> None:
        # Inside a snapshot there is no place to go on from: it starts again.
        if response.revision and not response.HasField("expired"):
            self.revision = self._request.after_revision = response.revision  # type: ignore[attr-defined]
