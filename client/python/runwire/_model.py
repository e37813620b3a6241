"""``client.models``: one method for each call of RegistryService.

This is the part about models; versions, aliases and what is only read have their own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from runwire._change import Time, changed_tags, mask, new_id, timestamp
from runwire._model_alias import ModelAliases
from runwire._model_reading import ModelReading
from runwire._model_version import ModelVersions
from runwire._pager import Pager
from runwire.v1.model_pb2 import Model
from runwire.v1.registry_service_pb2 import (
    CreateModelRequest,
    CreateModelResponse,
    DeleteModelRequest,
    GetModelRequest,
    GetModelResponse,
    RestoreModelRequest,
    RestoreModelResponse,
    SearchModelsRequest,
    SearchModelsResponse,
    UpdateModelRequest,
    UpdateModelResponse,
)


class Models(ModelVersions, ModelAliases, ModelReading):
    """The registry calls of one client. Safe for threads. All raise ``RunwireError``."""

    def create(
        self,
        name: str,
        *,
        description: str = "",
        tags: Mapping[str, str] | None = None,
        stages: Iterable[str] = (),
        get_existing: bool = False,
        workspace: str = "",
        request_id: str = "",
    ) -> Model:
        """Register a name; ``stages`` are none, staging, production, archived unless given.

        Safe to repeat with the same ``request_id`` (a fresh one unless given).
        """
        request = CreateModelRequest(
            name=name,
            workspace=self._in(workspace),
            description=description,
            tags=tags,
            stages=stages,
            get_existing=get_existing,
            request_id=request_id or new_id(),
        )
        response: CreateModelResponse = self._call("CreateModel", request)
        return response.model

    def get(self, name: str, *, workspace: str = "") -> Model:
        """With its aliases and latest version. Raises ``NotFoundError``."""
        request = GetModelRequest(name=name, workspace=self._in(workspace))
        response: GetModelResponse = self._call("GetModel", request)
        return response.model

    def search(
        self,
        filter: str = "",
        *,
        order_by: str = "",
        show_deleted: bool = False,
        page_size: int = 0,
        page_token: str = "",
        workspace: str = "",
    ) -> Pager[Model, SearchModelsResponse]:
        """Those that a filter finds: ``"name LIKE 'fraud%' AND tags.team = 'risk'"``."""
        request = SearchModelsRequest(
            workspace=self._in(workspace),
            filter=filter,
            order_by=order_by,
            page_size=page_size,
            show_deleted=show_deleted,
        )

        def fetch(token: str) -> SearchModelsResponse:
            request.page_token = token
            response: SearchModelsResponse = self._call("SearchModels", request)
            return response

        return Pager(fetch, lambda page: page.models, page_token)

    def update(
        self,
        name: str,
        *,
        new_name: str | None = None,
        description: str | None = None,
        tags: Mapping[str, str | None] | None = None,
        removed_tags: Iterable[str] = (),
        stages: Sequence[str] | None = None,
        comment: str = "",
        etag: str = "",
        workspace: str = "",
        update_mask: Sequence[str] | None = None,
    ) -> Model:
        """Change what is given and nothing else; ``new_name`` renames it with its versions.

        The history tells what was changed by whom, and why as ``comment`` says.
        """
        put, tag_paths = changed_tags(tags, removed_tags)
        fields = {"name": new_name, "description": description, "stages": stages}
        model = Model(
            name=name,
            workspace=self._in(workspace),
            description=description,
            tags=put,
            stages=stages,
            etag=etag,
        )
        request = UpdateModelRequest(
            model=model,
            update_mask=mask(fields, tag_paths, update_mask),
            new_name=new_name,
            comment=comment,
        )
        response: UpdateModelResponse = self._call("UpdateModel", request)
        return response.model

    def delete(self, name: str, *, comment: str = "", etag: str = "", workspace: str = "") -> None:
        """To the trash, with all its versions; its aliases end and its name is free."""
        request = DeleteModelRequest(
            name=name, workspace=self._in(workspace), etag=etag, comment=comment
        )
        self._call("DeleteModel", request)

    def restore(
        self,
        name: str,
        *,
        new_name: str = "",
        delete_time: Time | None = None,
        comment: str = "",
        workspace: str = "",
        request_id: str = "",
    ) -> Model:
        """Out of the trash, with its versions and aliases: the one of that name that was deleted
        last, or at ``delete_time``. ``new_name`` where the name was taken meanwhile."""
        request = RestoreModelRequest(
            name=name,
            workspace=self._in(workspace),
            delete_time=timestamp(delete_time),
            new_name=new_name,
            comment=comment,
            request_id=request_id or new_id(),
        )
        response: RestoreModelResponse = self._call("RestoreModel", request)
        return response.model
