"""Ports that a server gets again after it was away."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from pathlib import Path

RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def lasting_port() -> int:
    """A free port of loopback, below those that the system gives to whoever asks for any: so
    it is still free when its server comes back, whatever else is tested meanwhile."""
    given_from = int(RANGE.read_text().split()[0]) if RANGE.exists() else 49152
    while True:
        port = random.SystemRandom().randrange(given_from // 2, given_from)
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
