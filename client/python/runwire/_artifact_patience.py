"""How long a transfer goes on through cuts: as long as it makes progress."""

from __future__ import annotations

import random
import time

from runwire._errors import RunwireError, UnavailableError

# So many attempts, and half a minute, without a single byte: longer than a server's restart.
ATTEMPTS = 8
PATIENCE_S = 30.0
FIRST_DELAY_S = 0.2
MAX_DELAY_S = 8.0
# Faults of the transport, or of a call that lost its place: begin again from what is stored.
_RESUMABLE = {"OFFSET_GAP", "CHECKSUM_MISMATCH"}


class Patience:
    """Counts failures since the last progress; ``wait`` sleeps, or raises the failure."""

    def __init__(self) -> None:
        self._failures = 0
        self._first_at = 0.0

    def progress(self) -> None:
        self._failures = 0

    def wait(self, error: RunwireError, *, again: bool = False) -> None:
        """Raises ``error`` where another attempt would not help, or there were enough.

        ``again``: the caller knows that another attempt can help.
        """
        now = time.monotonic()
        if self._failures == 0:
            self._first_at = now
        self._failures += 1
        is_spent = self._failures >= ATTEMPTS and now - self._first_at >= PATIENCE_S
        if is_spent or not (again or _is_passing(error)):
            raise error
        delay = min(MAX_DELAY_S, FIRST_DELAY_S * 2 ** (self._failures - 1))
        time.sleep(max(delay, error.retry_after_s or 0.0) * random.uniform(0.5, 1.0))


def _is_passing(error: RunwireError) -> bool:
    """A full disk is no passing fault: what was acknowledged waits for the next ``put``."""
    if isinstance(error, UnavailableError):
        return error.reason != "STORAGE_UNAVAILABLE"
    return error.reason in _RESUMABLE
