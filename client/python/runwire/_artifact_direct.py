"""Bytes straight from the blob store, where the server answers with a location.

The store is another machine, which the server may reach and we may not: whatever goes wrong
here, the transfer goes on through the server.
"""

from __future__ import annotations

import http.client
import re
import urllib.request
from collections.abc import Iterator
from contextlib import closing
from typing import Any
from urllib.parse import urlsplit

from runwire._errors import UnavailableError

READ_BYTES = 1 << 20
# Without a byte for so long, the store is away.
TIMEOUT_S = 30.0


def read(url: str, offset: int) -> Iterator[bytes]:
    """What lies behind a signed URL, from ``offset`` bytes on.

    Raises ``UnavailableError``, which never tells the URL: whoever has that may read.
    """
    try:
        with closing(_open(url, offset)) as response:
            while data := response.read(READ_BYTES):
                yield data
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = getattr(error, "code", None) or type(error).__name__
        raise UnavailableError(f"the blob store did not send its bytes: {reason}") from None


def _open(url: str, offset: int) -> Any:
    if urlsplit(url).scheme not in ("https", "http"):
        raise ValueError("the location is not of HTTP")
    request = urllib.request.Request(url, headers={"Range": f"bytes={offset}-"})  # noqa: S310
    response = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
    # A store, or a proxy before it, that knows no ranges sends all of it.
    start = re.match(r"bytes (\d+)-", response.headers.get("Content-Range", "bytes 0-"))
    if start is None or int(start[1]) != offset:
        response.close()
        raise ValueError("the bytes are of another range")
    return response
