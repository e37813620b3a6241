"""``runwire.data``: describe the datasets that a run reads, for ``runwire.log_input``.

Only the description is logged: name, digest, source, schema and size; never the data.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

__all__ = ["Dataset", "from_numpy", "from_pandas"]


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
) -> Dataset:
    """A DataFrame; the digest is of its column names and cells.

    >>> dataset = runwire.data.from_pandas(df, source="s3://bucket/taxi.csv", name="taxi")
    >>> runwire.log_input(dataset, context="training")
    """
    import pandas as pd

    if digest is None:
        rows = pd.util.hash_pandas_object(df, index=False).to_numpy()
        digest = _digest(json.dumps([str(one) for one in df.columns]).encode(), rows.tobytes())
    columns = [{"name": str(key), "type": str(kind)} for key, kind in df.dtypes.items()]
    return Dataset(
        name or "dataset",
        digest,
        *_source(source),
        schema={"columns": columns, "targets": targets},
        profile={"num_rows": len(df), "num_elements": int(df.size)},
    )


def from_numpy(
    features: np.ndarray[Any, Any],
    source: object = "",
    targets: np.ndarray[Any, Any] | None = None,
    name: str | None = None,
    digest: str | None = None,
) -> Dataset:
    """An array, and the array of targets where there is one; the digest is of their bytes."""
    arrays = [features] if targets is None else [features, targets]
    if digest is None:
        digest = _digest(*(part for one in arrays for part in (_form(one), one.tobytes())))
    names = ("features", "targets")
    return Dataset(
        name or "dataset",
        digest,
        *_source(source),
        schema={
            key: {"type": str(one.dtype), "shape": list(one.shape)}
            for key, one in zip(names, arrays, strict=False)
        },
        profile={f"{key}_size": int(one.size) for key, one in zip(names, arrays, strict=False)},
    )


def describe(dataset: Any) -> dict[str, Any]:
    """A ``runwire.v1.DatasetInput`` as JSON, of a ``Dataset`` or any object with a name and a
    digest. Raises TypeError for others."""
    name, digest = getattr(dataset, "name", None), getattr(dataset, "digest", None)
    if not isinstance(name, str) or not isinstance(digest, str):
        raise TypeError(
            f"a dataset has a name and a digest; {type(dataset).__name__} has not: see "
            "runwire.data.from_pandas and from_numpy"
        )
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
    """(URI, kind) of a text, a path, or an object with a ``uri`` of its own."""
    text = str(getattr(source, "uri", source) or "")
    scheme, separator, _ = text.partition("://")
    return text, (scheme if separator else "local" if text else "")


def _json(value: Any) -> str:
    return "" if value is None else json.dumps(value, default=str)


def _form(array: np.ndarray[Any, Any]) -> bytes:
    return f"{array.dtype.str}{array.shape}".encode()


def _digest(*parts: bytes) -> str:
    """Eight hex digits, as mlflow's are."""
    hashed = hashlib.sha256()
    for part in parts:
        hashed.update(len(part).to_bytes(8, "little") + part)
    return hashed.hexdigest()[:8]
