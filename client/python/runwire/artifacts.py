"""``runwire.artifacts``: read what runs and model versions hold.

Everywhere: ``artifact_uri`` is ``runs:/RUN_ID/PATH``, ``models:/NAME/VERSION``,
``models:/NAME@ALIAS``, ``models:/NAME/STAGE`` or ``models:/NAME/latest``; or ``run_id``
and ``artifact_path`` name a run's. What this process logged is sent first.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypedDict

from runwire import _session
from runwire._artifact_uri import check_path, parse
from runwire._errors import NotFoundError, invalid
from runwire._fluent import check_run_id

if TYPE_CHECKING:
    from runwire._client import Client
    from runwire.v1.artifact_pb2 import Artifact

__all__ = [
    "download_artifacts",
    "list_artifacts",
    "load_dict",
    "load_image",
    "load_table",
    "load_text",
]


class _Owner(TypedDict, total=False):
    run_id: str
    model: str
    version: int


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | os.PathLike[str] | None = None,
    tracking_uri: str | None = None,
) -> str:
    """Fetch a file, a directory or everything; returns its path on this machine.

    Files lie under ``dst_path`` (a new temporary folder unless given) by their whole
    artifact path. Digests are verified. Raises ``NotFoundError``.

    >>> folder = runwire.artifacts.download_artifacts("models:/fraud@champion")
    """
    with _client(tracking_uri) as client:
        owner, path = _find(client, artifact_uri, run_id, artifact_path)
        target = tempfile.mkdtemp(prefix="runwire-") if dst_path is None else os.fspath(dst_path)
        return str(client.artifacts.get(**owner, artifact_path=path, dst_path=target).absolute())


def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[Artifact]:
    """Files and directories right under a path (``.path``, ``.blob.size_bytes``).

    A directory has neither ``blob`` nor ``uri``.
    """
    with _client(tracking_uri) as client:
        owner, path = _find(client, artifact_uri, run_id, artifact_path)
        return list(client.artifacts.list(**owner, prefix=path))


def load_text(artifact_uri: str) -> str:
    """A file's text (UTF-8)."""
    return _read(artifact_uri).decode()


def load_dict(artifact_uri: str) -> Any:
    """What a JSON file holds, or a YAML file (.yaml, .yml; needs PyYAML)."""
    text = load_text(artifact_uri)
    if not artifact_uri.endswith((".yaml", ".yml")):
        return json.loads(text)
    import yaml

    return yaml.safe_load(text)


def load_image(artifact_uri: str) -> Any:
    """A PIL image. Needs Pillow."""
    import io

    from PIL import Image

    image = Image.open(io.BytesIO(_read(artifact_uri)))
    image.load()
    return image


def load_table(
    artifact_file: str,
    run_ids: list[str] | None = None,
    extra_columns: list[str] | None = None,
) -> Any:
    """A table of ``log_table``, of several runs or the active one, as a DataFrame.

    ``extra_columns``: "run_id" and fields of ``run.info`` to add to each row. Needs pandas.
    """
    import pandas as pd

    from runwire._fluent import current
    from runwire._fluent_search import get_run

    tables = []
    for run_id in run_ids or [current().run_id]:
        split = json.loads(_read(f"runs:/{run_id}/{check_path('artifact_file', artifact_file)}"))
        one = pd.DataFrame(split["data"], columns=split["columns"])
        for name in extra_columns or ():
            one[name] = run_id if name == "run_id" else getattr(get_run(run_id).info, name)
        tables.append(one)
    return pd.concat(tables, ignore_index=True)


def _read(artifact_uri: str) -> bytes:
    with _client(None) as client:
        owner, path = _find(client, artifact_uri, None, None)
        if not path:
            raise invalid("artifact_uri", f"{artifact_uri!r} names no file")
        return client.artifacts.download(**owner, artifact_path=path).read()


@contextmanager
def _client(tracking_uri: str | None) -> Iterator[Client]:
    """The session's client, or one of another tracking URI that is closed again."""
    from runwire._client import Client

    _session.flush_own()
    if tracking_uri is None:
        yield _session.client()
    else:
        with Client(tracking_uri) as client:
            yield client


def _find(
    client: Client, artifact_uri: str | None, run_id: str | None, artifact_path: str | None
) -> tuple[_Owner, str]:
    """Who holds it, and its path there."""
    if (artifact_uri is None) == (run_id is None):
        raise invalid("artifact_uri", "give exactly one of artifact_uri and run_id")
    if run_id is not None:
        return {"run_id": check_run_id(run_id)}, check_path("artifact_path", artifact_path)
    uri = parse(str(artifact_uri))
    path = check_path("artifact_uri", uri.path)
    if uri.run_id:
        return {"run_id": uri.run_id}, path
    version = client.models.resolve(uri.model)
    if version.source_uri and not version.tree_digest:
        raise NotFoundError(
            f"{uri.model} is only noted here; its bytes are kept at {version.source_uri}",
            metadata={"source_uri": version.source_uri},
        )
    return {"model": version.model, "version": version.version}, path
