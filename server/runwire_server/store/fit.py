"""Pages end early before they outgrow a message."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

from google.protobuf.message import Message

# Of the 4 MiB that any message may have. No single resource comes near the difference.
PAGE_BYTES = 3 << 20

M = TypeVar("M", bound=Message)


def fit(messages: Iterable[M]) -> list[M]:
    """The first messages, at least one, that stay under ``PAGE_BYTES`` together.

    Where that is fewer than there are rows, the next page begins there: search again with
    that page_size for its token.
    """
    fitting: list[M] = []
    size = 0
    for message in messages:
        size += message.ByteSize()
        if size > PAGE_BYTES and fitting:
            break
        fitting.append(message)
    return fitting
