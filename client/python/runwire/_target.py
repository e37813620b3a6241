"""From the servers that a tracking URI names to the target of one gRPC channel."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from runwire._errors import UnavailableError


def target(endpoints: Sequence[str]) -> str:
    """What ``grpc.insecure_channel`` takes for these ``host:port``.

    One server goes by its name, which gRPC looks up again whenever a connection is lost.
    A list has to be of addresses: its names are looked up here, and those that nobody
    knows now are left out. Raises ``UnavailableError`` where that leaves none.
    Reference: https://github.com/grpc/grpc/blob/master/doc/naming.md
    """
    if len(endpoints) == 1:
        return endpoints[0]
    found: list[tuple[str, int]] = []
    unknown: list[str] = []
    for endpoint in endpoints:
        try:
            found += _look_up(endpoint)
        except (OSError, UnicodeError) as error:  # the latter for what is no host's name
            unknown.append(f"{endpoint} ({getattr(error, 'strerror', None) or error})")
    if not found:
        raise UnavailableError(f"no server has an address: {', '.join(unknown)}")
    if all(":" not in host for host, _ in found):
        return "ipv4:" + ",".join(f"{host}:{port}" for host, port in found)
    # A list is of one family; IPv4 has its place in the other.
    mapped = [(host if ":" in host else f"::ffff:{host}", port) for host, port in found]
    return "ipv6:" + ",".join(f"[{host}]:{port}" for host, port in mapped)


def _look_up(endpoint: str) -> list[tuple[str, int]]:
    """Every (address, port) of a ``host:port``, each once."""
    parts = urlsplit(f"//{endpoint}")
    answers = socket.getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys((str(address[0]), int(address[1])) for *_, address in answers))
