"""How long a call that has no end of its own stays open."""

from __future__ import annotations

from grpc import ServicerContext

from runwire_server.limits import STREAM_AGE_S


def lasts_s(context: ServicerContext) -> float:
    """Until its deadline, or until it is time to go on at another server."""
    remaining = context.time_remaining()
    return STREAM_AGE_S if remaining is None else min(STREAM_AGE_S, remaining)
