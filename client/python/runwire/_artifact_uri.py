"""``runs:/RUN_ID/path`` and ``models:/NAME/7``: where artifacts lie, as users write it."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import urlsplit

from runwire._artifact_rules import problem_of
from runwire._errors import InvalidArgumentError, invalid
from runwire._fluent import check_run_id


class ArtifactUri(NamedTuple):
    """``run_id`` is set, or ``model``: a reference as ``client.models.resolve`` takes it."""

    run_id: str
    model: str
    path: str


FORMS = (
    "runs:/RUN_ID/PATH, models:/NAME/VERSION, models:/NAME@ALIAS, models:/NAME/STAGE or "
    "models:/NAME/latest"
)


def parse(uri: str) -> ArtifactUri:
    """Raises ``InvalidArgumentError`` for any other form.

    >>> parse("runs:/0123456789abcdef0123456789abcdef/model/a.bin").path
    'model/a.bin'
    >>> parse("models:/fraud@champion/a.bin")
    ArtifactUri(run_id='', model='fraud@champion', path='a.bin')
    """
    parts = urlsplit(str(uri))
    scheme, _, rest = str(uri).partition(":")
    if scheme not in ("runs", "models") or parts.netloc:
        raise _wrong(uri)
    segments = [segment for segment in rest.split("/") if segment]
    if not segments:
        raise _wrong(uri)
    first, *others = segments
    if scheme == "runs":
        return ArtifactUri(check_run_id(first), "", "/".join(others))
    if "@" in first:
        return ArtifactUri("", first, "/".join(others))
    if not others:
        raise _wrong(uri)
    return ArtifactUri("", f"{first}/{others[0]}", "/".join(others[1:]))


def check_path(field: str, path: object) -> str:
    """A path in a run, "" for its root: a server would take it. Backslashes become slashes, and
    slashes at the end are left out. Raises ``InvalidArgumentError``.
    """
    text = "" if path is None else str(path).replace("\\", "/")
    text = text if text.startswith("/") else text.rstrip("/")
    if text and (problem := problem_of(text)):
        raise invalid(field, problem)
    return text


def _wrong(uri: object) -> InvalidArgumentError:
    return invalid("artifact_uri", f"{str(uri)!r} is not one of {FORMS}")
