"""``runwire.data``: describe the datasets that a run reads, for ``runwire.log_input``.

Only the description is logged: name, digest, source, schema and size; never the data. The
same data gives the same digest in any process and on any platform; how it is made, and what
bounds its cost for large data, is in ``runwire._dataset_digest``. Every function takes a
``digest`` of your own instead.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from runwire._errors import invalid

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["Dataset", "from_file", "from_files", "from_numpy", "from_pandas"]

# Of a schema's columns, and of its or a profile's JSON: a server takes half a MiB in all.
MAX_COLUMNS = 2000
MAX_JSON_BYTES = 200_000
# Parts of a query that open what they are shown to.
_SECRET = re.compile(r"(^|[&;])[^=&;]*(sig|token|credential|password|secret|key)[^=&;]*=", re.I)


@dataclass(frozen=True)
class Dataset:
    """A dataset by its name and digest. ``schema`` and ``profile`` are what JSON can hold."""

    name: str
    digest: str
    source: str = ""
    source_type: str = ""
    schema: Any = None
    profile: Any = field(default=None)


def from_pandas(
    df: pd.DataFrame,
    source: object = "",
    targets: str | None = None,
    name: str | None = None,
    digest: str | None = None,
    predictions: str | None = None,
) -> Dataset:
    """A DataFrame. ``targets`` and ``predictions`` name columns of it.

    >>> dataset = runwire.data.from_pandas(df, source="s3://bucket/taxi.csv", name="taxi")
    >>> runwire.log_input(dataset, context="training")
    """
    from runwire._dataset_digest import of_frame

    for what, column in (("targets", targets), ("predictions", predictions)):
        if column is not None and column not in df.columns:
            raise invalid(what, f"there is no column {column!r}")
    schema: dict[str, Any] = {
        "columns": [
            {"name": str(key), "type": str(kind)}
            for key, kind in [*df.dtypes.items()][:MAX_COLUMNS]
        ],
        "targets": targets,
    }
    if predictions is not None:
        schema["predictions"] = predictions
    return Dataset(
        name or "dataset",
        digest or of_frame(df),
        *_source(source),
        schema=schema,
        profile={
            "num_rows": len(df),
            "num_columns": len(df.columns),
            "num_elements": int(df.size),
        },
    )


def from_numpy(
    features: NDArray[Any] | Mapping[str, NDArray[Any]],
    source: object = "",
    targets: NDArray[Any] | Mapping[str, NDArray[Any]] | None = None,
    name: str | None = None,
    digest: str | None = None,
) -> Dataset:
    """An array, or several under their names, and the targets where there are any."""
    from runwire._dataset_digest import of_arrays

    arrays = _named("features", features) | _named("targets", targets)
    return Dataset(
        name or "dataset",
        digest or of_arrays(arrays),
        *_source(source),
        schema={
            key: {"type": str(one.dtype), "shape": list(one.shape)}
            for key, one in [*arrays.items()][:MAX_COLUMNS]
        },
        profile={f"{key}_size": int(one.size) for key, one in [*arrays.items()][:MAX_COLUMNS]},
    )


def _named(what: str, found: Any) -> dict[str, np.ndarray[Any, Any]]:
    import numpy as np

    if found is None:
        return {}
    if isinstance(found, Mapping):
        return {f"{what}.{key}": np.asarray(one) for key, one in found.items()}
    return {what: np.asarray(found)}


def from_file(
    path: str | os.PathLike[str],
    source: object = None,
    name: str | None = None,
    digest: str | None = None,
) -> Dataset:
    """A file as it is. ``source``: where it came from, its path here unless given. Raises OSError.

    >>> runwire.log_input(runwire.data.from_file("train.parquet"), context="training")
    """
    file = Path(path)
    return _of_files({file.name: file}, source or file.absolute(), name or file.name, digest)


def from_files(
    paths: str | os.PathLike[str] | Iterable[str | os.PathLike[str]],
    source: object = None,
    name: str | None = None,
    digest: str | None = None,
) -> Dataset:
    """All files below a folder, or these files; links to folders are not followed. Raises OSError.

    The digest counts their paths, from the folder (of a list: the one they have in common)
    on. That of a folder is the ``tree_digest`` of what ``log_artifacts`` makes of it.
    """
    from runwire._artifact_path import walk

    if isinstance(paths, str | os.PathLike):
        folder = Path(paths)
        if not folder.is_dir():
            raise NotADirectoryError(f"{folder} is no folder; from_file() takes a file")
        files = dict(walk(folder, ""))
    else:
        listed = [Path(path).absolute() for path in paths]
        if not listed:
            raise invalid("paths", "names no file")
        folder = Path(os.path.commonpath([path.parent for path in listed]))
        files = {path.relative_to(folder).as_posix(): path for path in listed}
    folder = folder.absolute()
    return _of_files(files, source or folder, name or folder.name, digest)


def _of_files(files: dict[str, Path], source: object, name: str, digest: str | None) -> Dataset:
    from runwire._dataset_digest import of_files

    size_bytes = sum(file.stat().st_size for file in files.values())
    profile = {"num_files": len(files), "size_bytes": size_bytes}
    return Dataset(name, digest or of_files(files), *_source(source), profile=profile)


def describe(dataset: Any) -> dict[str, Any]:
    """A ``runwire.v1.DatasetInput`` as JSON, of a ``Dataset`` or any object with a name and a
    digest. Raises TypeError for others, ``InvalidArgumentError`` for a name or digest that no
    server takes."""
    from runwire._journal_format import check_key

    name, digest = getattr(dataset, "name", None), getattr(dataset, "digest", None)
    if not isinstance(name, str) or not isinstance(digest, str):
        raise TypeError(
            f"a dataset has a name and a digest; {type(dataset).__name__} has not: see "
            "runwire.data.from_pandas, from_numpy and from_file"
        )
    check_key("dataset", name)
    check_key("dataset", digest or "none")
    source, kind = _source(getattr(dataset, "source", ""))
    described = {
        "name": name,
        "digest": digest,
        "source": source,
        "source_kind": str(getattr(dataset, "source_type", "") or kind),
        "schema": _json(getattr(dataset, "schema", None)),
        "profile": _json(getattr(dataset, "profile", None)),
    }
    return {key: value for key, value in described.items() if value}


def _source(source: object) -> tuple[str, str]:
    """(URI, kind) of a text, a path, or an object with a ``uri`` of its own, without passwords."""
    text = _without_secrets(str(getattr(source, "uri", source) or ""))
    scheme, separator, _ = text.partition("://")
    return text, (scheme if separator else "local" if text else "")


def _without_secrets(uri: str) -> str:
    if "://" not in uri:
        return uri
    try:
        parts = urlsplit(uri)
    except ValueError:
        return uri.partition("://")[0] + "://…"
    user, at, host = parts.netloc.rpartition("@")
    user = f"{user.partition(':')[0]}:***" if ":" in user else user
    query = "***" if _SECRET.search(parts.query) else parts.query
    return urlunsplit(parts._replace(netloc=f"{user}{at}{host}", query=query))


def _json(value: Any) -> str:
    if value is None:
        return ""
    # The schema of another library's dataset may be an object.
    text = json.dumps(value, default=lambda one: getattr(one, "to_dict", one.__str__)())
    size_bytes = len(text)  # of ASCII
    return text if size_bytes <= MAX_JSON_BYTES else json.dumps({"omitted_bytes": size_bytes})
