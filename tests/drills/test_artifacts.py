"""Transfers whose client or server dies: they go on at the acknowledged byte, in flat memory."""

from __future__ import annotations

import hashlib
import os
import random
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import backends
import pytest
import runwire

from drills.processes import ServerProcess, ended_well, server_process, trainer

MIB = 1 << 20

# Tells of each acknowledged byte, or of each that has come.
SENDER = """
import sys
from pathlib import Path
import runwire
with runwire.Client(sys.argv[1]) as client:
    tell = lambda done, total: print(done, flush=True)
    client.artifacts.put(sys.argv[2], Path(sys.argv[3]), "file", progress=tell)
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Of 64 MiB that do not shrink, and an odd byte."""
    made = tmp_path / "file"
    made.write_bytes(random.Random(7).randbytes(64 * MIB) + b"!")
    return made


@pytest.fixture
def server(backend: backends.Backend) -> Iterator[ServerProcess]:
    with server_process(backend) as made:
        made.start()
        yield made


class Watched:
    """A client that notes where its uploads and downloads began."""

    def __init__(self, client: runwire.Client):
        self.begun_at: list[int] = []
        artifacts: Any = client.artifacts
        upload_blob, download = artifacts.upload_blob, artifacts._download

        def watched_upload(requests: Any) -> Iterator[Any]:
            for response in upload_blob(requests):
                if response.HasField("opened"):
                    self.begun_at.append(response.opened.committed_size)
                yield response

        def watched_download(request: Any) -> Any:
            self.begun_at.append(request.offset)
            return download(request)

        artifacts.upload_blob, artifacts._download = watched_upload, watched_download


def new_run(server: ServerProcess) -> str:
    with runwire.Client(server.uri) as client:
        return client.runs.create().run_id


def same(server: ServerProcess, run_id: str, file: Path, folder: Path) -> bool:
    with runwire.Client(server.uri) as client:
        got = client.artifacts.get(run_id, "file", folder)
    return got.read_bytes() == file.read_bytes()


@pytest.mark.parametrize("seed", range(3))
def test_killed_client_and_server_cost_no_acknowledged_byte(
    server: ServerProcess, file: Path, tmp_path: Path, seed: int
) -> None:
    """The client alone, and the server with it."""
    run_id, acknowledged = new_run(server), 0
    limit = random.Random(seed).randrange(1, 50 * MIB)
    with trainer(SENDER, server.uri, run_id, file) as sender:
        for line in sender.stdout or ():
            acknowledged = int(line)
            if acknowledged >= limit:
                break
        if seed:
            server.kill()
        sender.kill()
        sender.communicate()
    if seed:
        server.start()
    with runwire.Client(server.uri) as client:
        watched = Watched(client)
        client.artifacts.put(run_id, file, "file")
    begun_at = watched.begun_at[0] if watched.begun_at else len(file.read_bytes())
    assert begun_at >= acknowledged > 0
    assert same(server, run_id, file, tmp_path / "out")


@pytest.mark.parametrize("verb", ["put", "get"])
def test_transfer_goes_on_where_it_was_when_the_server_is_back(
    server: ServerProcess, file: Path, tmp_path: Path, verb: str
) -> None:
    run_id, killed = new_run(server), threading.Event()
    if verb == "get":
        with runwire.Client(server.uri) as client:
            client.artifacts.put(run_id, file, "file")

    def kill(done: int, total: int) -> None:
        if done >= 16 * MIB and not killed.is_set():
            killed.set()
            server.kill()
            server.start()

    with runwire.Client(server.uri) as client:
        watched = Watched(client)
        if verb == "put":
            client.artifacts.put(run_id, file, "file", progress=kill)
        else:
            client.artifacts.get(run_id, "file", tmp_path / "out", progress=kill)
    assert killed.is_set()
    assert watched.begun_at[0] == 0
    assert all(offset >= 16 * MIB for offset in watched.begun_at[1:])
    assert same(server, run_id, file, tmp_path / "again")


# Tells how far its memory grew above what it had after a first transfer.
BOUNDED = """
import hashlib, sys
from pathlib import Path
import runwire
uri, run_id, source, into = sys.argv[1:]
def own(field):
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
with runwire.Client(uri) as client:
    client.artifacts.put(run_id, bytes(1 << 20), "warm")
    before = own("VmRSS")
    client.artifacts.put(run_id, Path(source), "large")
    client.artifacts.get(run_id, "large", into)
    print(own("VmHWM") - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")
def test_file_far_larger_than_the_memory_passes_in_flat_memory(
    backend: backends.Backend, tmp_path: Path
) -> None:
    source, sha256 = tmp_path / "large", hashlib.sha256()
    with source.open("wb") as file:
        for _ in range(300):
            block = os.urandom(MIB)
            sha256.update(block)
            file.write(block)
    with server_process(backend) as server:
        server.start()
        assert server._process is not None
        pid, run_id = server._process.pid, new_run(server)
        with runwire.Client(server.uri) as client:  # libraries are loaded, pools are filled
            client.artifacts.put(run_id, os.urandom(20 * MIB), "warm")
            client.artifacts.get(run_id, "warm", tmp_path / "out")
        before = _memory(pid, "VmRSS")
        with trainer(BOUNDED, server.uri, run_id, source, tmp_path / "out") as job:
            (grown,) = ended_well(job, 280)
        assert int(grown) < 64 * MIB
        assert _memory(pid, "VmHWM") - before < 64 * MIB
    with (tmp_path / "out" / "large").open("rb") as got:
        assert hashlib.file_digest(got, "sha256").digest() == sha256.digest()


def _memory(pid: int, field: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(field))
