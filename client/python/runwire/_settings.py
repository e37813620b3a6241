"""The client's environment, read in one place.

| variable | what |
|---|---|
| RUNWIRE_TRACKING_URI | where to log to (default ``./runwire-data``) |
| RUNWIRE_EXPERIMENT_NAME, RUNWIRE_EXPERIMENT_ID | the experiment of new runs |
| RUNWIRE_RUN_ID | a run that the first ``start_run()`` resumes |
| RUNWIRE_WORKSPACE | the workspace of experiments and models |
| RUNWIRE_USER | recorded as the user, of runs and in the registry, instead of the login name |
| RUNWIRE_DIR | where journals lie (default: beside local data, else in the user's cache) |
| RUNWIRE_TIMEOUT_S | deadline of one call (default 30) |
| RUNWIRE_TOKEN | bearer token, sent with every call |
| RUNWIRE_CA_FILE | certificate authorities for grpcs:// and https:// |

RUNWIRE_JOURNAL_…, RUNWIRE_UPLOADER and RUNWIRE_MODE belong to ``_journal.JournalSettings``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from runwire._errors import invalid
from runwire._uri import data_folder


class Settings(NamedTuple):
    """Empty means unset. No dataclass: importing those takes a tenth of ``import runwire``."""

    tracking_uri: str = ""
    experiment_name: str = ""
    experiment_id: str = ""
    run_id: str = ""
    workspace: str = ""
    user: str = ""
    directory: str = ""
    timeout_s: float = 30.0
    token: str = ""
    ca_file: str = ""


def settings(environment: Mapping[str, str] | None = None) -> Settings:
    """As the environment is now. Raises ``InvalidArgumentError``, naming the variable."""
    env = os.environ if environment is None else environment
    return Settings(
        tracking_uri=env.get("RUNWIRE_TRACKING_URI", ""),
        experiment_name=env.get("RUNWIRE_EXPERIMENT_NAME", ""),
        experiment_id=env.get("RUNWIRE_EXPERIMENT_ID", ""),
        run_id=env.get("RUNWIRE_RUN_ID", ""),
        workspace=env.get("RUNWIRE_WORKSPACE", ""),
        user=env.get("RUNWIRE_USER", ""),
        directory=env.get("RUNWIRE_DIR", ""),
        timeout_s=_seconds(env, "RUNWIRE_TIMEOUT_S", 30.0),
        token=env.get("RUNWIRE_TOKEN", ""),
        ca_file=env.get("RUNWIRE_CA_FILE", ""),
    )


def journals_folder(uri: str) -> Path:
    """Where journals of a resolved tracking URI lie: RUNWIRE_DIR, else ``journals`` beside
    local data, else in the user's cache."""
    if directory := settings().directory:
        return Path(directory).absolute()
    folder = data_folder(uri)
    return folder / "journals" if folder is not None else _cache() / "runwire" / "journals"


def _cache() -> Path:
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or _home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return _home() / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache")


def _home() -> Path:
    """A folder of the user's own, where a container's user has no home, too."""
    try:
        return Path.home()
    except RuntimeError:
        import tempfile

        return (
            Path(tempfile.gettempdir()) / f"runwire-{os.getuid() if hasattr(os, 'getuid') else 0}"
        )


def _seconds(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    try:
        seconds = default if not text else float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < 1e6:
        raise invalid(name, f"{text!r} is no number of seconds above 0")
    return seconds
