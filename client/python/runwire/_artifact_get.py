"""Fetching files: every byte is checked before a file appears under its name."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from runwire._artifact_hash import Hasher
from runwire._artifact_parallel import SMALL_BYTES, Meter, Progress, batches, run_all
from runwire._artifact_path import UnsafePathError, is_below, targets
from runwire._artifact_patience import Patience
from runwire._errors import RunwireError, UnavailableError, from_fault
from runwire.v1.artifact_pb2 import Artifact, Blob

if TYPE_CHECKING:
    from runwire._artifact import Download
    from runwire.v1.artifact_service_pb2 import BatchGetArtifactsResponse

Open = Callable[[str, int], "Download"]
"""(path, offset) -> the rest of a file."""


GetBatch = Callable[[Sequence[str]], "Sequence[BatchGetArtifactsResponse.Item]"]
"""Paths of small files -> the files."""


def fetch(
    found: Sequence[Artifact],
    prefix: str,
    root: Path,
    open_at: Open,
    get_batch: GetBatch,
    progress: Progress | None,
) -> None:
    """Write files below ``root``, several at a time. No file appears before it is whole."""
    files = _targets(found, prefix, root)
    meter = Meter(progress, sum(artifact.blob.size_bytes for artifact in files.values()))
    large = {path: one for path, one in files.items() if one.blob.size_bytes > SMALL_BYTES}
    small = [(path, one) for path, one in files.items() if path not in large]
    transfers = [
        partial(_fetch_batch, batch, get_batch, meter)
        for batch in batches(small, lambda file: file[1].blob.size_bytes)
    ]
    transfers += [partial(_fetch_file, one, path, open_at, meter) for path, one in large.items()]
    run_all(transfers, meter)


def _targets(found: Sequence[Artifact], prefix: str, root: Path) -> dict[Path, Artifact]:
    by_path = {artifact.path: artifact for artifact in found}
    for path in by_path:
        if not is_below(path, prefix):
            raise UnsafePathError(f"the server names {path!r}, which is not below {prefix!r}")
    return {local: by_path[path] for path, local in targets(root, by_path).items()}


def _fetch_batch(batch: list[tuple[Path, Artifact]], get_batch: GetBatch, meter: Meter) -> None:
    items = get_batch([artifact.path for _, artifact in batch])
    for (path, artifact), item in zip(batch, items, strict=True):
        if item.HasField("fault"):
            raise from_fault(item.fault)
        data = item.data
        _check(artifact, item.blob, f"sha256:{hashlib.sha256(data).hexdigest()}")
        with _appearing(path) as file:
            _write(file, data)
        meter.add(len(data))


def _fetch_file(artifact: Artifact, path: Path, open_at: Open, meter: Meter) -> None:
    with _appearing(path) as file:
        _check(artifact, artifact.blob, receive(artifact, file, open_at, meter))


def _check(artifact: Artifact, sent: Blob, digest: str) -> None:
    if sent != artifact.blob:
        raise RunwireError(f"{artifact.path!r} was changed while it was fetched")
    if digest != artifact.blob.digest:
        problem = f"{artifact.path!r} arrived with digest {digest}"
        raise RunwireError(problem, reason="DIGEST_MISMATCH")


@contextmanager
def _appearing(path: Path) -> Iterator[BinaryIO]:
    """A file that is under its name after the block, or not at all."""
    # Not made from the name: that may be as long as a name can be.
    part = path.with_name(f".runwire-{secrets.token_hex(8)}.part")
    try:
        with _opened(part) as file:
            yield file
        part.replace(path)
    except BaseException:
        part.unlink(missing_ok=True)
        raise


def _opened(part: Path) -> BinaryIO:
    try:
        return part.open("xb", buffering=0)
    except FileNotFoundError:
        part.parent.mkdir(parents=True, exist_ok=True)
        return part.open("xb", buffering=0)


def receive(artifact: Artifact, file: BinaryIO, open_at: Open, meter: Meter) -> str:
    """Write the whole blob through cuts; returns the digest of what came.

    It is hashed by a thread of its own, beside the network and the disk.
    """
    done, patience, size = 0, Patience(), artifact.blob.size_bytes
    with Hasher() as hasher:
        while True:
            try:
                with closing(open_at(artifact.path, done)) as download:
                    if download.blob != artifact.blob:
                        raise RunwireError(f"{artifact.path!r} was changed while it was fetched")
                    for data in download:
                        if done + len(data) > size:
                            raise RunwireError(f"{artifact.path!r} is longer than the server said")
                        hasher.update(data)
                        _write(file, data)
                        done += len(data)
                        meter.add(len(data))
                        patience.progress()
                if done == size:
                    return hasher.digest()
                raise UnavailableError(f"the server ended the download of {artifact.path!r}")
            except RunwireError as error:
                patience.wait(error)


def _write(file: BinaryIO, data: bytes) -> None:
    view = memoryview(data)
    while view:  # an unbuffered file may take less
        view = view[file.write(view) :]
