"""Reading every byte of files to see whether they are what their digests say."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from pathlib import Path

from runwire._artifact_get import GetBatch, Open, receive
from runwire._artifact_parallel import SMALL_BYTES, Meter, Progress, batches, run_all
from runwire._errors import RunwireError
from runwire.v1.artifact_pb2 import Artifact

# What a server says of bytes that it has lost, or that are not what they were.
_BAD = {"DIGEST_MISMATCH", "CHECKSUM_MISMATCH", "STORAGE_UNAVAILABLE", "NOT_FOUND"}


def verify(
    found: Iterable[Artifact], open_at: Open, get_batch: GetBatch, progress: Progress | None
) -> dict[str, str]:
    """What is wrong, by path: nothing where all is well."""
    files = list(found)
    problems: dict[str, str] = {}
    meter = Meter(progress, sum(one.blob.size_bytes for one in files))

    def check(artifact: Artifact) -> None:
        try:
            with Path(os.devnull).open("wb", buffering=0) as nowhere:
                digest = receive(artifact, nowhere, open_at, meter)
        except RunwireError as error:
            if error.reason not in _BAD:
                raise
            problems[artifact.path] = str(error)
        else:
            if digest != artifact.blob.digest:
                problems[artifact.path] = f"its bytes have digest {digest}"

    def check_batch(batch: list[Artifact]) -> None:
        doubtful = list(batch)
        with suppress(RunwireError):  # one that is lost fails them all: each by itself, then
            items = get_batch([one.path for one in batch])
            wanted = zip(batch, items, strict=True)
            doubtful = [one for one, item in wanted if _digest(item.data) != one.blob.digest]
        meter.add(sum(one.blob.size_bytes for one in batch if one not in doubtful))
        for artifact in doubtful:
            check(artifact)

    small = [one for one in files if one.blob.size_bytes <= SMALL_BYTES]
    large = [one for one in files if one.blob.size_bytes > SMALL_BYTES]
    transfers = [partial(check_batch, one) for one in batches(small, lambda a: a.blob.size_bytes)]
    run_all([*transfers, *(partial(check, one) for one in large)], meter)
    return problems


def _digest(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"
