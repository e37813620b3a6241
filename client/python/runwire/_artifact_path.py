"""Artifacts on this machine's disk: what is sent of a folder, and where a download may write.

A server is not trusted with our disk: whatever paths it lists, nothing is written
outside the folder that the user named.
"""

from __future__ import annotations

import os
import re
import stat
import tempfile
import unicodedata
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from runwire._artifact_rules import problem_of
from runwire._errors import RunwireError, invalid

# What Windows cannot store, or stores as something else (a device, a stream, another name).
_WINDOWS = re.compile(
    r'[<>:"|?*]|[. ]$|^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$)(\.|$)', re.I
)


class UnsafePathError(RunwireError, ValueError):
    """A path that must not, or cannot, be written below the folder it was asked for."""


def normal(path: str) -> str:
    """The path as the server keeps it. Raises ``ValueError`` where it is no Unicode."""
    try:
        path.encode()
    except UnicodeEncodeError as error:
        raise ValueError(f"{path!r}: the name is not UTF-8") from error
    return unicodedata.normalize("NFC", path)


def walk(local: Path, artifact_path: str) -> Iterator[tuple[str, Path]]:
    """(artifact path, local file) of a file, or of everything below a folder.

    A file becomes ``artifact_path`` itself ("": its own name); of a folder, files become
    ``artifact_path/…`` ("": the root). Symbolic links to files are followed, to folders
    they are not; sockets, pipes and devices are left out, empty folders too. Names are
    sent in Unicode normalisation form C. Raises ``FileNotFoundError``, and
    ``InvalidArgumentError`` for a name that no server would take.
    """
    if not local.is_dir():
        yield checked("artifact_path", artifact_path or local.name), local
        return
    prefix = artifact_path.removesuffix("/")
    for path, file in below(local, checked("artifact_path", prefix) if prefix else ""):
        if is_regular(file):
            yield checked("artifact_path", path), file


def below(folder: Path, artifact_path: str) -> Iterator[tuple[str, Path]]:
    """(artifact path, local path) of all below a folder but folders, looked at no further."""
    prefix = PurePosixPath(artifact_path)
    for place, folders, names in os.walk(folder, followlinks=False, onerror=_raise):
        folders.sort()
        for name in sorted(names):
            file = Path(place, name)
            yield str(prefix / file.relative_to(folder).as_posix()), file


def is_regular(file: Path) -> bool:
    """Whether it has an end: a pipe or device can be read for ever. Links are followed."""
    return stat.S_ISREG(file.stat().st_mode)


def checked(field: str, path: str) -> str:
    """The path as the server keeps it. Raises ``InvalidArgumentError`` where it would not."""
    if problem := problem_of(path):
        raise invalid(field, problem)
    return normal(path)


def targets(root: Path, artifact_paths: Iterable[str]) -> dict[str, Path]:
    """Where each of the paths lies below ``root``. Raises ``UnsafePathError`` where one cannot,
    or where two would be one file: nothing has been written then.

    Symbolic links that are in ``root`` already are followed only while they stay in it.
    """
    found = {path: target(root, path) for path in artifact_paths}
    folders = {str(folder) for path in found for folder in PurePosixPath(path).parents}
    if both := sorted(folders & found.keys()):
        raise UnsafePathError(f"the server names {both[0]!r} as a file and as a folder")
    clash = _clash(found, folders)
    if clash and folds_case(root):
        raise UnsafePathError(
            f"{clash[0]!r} and {clash[1]!r} are one name here: nothing is written. "
            "Fetch them one by one, into folders of their own"
        )
    return found


def target(root: Path, artifact_path: str) -> Path:
    """As ``targets``, of one path."""
    if problem := problem_of(artifact_path):
        raise UnsafePathError(f"an artifact of the server is not written: {problem}")
    segments = artifact_path.split("/")
    if on_windows() and any(map(_WINDOWS.search, segments)):
        raise UnsafePathError(f"Windows cannot store the name {artifact_path!r}")
    path = root.joinpath(*segments)
    if not path.parent.resolve().is_relative_to(root.resolve()):
        raise UnsafePathError(f"{path.parent} leads out of {root}: not written")
    return path


def _clash(files: Iterable[str], folders: set[str]) -> tuple[str, str] | None:
    """A file, and a file or folder, whose names differ in case or composition only."""
    known: dict[str, str] = {}
    for path in [*sorted(files), *sorted(folders)]:
        folded = normal(normal(path).casefold())
        other = known.get(folded, path) if path in folders else known.setdefault(folded, path)
        if other != path:
            return other, path
    return None


def folds_case(folder: Path) -> bool:
    """Whether the file system takes "A" and "a" for one name: macOS and Windows mostly do."""
    with tempfile.NamedTemporaryFile(prefix=".runwire-case-", dir=folder) as probe:
        path = Path(probe.name)
        return path.with_name(path.name.swapcase()).exists()


def on_windows() -> bool:
    return os.name == "nt"


def is_below(path: str, prefix: str) -> bool:
    """Whether an artifact is the one asked for, or lies in the directory asked for."""
    return not prefix or path == prefix or path.startswith(f"{prefix}/")


def _raise(error: OSError) -> None:
    raise error
