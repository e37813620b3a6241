"""Who calls, as the caller says: the registry notes it with what is done."""

from __future__ import annotations

from urllib.parse import unquote

from grpc import ServicerContext

USER = "runwire-user"
MAX_BYTES = 255


def user_of(context: ServicerContext) -> str:
    """The metadata "runwire-user", decoded; empty where it is not sent."""
    sent = dict(context.invocation_metadata()).get(USER, "")
    text = unquote(sent) if isinstance(sent, str) else ""
    printable = "".join(one for one in text if one.isprintable())
    return printable.encode(errors="ignore")[:MAX_BYTES].decode(errors="ignore")
