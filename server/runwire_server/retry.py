"""The one retry helper for what a second attempt can mend.

A transaction can lose a race (serialization failure, deadlock, a busy SQLite file,
a unique key that another transaction took first) or its connection. Every handler
is idempotent, so it is simply run again from the start.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from runwire_server.errors import Overloaded, StorageUnavailable


class TransactionConflict(Overloaded):
    """The transaction lost a race and was rolled back; nothing was written."""


class ConnectionLost(StorageUnavailable):
    """The database went away in the middle; whether it committed is not known."""


T = TypeVar("T")

ATTEMPTS = 6
FIRST_DELAY_S = 0.01


def retrying(call: Callable[[], T]) -> T:
    """Call until it succeeds, at most ``ATTEMPTS`` times over about half a second."""
    for attempt in range(ATTEMPTS - 1):
        try:
            return call()
        except (TransactionConflict, ConnectionLost):
            time.sleep(FIRST_DELAY_S * 2**attempt * random.uniform(0.5, 1.5))
    return call()
