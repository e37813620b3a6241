"""One call of RegistryService, in the workspace of the client."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runwire.v1.artifact_pb2 import ModelVersionKey
from runwire.v1.registry_service_pb2_grpc import RegistryServiceStub

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from runwire._call import Caller


class ModelCalls:
    """What the parts of ``client.models`` share."""

    def __init__(self, caller: Caller):
        self._caller = caller

    def _in(self, workspace: str) -> str:
        return workspace or self._caller.workspace

    def _key(self, model: str, version: int, workspace: str) -> ModelVersionKey:
        return ModelVersionKey(model=model, version=version, workspace=self._in(workspace))

    def _call(self, method: str, request: Message) -> Any:
        return self._caller.unary(RegistryServiceStub, method, request)
