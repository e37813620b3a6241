"""The fluent API's registry: publish what a run holds under a name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict
from urllib.parse import urlsplit

from runwire import _session
from runwire._active import text_of
from runwire._artifact_uri import FORMS, check_path, parse
from runwire._errors import invalid

if TYPE_CHECKING:
    from runwire.v1.model_pb2 import ModelVersion as ModelVersionMessage


@dataclass(frozen=True)
class ModelVersion:
    """A published version, as it was when it was read."""

    name: str
    version: int
    run_id: str
    source: str
    description: str
    current_stage: str
    aliases: list[str]
    tags: dict[str, str]
    creation_timestamp: int
    user_id: str

    @property
    def status(self) -> str:
        """READY: a version is published whole or not at all."""
        return "READY"


def register_model(
    model_uri: str,
    name: str,
    await_registration_for: int | None = None,
    *,
    tags: Mapping[str, Any] | None = None,
) -> ModelVersion:
    """Publish ``runs:/RUN_ID/PATH`` as the next version of a model, made where it is missing.

    What this process logged is sent first. ``models:/NAME/VERSION`` is copied, without moving a
    byte; another URL (``s3://…``) is only noted.
    Returns when the version can be used; ``await_registration_for`` is not needed.

    >>> version = runwire.register_model(f"runs:/{run.info.run_id}/model", "fraud")
    >>> version.version
    1
    """
    source = _source(str(model_uri))
    texts = {key: text_of("tag", key, value) for key, value in (tags or {}).items()}
    _session.flush_own()
    models = _session.client().models
    return version_of(models.create_version(name, **source, tags=texts, create_model=True))


def version_of(message: ModelVersionMessage) -> ModelVersion:
    source = message.source_uri
    if message.HasField("source_version"):
        source = f"models:/{message.source_version.model}/{message.source_version.version}"
    if message.source_run_id:
        source = f"runs:/{message.source_run_id}/{message.source_path}"
    return ModelVersion(
        name=message.model,
        version=message.version,
        run_id=message.source_run_id,
        source=source,
        description=message.description,
        current_stage=message.stage,
        aliases=list(message.aliases),
        tags=dict(message.tags),
        creation_timestamp=message.create_time.ToMilliseconds(),
        user_id=message.creator,
    )


class _Source(TypedDict, total=False):
    source_run_id: str
    source_path: str
    source_version: tuple[str, int]
    source_uri: str


def _source(uri: str) -> _Source:
    scheme = urlsplit(uri).scheme
    if scheme == "runs":
        found = parse(uri)
        return {
            "source_run_id": found.run_id,
            "source_path": check_path("model_uri", found.path),
        }
    if scheme == "models":
        return {"source_version": _version(uri)}
    if scheme in ("", "file"):
        raise invalid(
            "model_uri",
            f"{uri!r} cannot be registered: log it to a run and register runs:/RUN_ID/PATH "
            f"(reading takes {FORMS})",
        )
    return {"source_uri": uri}


def _version(uri: str) -> tuple[str, int]:
    found = parse(uri)
    if found.path:
        raise invalid("model_uri", f"{uri!r} names a file of a version, which is copied whole")
    version = _session.client().models.resolve(found.model)
    return version.model, version.version
