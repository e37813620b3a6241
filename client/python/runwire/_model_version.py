"""``client.models``: versions, from their publication to the trash and back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runwire._change import changed_tags, mask, new_id
from runwire._model_call import ModelCalls
from runwire._pager import Pager
from runwire.v1.artifact_pb2 import Artifact
from runwire.v1.model_pb2 import ModelVersion
from runwire.v1.registry_service_pb2 import (
    CreateModelVersionRequest,
    CreateModelVersionResponse,
    DeleteModelVersionRequest,
    GetModelVersionRequest,
    GetModelVersionResponse,
    RestoreModelVersionRequest,
    RestoreModelVersionResponse,
    SearchModelVersionsRequest,
    SearchModelVersionsResponse,
    TransitionModelVersionRequest,
    TransitionModelVersionResponse,
    UpdateModelVersionRequest,
    UpdateModelVersionResponse,
)


class ModelVersions(ModelCalls):
    """The calls about versions."""

    def create_version(
        self,
        model: str,
        *,
        source_run_id: str = "",
        source_path: str = "",
        source_version: tuple[str, int] | None = None,
        artifacts: Iterable[Artifact] = (),
        source_uri: str = "",
        description: str = "",
        tags: Mapping[str, str] | None = None,
        signature: str = "",
        aliases: Iterable[str] = (),
        comment: str = "",
        create_model: bool = False,
        workspace: str = "",
        request_id: str = "",
    ) -> ModelVersion:
        """Publish the next version of a model: from a run's artifacts under ``source_path``,
        from another model's version as ``source_version=("fraud", 3)``, from ``artifacts``
        whose blobs are stored, or from a ``source_uri`` that is only noted.

        ``aliases`` move in the same transaction. Safe to repeat with the same
        ``request_id`` (a fresh one unless given).

        >>> client.models.create_version("fraud", source_run_id=run.run_id,
        ...                              source_path="model", create_model=True)
        """
        request = CreateModelVersionRequest(
            model=model,
            workspace=self._in(workspace),
            source_run_id=source_run_id,
            source_path=source_path,
            artifacts=artifacts,
            source_uri=source_uri,
            description=description,
            tags=tags,
            signature=signature,
            aliases=aliases,
            create_model=create_model,
            request_id=request_id or new_id(),
            source_version=self._key(*source_version, workspace) if source_version else None,
            comment=comment,
        )
        response: CreateModelVersionResponse = self._call("CreateModelVersion", request)
        return response.model_version

    def get_version(self, model: str, version: int, *, workspace: str = "") -> ModelVersion:
        """One version by its number. Raises ``NotFoundError``."""
        request = GetModelVersionRequest(key=self._key(model, version, workspace))
        response: GetModelVersionResponse = self._call("GetModelVersion", request)
        return response.model_version

    def search_versions(
        self,
        filter: str = "",
        *,
        order_by: str = "",
        show_deleted: bool = False,
        page_size: int = 0,
        page_token: str = "",
        workspace: str = "",
    ) -> Pager[ModelVersion, SearchModelVersionsResponse]:
        """Those that a filter finds: ``"model = 'fraud' AND stage = 'production'"``."""
        request = SearchModelVersionsRequest(
            workspace=self._in(workspace),
            filter=filter,
            order_by=order_by,
            page_size=page_size,
            show_deleted=show_deleted,
        )

        def fetch(token: str) -> SearchModelVersionsResponse:
            request.page_token = token
            response: SearchModelVersionsResponse = self._call("SearchModelVersions", request)
            return response

        return Pager(fetch, lambda page: page.model_versions, page_token)

    def update_version(
        self,
        model: str,
        version: int,
        *,
        description: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        removed_tags: Iterable[str] = (),
        comment: str = "",
        etag: str = "",
        workspace: str = "",
        update_mask: Sequence[str] | None = None,
    ) -> ModelVersion:
        """Change description or tags; the content of a version never changes."""
        put, tag_paths = changed_tags(tags, removed_tags)
        changed = ModelVersion(
            model=model,
            version=version,
            workspace=self._in(workspace),
            description=description,
            tags=put,
            etag=etag,
        )
        request = UpdateModelVersionRequest(
            model_version=changed,
            update_mask=mask({"description": description}, tag_paths, update_mask),
            comment=comment,
        )
        response: UpdateModelVersionResponse = self._call("UpdateModelVersion", request)
        return response.model_version

    def delete_version(
        self, model: str, version: int, *, comment: str = "", etag: str = "", workspace: str = ""
    ) -> None:
        """To the trash. Its number is not given again; aliases that point at it end."""
        request = DeleteModelVersionRequest(
            key=self._key(model, version, workspace), etag=etag, comment=comment
        )
        self._call("DeleteModelVersion", request)

    def restore_version(
        self, model: str, version: int, *, comment: str = "", workspace: str = ""
    ) -> ModelVersion:
        """Out of the trash, without the aliases that it had; see ``rollback_alias``."""
        request = RestoreModelVersionRequest(
            key=self._key(model, version, workspace), comment=comment
        )
        response: RestoreModelVersionResponse = self._call("RestoreModelVersion", request)
        return response.model_version

    def transition_version(
        self,
        model: str,
        version: int,
        to_stage: str,
        *,
        expected_stage: str = "",
        archive_others: bool = False,
        comment: str = "",
        workspace: str = "",
        request_id: str = "",
    ) -> ModelVersion:
        """Move a version to another stage. Raises ``FailedPreconditionError`` (reason
        STAGE_CHANGED) where it is not in ``expected_stage``."""
        request = TransitionModelVersionRequest(
            key=self._key(model, version, workspace),
            to_stage=to_stage,
            expected_stage=expected_stage,
            comment=comment,
            archive_others=archive_others,
            request_id=request_id or new_id(),
        )
        response: TransitionModelVersionResponse = self._call("TransitionModelVersion", request)
        return response.model_version
