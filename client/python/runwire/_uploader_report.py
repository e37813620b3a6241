"""What an uploader tells: a few lines for the user, everything to ``uploader.log``."""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time
from pathlib import Path

# A server that never answers must not fill the disk with complaints.
MAX_LOG_BYTES = 4 << 20


class Report:
    """Lines for the user come once: a change of state, never its repetition."""

    def __init__(self, directory: Path, *, quiet: bool = False):
        self._path = directory / "uploader.log"
        # Without a stderr (2>&-, pythonw) descriptor 2 may be any file: it is left alone.
        self._quiet = quiet or bool(os.environ.get("RUNWIRE_QUIET")) or sys.stderr is None
        self._lock = threading.Lock()
        self._said: set[str] = set()

    def log(self, line: str) -> None:
        stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        # A full disk stops the log, not the upload.
        with self._lock, contextlib.suppress(OSError), self._path.open("a") as file:
            if file.tell() < MAX_LOG_BYTES:
                file.write(f"{stamp} {line}\n")

    def say(self, line: str, *, once: str = "") -> None:
        """One line for the user; with ``once``, only the first under that name."""
        self.log(line)
        with self._lock:
            if once and once in self._said:
                return
            self._said.add(once)
            if not self._quiet:
                self._print(f"runwire: {line}\n")

    def forget(self, once: str) -> bool:
        """Let the line of this name be said again; whether it had been said."""
        with self._lock:
            known = once in self._said
            self._said.discard(once)
            return known

    def _print(self, line: str) -> None:
        try:
            sys.stderr.write(line)
            sys.stderr.flush()
        except (OSError, ValueError, AttributeError):  # closed, or None since we began
            self._quiet = True  # nobody reads it any more

    def let_go_of_terminal(self) -> None:
        """The trainer has ended: whoever reads its output must not wait for us."""
        with self._lock:
            if self._quiet:
                return
            self._quiet = True
            null = os.open(os.devnull, os.O_WRONLY)
            os.dup2(null, 2)
            os.close(null)
