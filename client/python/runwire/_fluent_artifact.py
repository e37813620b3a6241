"""The fluent API's artifacts: what is logged goes through the journal, as metrics do."""

from __future__ import annotations

import io
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runwire._artifact_uri import check_path
from runwire._errors import invalid
from runwire._fluent import current, to

if TYPE_CHECKING:
    import os

_IMAGE_SUFFIXES = {".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff"}


def log_artifact(
    local_path: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Log a file, or a folder with all in it, into the directory ``artifact_path`` of the run.

    Returns when the caller may change or delete it. Raises ``OSError`` where it cannot be
    read, ``InvalidArgumentError`` for a path with "..".

    >>> runwire.log_artifact("model.bin", artifact_path="models")   # models/model.bin
    """
    local = Path(local_path)
    target = check_path("artifact_path", artifact_path)
    if local.is_dir():
        _log_tree(local, "/".join(filter(None, (target, local.resolve().name))), run_id)
    else:
        local.stat()
        path = "/".join(filter(None, (target, local.name)))
        to(run_id).log.log_artifact_file(local, path)


def log_artifacts(
    local_dir: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Log what is in a folder, recursively, into the directory ``artifact_path`` of the run."""
    folder = Path(local_dir)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder; log_artifact() takes a file")
    _log_tree(folder, check_path("artifact_path", artifact_path), run_id)


def _log_tree(folder: Path, target: str, run_id: str | None) -> None:
    from runwire._artifact_path import walk

    run = to(run_id)
    for path, local in walk(folder, target):
        run.log.log_artifact_file(local, path)


def log_bytes(data: bytes, artifact_file: str, run_id: str | None = None) -> None:
    """Log bytes as a file of the run."""
    path = check_path("artifact_file", artifact_file)
    if not path:
        raise invalid("artifact_file", "must name a file")
    to(run_id).log.log_artifact_bytes(data, path)


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Log a text as a file (UTF-8).

    >>> runwire.log_text("# Results", "report.md")
    """
    log_bytes(text.encode(), artifact_file, run_id)


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Log what JSON can hold as a file: as YAML where its name ends in .yaml or .yml, else JSON.

    YAML needs PyYAML; without it the file holds JSON, which is YAML too.
    """
    text = json.dumps(dictionary, indent=2, default=str)
    if artifact_file.endswith((".yaml", ".yml")):
        text = _yaml(json.loads(text)) or text
    log_text(text, artifact_file, run_id)


def log_figure(
    figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None
) -> None:
    """Log a matplotlib or plotly figure; the suffix says as what: .png, .svg, .pdf, .html …

    >>> runwire.log_figure(figure, "confusion.png", save_kwargs={"dpi": 150})
    """
    suffix = Path(artifact_file).suffix.lower().removeprefix(".")
    options = dict(save_kwargs or {})
    if hasattr(figure, "savefig"):
        buffer = io.BytesIO()
        figure.savefig(buffer, **{"format": suffix or "png", **options})
        log_bytes(buffer.getvalue(), artifact_file)
    elif hasattr(figure, "to_html"):
        if suffix == "html":
            log_text(figure.to_html(**{"include_plotlyjs": "cdn", **options}), artifact_file)
        else:
            log_bytes(figure.to_image(**{"format": suffix or "png", **options}), artifact_file)
    else:
        raise TypeError(
            f"a figure of matplotlib or plotly is needed, not {type(figure).__module__}."
            f"{type(figure).__name__}"
        )


def log_image(
    image: Any,
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = None,
) -> None:
    """Log an image: a PIL image, or a numpy array (height, width) or (height, width, 1, 3 or 4).

    Arrays of floats go from 0 to 1, of integers from 0 to 255. Under ``artifact_file``, or
    as one of a row of images under ``key`` and ``step``: ``images/KEY/STEP-MILLIS.png``.
    Needs Pillow for arrays.

    >>> runwire.log_image(sample, key="samples", step=100)
    """
    if (artifact_file is None) == (key is None):
        raise invalid("artifact_file", "give exactly one of artifact_file and key")
    if artifact_file is None:
        millis = time.time_ns() // 1_000_000 if timestamp is None else int(timestamp)
        artifact_file = f"images/{key}/{step or 0:08d}-{millis}.png"
    suffix = Path(artifact_file).suffix.lower()
    if suffix not in _IMAGE_SUFFIXES:
        raise invalid("artifact_file", f"{artifact_file!r} does not end as an image does: .png …")
    picture = image if hasattr(image, "save") else _picture(image)
    buffer = io.BytesIO()
    picture.save(buffer, format=_format(suffix))
    log_bytes(buffer.getvalue(), artifact_file)
    if synchronous:
        current().log.journal.flush()


def log_table(data: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Log rows of a table as JSON; later calls for the same file append their rows.

    ``data``: a dict of columns (lists, or one value each), or a DataFrame. The file has
    the form of pandas' ``orient="split"``. A column that some rows lack is null there.

    >>> runwire.log_table({"input": ["a", "b"], "output": [1, 2]}, "eval.json")
    """
    if not artifact_file.endswith(".json"):
        raise invalid("artifact_file", f"{artifact_file!r}: tables are stored as .json")
    run = to(run_id)
    path = check_path("artifact_file", artifact_file)
    rows = run.tables.get(path)
    if rows is None:
        rows = [] if "start_time" in run.known else _stored_rows(run.run_id, path)
    rows = run.tables[path] = rows + _rows(data)
    columns = list(dict.fromkeys(name for row in rows for name in row))
    split = {"columns": columns, "data": [[row.get(name) for name in columns] for row in rows]}
    run.log.log_artifact_bytes(json.dumps(split, default=_plain).encode(), path)


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """``runs:/RUN_ID/PATH`` of the active run; ``download_artifacts`` takes it."""
    path = check_path("artifact_path", artifact_path)
    return f"runs:/{current().run_id}" + (f"/{path}" if path else "")


def _rows(data: Any) -> list[dict[str, Any]]:
    if hasattr(data, "to_dict"):
        rows: list[dict[str, Any]] = data.to_dict(orient="records")
        return rows
    if not isinstance(data, Mapping):
        raise TypeError(f"a table is a dict of columns or a DataFrame, not {type(data).__name__}")
    columns = {name: _column(values) for name, values in data.items()}
    if len({len(values) for values in columns.values()}) > 1:
        sizes = ", ".join(f"{name}: {len(values)}" for name, values in columns.items())
        raise invalid("data", f"columns of a table are equally long ({sizes})")
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _column(values: Any) -> list[Any]:
    if hasattr(values, "tolist"):
        values = values.tolist()
    if isinstance(values, Sequence) and not isinstance(values, str | bytes):
        return list(values)
    return [values]


def _stored_rows(run_id: str, path: str) -> list[dict[str, Any]]:
    """What another process has logged to a run that this one resumed."""
    from runwire import _session
    from runwire._errors import NotFoundError

    _session.flush_own()
    try:
        stored = json.loads(_session.client().artifacts.download(run_id, path).read())
    except NotFoundError:
        return []
    return [dict(zip(stored["columns"], row, strict=True)) for row in stored["data"]]


def _plain(value: Any) -> Any:
    """numpy scalars and arrays as JSON has them; all else as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _picture(array: Any) -> Any:
    import numpy as np
    from PIL import Image

    pixels = np.asarray(array)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    if not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))):
        raise invalid("image", f"an array of shape {pixels.shape} is no image")
    if pixels.dtype == np.bool_:
        pixels = pixels * 255
    elif np.issubdtype(pixels.dtype, np.floating):
        pixels = np.clip(np.nan_to_num(pixels), 0, 1) * 255
    elif not np.issubdtype(pixels.dtype, np.integer):
        raise TypeError(f"an array of {pixels.dtype} is no image")
    return Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))


def _format(suffix: str) -> str:
    names = {".jpg": "JPEG", ".tif": "TIFF"}
    return names.get(suffix, suffix.removeprefix(".").upper())


def _yaml(document: Any) -> str:
    """The document as YAML; empty where PyYAML is not installed."""
    try:
        import yaml
    except ImportError:
        return ""
    return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
