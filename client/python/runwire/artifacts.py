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
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypedDict

from runwire import _session
from runwire._artifact_uri import check_path, parse
from runwire._errors import NotFoundError, invalid
from runwire._fluent import check_run_id

if TYPE_CHECKING:
    from runwire._client import Client
    from runwire._run_handle import Run

__all__ = [
    "FileInfo",
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


@dataclass(frozen=True)
class FileInfo:
    """A file or directory of a tree. ``digest`` ("sha256:…") and ``file_size`` are of a file's
    bytes; ``uri`` is set, and they are not, where the bytes are kept elsewhere."""

    path: str
    is_dir: bool
    file_size: int | None = None
    digest: str = ""
    uri: str = ""


def download_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    dst_path: str | os.PathLike[str] | None = None,
    tracking_uri: str | None = None,
    registry_uri: str | None = None,
) -> str:
    """Fetch a file, a directory or everything; returns its path on this machine.

    Files lie under ``dst_path`` (a new temporary folder unless given) by their whole
    artifact path. Digests are verified. ``registry_uri`` is where ``models:/`` is looked up,
    if elsewhere than at ``tracking_uri``. Raises ``NotFoundError``.

    >>> folder = runwire.artifacts.download_artifacts("models:/fraud@champion")
    """
    is_model = str(artifact_uri).startswith("models:")
    with _client((registry_uri if is_model else None) or tracking_uri) as client:
        owner, path = _find(client, artifact_uri, run_id, artifact_path)
        target = tempfile.mkdtemp(prefix="runwire-") if dst_path is None else os.fspath(dst_path)
        return str(client.artifacts.get(**owner, artifact_path=path, dst_path=target).absolute())


def list_artifacts(
    artifact_uri: str | None = None,
    run_id: str | None = None,
    artifact_path: str | None = None,
    tracking_uri: str | None = None,
) -> list[FileInfo]:
    """Files and directories right under a path, by path."""
    with _client(tracking_uri) as client:
        owner, path = _find(client, artifact_uri, run_id, artifact_path)
        return [
            FileInfo(one.path, False, one.blob.size_bytes, one.blob.digest)
            if one.HasField("blob")
            else FileInfo(one.path, not one.uri, uri=one.uri)
            for one in client.artifacts.list(**owner, prefix=path)
        ]


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
    """A table of ``log_table``, of several runs, as one DataFrame. Needs pandas.

    ``run_ids``: in this order; unless given, all runs of the active experiment that have the
    file, the newest first. ``extra_columns`` of each run are added to its rows: those of
    ``search_runs`` ("run_id", "start_time", "params.lr", "metrics.loss") and fields of
    ``run.info``. Raises ``NotFoundError`` where a run, or all of them, has no such file.
    """
    from runwire._fluent_search import get_run, search_runs
    from runwire._fluent_table import Row

    path = check_path("artifact_file", artifact_file)
    if run_ids is None:
        runs = search_runs(output_format="list")
    else:
        runs = [get_run(run_id) for run_id in run_ids]
    columns: dict[Any, None] = {}
    rows: list[Row] = []
    found = False
    for run in runs:
        try:
            of_run = _rows(run, path, columns, extra_columns or [])
        except NotFoundError:
            if run_ids is not None:
                raise
            continue
        rows += of_run
        found = True
    if not found:
        raise NotFoundError(f"no run has a table {path!r}")
    return _frame(columns, rows)


def _rows(
    run: Run, path: str, columns: dict[Any, None], extra_columns: list[str]
) -> list[dict[Any, Any]]:
    from runwire._fluent_table import read_table

    table = read_table(path, _read(f"runs:/{run.info.run_id}/{path}"))
    # A column of the table goes before one of the run, which then has a "_" at its end.
    extra = {f"{name}_" if name in table.columns else name: _of_run(run, name)
             for name in extra_columns}  # fmt: skip
    columns |= {**table.columns, **dict.fromkeys(extra)}
    return [row | extra for row in table.rows]


def _of_run(run: Run, name: str) -> Any:
    from runwire._fluent_search import table

    of_run = table([run])
    if name in of_run:
        return of_run[name].iloc[0]
    if name.startswith(("params.", "metrics.", "tags.")):
        return None
    if not hasattr(run.info, name):
        raise invalid("extra_columns", f"runs have no {name!r}")
    return getattr(run.info, name)


def _frame(columns: dict[Any, None], rows: list[dict[Any, Any]]) -> Any:
    import pandas as pd

    def series(name: Any) -> Any:
        values = [row.get(name) for row in rows]
        # pandas makes integers beside a gap floats, which not all of them survive.
        large = any(type(value) is int and abs(value) > 1 << 53 for value in values)
        return pd.Series(values, dtype=object if large and None in values else None)

    return pd.DataFrame({name: series(name) for name in columns})


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
    if artifact_uri is not None and artifact_path is not None:
        raise invalid("artifact_path", "goes with run_id; artifact_uri has its path in itself")
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
