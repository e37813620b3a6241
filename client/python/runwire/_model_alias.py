"""``client.models``: aliases, which are what serving follows."""

from __future__ import annotations

from runwire._change import new_id
from runwire._model_call import ModelCalls
from runwire.v1.registry_service_pb2 import (
    DeleteModelAliasRequest,
    DeleteModelAliasResponse,
    RollbackModelAliasRequest,
    RollbackModelAliasResponse,
    SetModelAliasRequest,
    SetModelAliasResponse,
)


class ModelAliases(ModelCalls):
    """The calls about aliases."""

    def set_alias(
        self,
        model: str,
        alias: str,
        version: int,
        *,
        expected_version: int | None = None,
        comment: str = "",
        workspace: str = "",
    ) -> SetModelAliasResponse:
        """Point an alias at a version. With ``expected_version`` (0: not set yet) only from
        there: else ``ConflictError``, reason ALIAS_MOVED."""
        request = SetModelAliasRequest(
            model=model,
            workspace=self._in(workspace),
            alias=alias,
            version=version,
            expected_version=expected_version,
            comment=comment,
        )
        response: SetModelAliasResponse = self._call("SetModelAlias", request)
        return response

    def delete_alias(
        self,
        model: str,
        alias: str,
        *,
        expected_version: int | None = None,
        comment: str = "",
        workspace: str = "",
    ) -> DeleteModelAliasResponse:
        """Remove an alias; with ``expected_version`` only while it points there."""
        request = DeleteModelAliasRequest(
            model=model,
            workspace=self._in(workspace),
            alias=alias,
            expected_version=expected_version,
            comment=comment,
        )
        response: DeleteModelAliasResponse = self._call("DeleteModelAlias", request)
        return response

    def rollback_alias(
        self,
        model: str,
        alias: str,
        *,
        expected_version: int | None = None,
        comment: str = "",
        workspace: str = "",
        request_id: str = "",
    ) -> RollbackModelAliasResponse:
        """Take the last move of an alias back; called again, the one before it. Answers where
        it points now, and which move that undid. With ``expected_version`` only from there.

        >>> client.models.rollback_alias("fraud", "champion", expected_version=7).version
        6
        """
        request = RollbackModelAliasRequest(
            model=model,
            workspace=self._in(workspace),
            alias=alias,
            expected_version=expected_version,
            comment=comment,
            request_id=request_id or new_id(),
        )
        response: RollbackModelAliasResponse = self._call("RollbackModelAlias", request)
        return response
