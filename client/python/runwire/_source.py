"""Where a run comes from: script, git commit, user, host. Recorded without being asked.

Nothing here starts a process or waits: git's own files are read (gitrepository-layout(5)).
Whether the work tree has changes cannot be known that way, and ``git_dirty`` stays unset.
"""

from __future__ import annotations

import os
import platform
import socket
import sys
from configparser import ConfigParser, Error
from pathlib import Path
from typing import Any


def user() -> str:
    """The login name, or RUNWIRE_USER."""
    name = os.environ.get("RUNWIRE_USER")
    if name:
        return name
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container's user without a name
        return ""


def source() -> dict[str, Any]:
    """A ``Source`` as JSON, with proto field names."""
    script = _script()
    kind = "notebook" if _in_notebook() else "script" if script else "interactive"
    return {
        "name": script or kind,
        "kind": kind,
        "command": [text.encode("utf-8", "replace").decode() for text in sys.orig_argv[:100]],
        "host": socket.gethostname(),
        "language": f"python {platform.python_version()}",
        **git(Path(script).parent if script else Path.cwd()),
    }


def _script() -> str:
    main = sys.modules.get("__main__")
    path = getattr(main, "__file__", None)
    return str(Path(path).absolute()) if path else ""


def _in_notebook() -> bool:
    return "ipykernel" in sys.modules


def git(start: Path) -> dict[str, str]:
    """``git_commit``, ``git_branch`` and ``git_remote`` of the repository around a folder."""
    try:
        for folder in (start, *start.parents):
            if (folder / ".git").exists():
                return _read_repository(folder / ".git")
    except (OSError, ValueError, Error):
        pass  # damaged, or not ours to read: a run is worth more than its provenance
    return {}


def _read_repository(git_dir: Path) -> dict[str, str]:
    if git_dir.is_file():  # a worktree or a submodule points elsewhere
        text = git_dir.read_text().strip().removeprefix("gitdir: ")
        git_dir = git_dir.parent / text
    common = git_dir
    if (git_dir / "commondir").is_file():
        common = git_dir / (git_dir / "commondir").read_text().strip()
    head = (git_dir / "HEAD").read_text().strip()
    found = {"git_commit": head}
    if head.startswith("ref: "):
        name = head.removeprefix("ref: ")
        found = {
            "git_commit": _resolve(common, name),
            "git_branch": name.removeprefix("refs/heads/"),
        }
    found["git_remote"] = _remote(common / "config")
    return {key: value for key, value in found.items() if value}


def _resolve(git_dir: Path, name: str) -> str:
    loose = git_dir / name
    if loose.is_file():
        return loose.read_text().strip()
    packed = git_dir / "packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), "")


def _remote(config: Path) -> str:
    if not config.is_file():
        return ""
    parser = ConfigParser(strict=False, interpolation=None, allow_no_value=True)
    parser.read_string(config.read_text())
    url = parser.get('remote "origin"', "url", fallback="") or ""
    return _without_password(url)


def _without_password(url: str) -> str:
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if not separator or "@" not in authority:
        return url
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
