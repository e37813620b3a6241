"""Ports that a server gets again after it was away."""

from __future__ import annotations

import os
import random
import socket
from contextlib import suppress
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_given: set[int] = set()


def lasting_port() -> int:
    """A free port of loopback, below those that the system gives to whoever asks for any, and
    given to nobody else of this suite: so it is still free when its server comes back,
    whatever else is tested meanwhile."""
    system_from = int(RANGE.read_text().split()[0]) if RANGE.exists() else 49152
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    own = range(system_from // 2 + worker, system_from, workers)
    while True:
        port = random.SystemRandom().choice(own)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            if port not in _given:
                _given.add(port)
                return port
