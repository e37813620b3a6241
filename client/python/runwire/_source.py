"""Where a run comes from: script, git commit, user, host. Recorded without being asked.

Nothing here starts a process, waits or raises, and what would take milliseconds to import
(``platform``, ``socket``, ``configparser``) is done without: ``start_run`` waits for it.
Git's own files are read (gitrepository-layout(5)). Whether the work tree has changes
cannot be known that way, and ``git_dirty`` stays unset.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

MAX_ARGUMENTS, MAX_ARGUMENT_CHARS = 100, 1000


def user() -> str:
    """RUNWIRE_USER, else the login name; empty where nobody knows it."""
    for name in ("RUNWIRE_USER", "LOGNAME", "USER", "LNAME", "USERNAME"):
        if found := os.environ.get(name):
            return _text(found)
    try:
        import pwd

        return pwd.getpwuid(os.getuid()).pw_name
    except (ImportError, KeyError):  # Windows; a container's user without a name
        return ""


def source() -> dict[str, Any]:
    """A ``Source`` as JSON, with proto field names; without those that are not known."""
    script = _script()
    kind = "notebook" if "ipykernel" in sys.modules else "script" if script else ""
    found = {
        "name": _text(script) or kind,
        "kind": kind,
        "command": [_text(one)[:MAX_ARGUMENT_CHARS] for one in sys.orig_argv[:MAX_ARGUMENTS]],
        "host": _host(),
        "language": f"python {sys.version.split()[0]}",
        **git(os.path.dirname(script) or "."),  # noqa: PTH120 - Path.cwd() raises in a deleted one
    }
    return {key: value for key, value in found.items() if value}


def _script() -> str:
    path = getattr(sys.modules.get("__main__"), "__file__", None)
    try:
        return str(Path(path).absolute()) if path else ""
    except OSError:  # the folder that we are in was deleted
        return str(path)


def _host() -> str:
    if hasattr(os, "uname"):
        return os.uname().nodename
    return os.environ.get("COMPUTERNAME", "")


def _text(text: str) -> str:
    """Bytes of the command line that were no text are shown as question marks."""
    return text.encode("utf-8", "replace").decode()


# Git ----------------------------------------------------------------------------------


def git(start: str | Path) -> dict[str, str]:
    """``git_commit``, ``git_branch`` and ``git_remote`` of the repository around a folder.

    What is damaged, or not ours to read, is left out.
    """
    try:
        folder = Path(start).resolve()
        for place in (folder, *folder.parents):
            if (place / ".git").exists():
                return _read_repository(place / ".git")
    except (OSError, ValueError, IndexError):
        pass  # a run is worth more than its provenance
    return {}


def _read_repository(git_dir: Path) -> dict[str, str]:
    if git_dir.is_file():  # a worktree or a submodule points elsewhere
        git_dir = git_dir.parent / git_dir.read_text().strip().removeprefix("gitdir: ")
    common = git_dir
    if (git_dir / "commondir").is_file():
        common = git_dir / (git_dir / "commondir").read_text().strip()
    head = (git_dir / "HEAD").read_text().strip()
    name = head.removeprefix("ref: ")
    commit = head if name == head else _resolve(common, name)
    # The reftable format keeps its refs elsewhere, and refs/heads/.invalid here.
    branch = "" if name in (head, "refs/heads/.invalid") else name.removeprefix("refs/heads/")
    found = {
        "git_commit": commit if _is_hex(commit) else "",
        "git_branch": branch,
        "git_remote": _remote(common / "config"),
    }
    return {key: value for key, value in found.items() if value}


def _resolve(common: Path, name: str) -> str:
    """The commit of a ref; empty on a branch that has none yet."""
    loose, packed = common / name, common / "packed-refs"
    if loose.is_file():
        return loose.read_text().strip()
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split()[0] for line in lines if line.endswith(f" {name}")), "")


def _is_hex(text: str) -> bool:
    return len(text) in (40, 64) and all(char in "0123456789abcdef" for char in text)


def _remote(config: Path) -> str:
    """URL of the remote "origin", as git's own configuration has it (git-config(1))."""
    if not config.is_file():
        return ""
    section = ""
    for line in config.read_text(errors="replace").splitlines():
        text = line.strip()
        if text.startswith("["):
            section = text.partition("]")[0]
        elif section == '[remote "origin"':
            key, _, value = text.partition("=")
            if key.strip().lower() == "url":
                return _without_password(value.strip().strip('"'))
    return ""


def _without_password(url: str) -> str:
    """``https://USER:SECRET@host/x`` without what is before the host. An scp-like address
    (``git@host:x``) holds no secret."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    if not separator or "@" not in authority:
        return url
    return f"{scheme}://{authority.rpartition('@')[2]}{slash}{path}"
