"""Artifacts on this machine's disk: what is sent of a folder, and where a download may write.

A server is not trusted with our disk: whatever paths it lists, nothing is written
outside the folder that the user named.
"""

from __future__ import annotations

import os
import re
import stat
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

from runwire._errors import RunwireError

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
    sent in Unicode normalisation form C. Raises ``FileNotFoundError``.
    """
    if not local.is_dir():
        yield normal(artifact_path or local.name), local
        return
    prefix = PurePosixPath(artifact_path)
    for folder, folders, names in os.walk(local, followlinks=False, onerror=_raise):
        folders.sort()
        for name in sorted(names):
            file = Path(folder, name)
            if stat.S_ISREG(file.stat().st_mode):
                yield normal(str(prefix / file.relative_to(local).as_posix())), file


def target(root: Path, artifact_path: str, resolve: Callable[[Path], Path] = Path.resolve) -> Path:
    """Where ``artifact_path`` lies below ``root``. Raises ``UnsafePathError``.

    Symbolic links that are in ``root`` already are followed only while they stay in it.
    ``resolve``: one with a memory, where many are asked for.
    """
    segments = artifact_path.split("/")
    for segment in segments:
        if not segment.strip(". ") or "\\" in segment or not _printable(segment):
            raise UnsafePathError(f"the server names an artifact {artifact_path!r}: not written")
        if os.name == "nt" and _WINDOWS.search(segment):
            raise UnsafePathError(f"Windows cannot store the name {artifact_path!r}")
    path = root.joinpath(*segments)
    if not resolve(path.parent).is_relative_to(resolve(root)):
        raise UnsafePathError(f"{path.parent} leads out of {root}: not written")
    return path


def is_below(path: str, prefix: str) -> bool:
    """Whether an artifact is the one asked for, or lies in the directory asked for."""
    return not prefix or path == prefix or path.startswith(f"{prefix}/")


def _printable(segment: str) -> bool:
    return not any(unicodedata.category(c) in ("Cc", "Cs") for c in segment)


def _raise(error: OSError) -> None:
    raise error
