"""Artifacts on this machine's disk: what is sent of a folder, and where a download may write.

A server is not trusted with our disk: whatever paths it lists, nothing is written
outside the folder that the user named.
"""

from __future__ import annotations

import functools
import os
import re
import stat
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from functools import partial
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
    return ((path, file) for path, file, _ in regular(local, artifact_path))


def regular(local: Path, artifact_path: str) -> Iterator[tuple[str, Path, os.stat_result]]:
    """As ``walk``, with what the disk says of each file."""
    if not local.is_dir():
        yield checked("artifact_path", artifact_path or local.name), local, local.stat()
        return
    prefix = artifact_path.removesuffix("/")
    for path, file in below(local, checked("artifact_path", prefix) if prefix else ""):
        found = file.stat()
        if stat.S_ISREG(found.st_mode):
            yield checked("artifact_path", path), file, found


def below(folder: Path, artifact_path: str) -> Iterator[tuple[str, Path]]:
    """(artifact path, local path) of all below a folder but folders, looked at no further."""
    for place, folders, names in os.walk(folder, followlinks=False, onerror=_raise):
        folders.sort()
        local = Path(place)
        prefix = PurePosixPath(artifact_path, local.relative_to(folder).as_posix())
        start = "" if prefix == PurePosixPath() else f"{prefix}/"
        for name in sorted(names):
            yield start + name, local / name


def is_regular(file: Path) -> bool:
    """Whether it has an end: a pipe or device can be read for ever. Links are followed."""
    return stat.S_ISREG(file.stat().st_mode)


def checked(field: str, path: str) -> str:
    """The path as the server keeps it. Raises ``InvalidArgumentError`` where it would not."""
    if problem := problem_of(path):
        raise invalid(field, problem)
    return path if path.isascii() else normal(path)


def targets(root: Path, artifact_paths: Iterable[str]) -> dict[str, Path]:
    """Where each of the paths lies below ``root``. Raises ``UnsafePathError`` where one cannot,
    or where two would be one file: nothing has been written then.

    Symbolic links that are in ``root`` already are followed only while they stay in it.
    """
    folder_of = functools.cache(partial(_folder, root))
    found = {path: _target(folder_of, path) for path in artifact_paths}
    folders = {folder for path in found for folder in _folders(path)}
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
    return _target(partial(_folder, root), artifact_path)


def _target(folder_of: Callable[[str], Path], artifact_path: str) -> Path:
    if problem := problem_of(artifact_path):
        raise UnsafePathError(f"an artifact of the server is not written: {problem}")
    if on_windows() and any(map(_WINDOWS.search, artifact_path.split("/"))):
        raise UnsafePathError(f"Windows cannot store the name {artifact_path!r}")
    folder, _, name = artifact_path.rpartition("/")
    return folder_of(folder) / name


def _folder(root: Path, folder: str) -> Path:
    path = root.joinpath(*folder.split("/"))
    if not path.resolve().is_relative_to(root.resolve()):
        raise UnsafePathError(f"{path} leads out of {root}: not written")
    return path


def _folders(path: str) -> Iterator[str]:
    """``a/b`` and ``a`` of ``a/b/c``."""
    while path := path.rpartition("/")[0]:
        yield path


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
