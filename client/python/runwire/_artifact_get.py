"""Fetching files: every byte is checked before a file appears under its name."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from runwire._artifact_parallel import Meter, Progress, run_all
from runwire._artifact_path import UnsafePathError, is_below, targets
from runwire._artifact_patience import Patience
from runwire._errors import RunwireError, UnavailableError
from runwire.v1.artifact_pb2 import Artifact

if TYPE_CHECKING:
    from runwire._artifact import Download

Open = Callable[[str, int], "Download"]
"""(path, offset) -> the rest of a file."""


def fetch(
    found: list[Artifact], prefix: str, root: Path, open_at: Open, progress: Progress | None
) -> None:
    """Write files below ``root``, several at a time. No file appears before it is whole."""
    by_path = {artifact.path: artifact for artifact in found}
    for path in by_path:
        if not is_below(path, prefix):
            raise UnsafePathError(f"the server names {path!r}, which is not below {prefix!r}")
    meter = Meter(progress, sum(artifact.blob.size_bytes for artifact in by_path.values()))
    transfers = [
        partial(_fetch_file, by_path[path], local, open_at, meter)
        for path, local in targets(root, by_path).items()
    ]
    run_all(transfers, meter)


def _fetch_file(artifact: Artifact, path: Path, open_at: Open, meter: Meter) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Not made from the name: that may be as long as a name can be.
    part = path.with_name(f".runwire-{secrets.token_hex(8)}.part")
    try:
        with part.open("xb") as file:
            digest = _receive(artifact, file, open_at, meter)
        if digest != artifact.blob.digest:
            problem = f"{artifact.path!r} arrived with digest {digest}"
            raise RunwireError(problem, reason="DIGEST_MISMATCH")
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _receive(artifact: Artifact, file: BinaryIO, open_at: Open, meter: Meter) -> str:
    """Write the whole blob through cuts; returns the digest of what came."""
    sha256, done, patience = hashlib.sha256(), 0, Patience()
    while True:
        try:
            with closing(open_at(artifact.path, done)) as download:
                if download.blob != artifact.blob:
                    raise RunwireError(f"{artifact.path!r} was changed while it was fetched")
                for data in download:
                    if done + len(data) > artifact.blob.size_bytes:
                        raise RunwireError(f"{artifact.path!r} is longer than the server said")
                    file.write(data)
                    sha256.update(data)
                    done += len(data)
                    meter.add(len(data))
                    patience.progress()
            if done == artifact.blob.size_bytes:
                return f"sha256:{sha256.hexdigest()}"
            raise UnavailableError(f"the server ended the download of {artifact.path!r}")
        except RunwireError as error:
            patience.wait(error)
