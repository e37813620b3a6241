"""The fluent API's artifacts: what is logged goes through the journal, as metrics do."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from runwire._artifact_uri import check_path
from runwire._errors import InvalidArgumentError, invalid
from runwire._fluent import current, to

if TYPE_CHECKING:
    import os


def log_artifact(
    local_path: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Log a file, or a folder with all in it, into the directory ``artifact_path`` of the run.

    Returns when the caller may change or delete it. Raises ``OSError`` where it cannot be
    read, ``InvalidArgumentError`` for a path with ".." and for what is no file.

    >>> runwire.log_artifact("model.bin", artifact_path="models")   # models/model.bin
    """
    from runwire._artifact_path import checked, is_regular

    local = Path(local_path)
    target = check_path("artifact_path", artifact_path)
    if local.is_dir():
        _log_tree(local, _joined(target, local.resolve().name), run_id)
        return
    if not is_regular(local):
        raise invalid("local_path", f"{local} is a pipe, socket or device, not a file")
    path = checked("local_path", _joined(target, local.name))
    to(run_id).log.log_artifact_file(local, path)


def log_artifacts(
    local_dir: str | os.PathLike[str],
    artifact_path: str | None = None,
    run_id: str | None = None,
) -> None:
    """Log what is in a folder, recursively, into the directory ``artifact_path`` of the run.

    Links to files are followed, links to folders are not; pipes and devices are left out.
    A file that cannot be logged does not keep back the others: the first error is raised
    when these are.
    """
    folder = Path(local_dir)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is no folder; log_artifact() takes a file")
    _log_tree(folder, check_path("artifact_path", artifact_path), run_id)


def _log_tree(folder: Path, target: str, run_id: str | None) -> None:
    from runwire._artifact_path import below, checked, is_regular

    run = to(run_id)
    failures: list[OSError | InvalidArgumentError] = []
    for path, local in below(folder, target):
        try:
            if is_regular(local):
                run.log.log_artifact_file(local, checked("local_dir", path))
        except (OSError, InvalidArgumentError) as error:
            failures.append(error)
    if failures:
        failures[0].add_note(f"{len(failures)} files of {folder} were not logged, the others were")
        raise failures[0]


def _joined(folder: str, name: str) -> str:
    return "/".join(filter(None, (folder, name)))


def log_bytes(data: bytes, artifact_file: str, run_id: str | None = None) -> None:
    """Log bytes as a file of the run."""
    path = check_file(artifact_file)
    to(run_id).log.log_artifact_bytes(data, path)


def check_file(artifact_file: object) -> str:
    """The path of a file in a run. Raises ``InvalidArgumentError``."""
    path = check_path("artifact_file", artifact_file)
    if not path:
        raise invalid("artifact_file", "must name a file")
    return path


def log_text(text: str, artifact_file: str, run_id: str | None = None) -> None:
    """Log a text as a file (UTF-8).

    >>> runwire.log_text("# Results", "report.md")
    """
    if not isinstance(text, str):
        raise TypeError(f"text is a str, not {type(text).__name__}: see log_bytes, log_dict")
    try:
        data = text.encode()
    except UnicodeEncodeError as error:
        raise invalid("text", f"is no Unicode at character {error.start}") from None
    log_bytes(data, artifact_file, run_id)


def log_dict(dictionary: Any, artifact_file: str, run_id: str | None = None) -> None:
    """Log what JSON can hold as a file: as YAML where its name ends in .yaml or .yml, else JSON.

    numpy's numbers and arrays become numbers and lists, what JSON has no form for its
    ``str()``. YAML needs PyYAML; without it the file holds JSON, which is YAML too.
    """
    path = check_file(artifact_file)
    text = json.dumps(dictionary, indent=2, default=plain)
    if path.endswith((".yaml", ".yml")):
        text = _yaml(dictionary) or _yaml(json.loads(text)) or text
    log_text(text, path, run_id)


def plain(value: Any) -> Any:
    """numpy scalars and arrays as JSON has them; all else as text."""
    return value.tolist() if hasattr(value, "tolist") else str(value)


def _yaml(document: Any) -> str:
    """The document as YAML; empty without PyYAML, or where YAML has no form for it."""
    try:
        import yaml
    except ImportError:
        return ""
    try:
        return str(yaml.safe_dump(document, sort_keys=False, allow_unicode=True))
    except yaml.YAMLError:
        return ""


def log_figure(
    figure: Any, artifact_file: str, *, save_kwargs: Mapping[str, Any] | None = None
) -> None:
    """Log a matplotlib or plotly figure; the suffix says as what: .png, .svg, .pdf, .html …

    >>> runwire.log_figure(figure, "confusion.png", save_kwargs={"dpi": 150})
    """
    path = check_file(artifact_file)
    suffix = Path(path).suffix.lower().removeprefix(".")
    options = dict(save_kwargs or {})
    if hasattr(figure, "savefig"):
        buffer = io.BytesIO()
        figure.savefig(buffer, **{"format": suffix or "png", **options})
        log_bytes(buffer.getvalue(), path)
    elif hasattr(figure, "to_html"):
        if suffix == "html":
            log_text(figure.to_html(**{"include_plotlyjs": "cdn", **options}), path)
        else:
            log_bytes(figure.to_image(**{"format": suffix or "png", **options}), path)
    else:
        raise TypeError(
            f"a figure of matplotlib or plotly is needed, not {type(figure).__module__}."
            f"{type(figure).__name__}"
        )


def get_artifact_uri(artifact_path: str | None = None) -> str:
    """``runs:/RUN_ID/PATH`` of the active run; ``download_artifacts`` takes it."""
    path = check_path("artifact_path", artifact_path)
    return f"runs:/{current().run_id}" + (f"/{path}" if path else "")
