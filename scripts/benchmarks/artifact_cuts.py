"""Uploads that are cut: by the death of the client, of the server, or of both."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import runwire

from benchmarks.artifacts import MIB, digest, new_run, random_file
from benchmarks.work import Work

# Most of a cut is waiting: for processes to start, and for a dead server to be given up.
AT_ONCE = 4
# Acknowledgements come some 0.2 s apart: several while this passes a line of 1 Gbit/s.
SIZE = 64 * MIB

# Sends as fast as such a line; tells of each byte that it begins at, and of each acknowledged.
SENDER = """
import sys, time
from pathlib import Path
import runwire
with runwire.Client(sys.argv[1]) as client:
    plain = client.artifacts.upload_blob
    def paced(requests):
        for request in requests:
            time.sleep(len(request.chunk.data) / 125e6)
            yield request
    def upload_blob(requests):
        for response in plain(paced(requests)):
            if response.HasField("opened"):
                print("from", response.opened.committed_size, flush=True)
            yield response
    client.artifacts.upload_blob = upload_blob
    tell = lambda done, total: print("acknowledged", done, flush=True)
    client.artifacts.put(sys.argv[2], Path(sys.argv[3]), progress=tell)
"""


@dataclass(frozen=True)
class Cut:
    """What became of one upload."""

    at: int  # acknowledged bytes
    sent_again: int  # of these
    seconds: float  # from the cut until all is stored
    same: bool


class Sender:
    """A process that sends a file. ``acknowledged``: what it, or one before it, was told."""

    def __init__(self, uri: str, run_id: str, file: Path, acknowledged: int = 0):
        self._command = [sys.executable, "-c", SENDER, uri, run_id, str(file)]
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, text=True)
        self.acknowledged, self.sent_again = acknowledged, 0

    def follow(self, until: int | None = None) -> None:
        """Until so many bytes are acknowledged, or it has ended."""
        for line in self._process.stdout or ():
            word, _, number = line.partition(" ")
            if word == "from":
                self.sent_again = max(self.sent_again, self.acknowledged - int(number))
            self.acknowledged = max(self.acknowledged, int(number))
            if until is not None and self.acknowledged >= until:
                return
        if until is None and self._process.wait() > 0:
            raise subprocess.CalledProcessError(self._process.returncode, self._command)

    def kill(self) -> None:
        self._process.kill()
        self.follow()


def cut_uploads(work: Work) -> dict[str, Any]:
    """A3: uploads cut at random moments. Of two cuts, one is the death of the client; the other
    that of the server, and every second time of the client with it."""
    cuts = work.size(50)
    with work.server() as uri, ThreadPoolExecutor(AT_ONCE) as pool:
        done = list(pool.map(lambda number: _cut(work, uri, number), range(cuts)))
    waits = sorted(cut.seconds for cut in done)
    return {
        "cuts": cuts,
        "cuts between the first and the last byte": sum(0 < cut.at < SIZE for cut in done),
        "contents that differ": sum(not cut.same for cut in done),
        "most bytes acknowledged and sent again": max(cut.sent_again for cut in done),
        "cut to stored, median s": waits[len(waits) // 2],
        "cut to stored, longest s": waits[-1],
    }


def _cut(work: Work, uri: str, number: int) -> Cut:
    """One cut, in a folder of its own, when a random share was acknowledged."""
    work = replace(work, folder=work.folder / str(number))
    work.folder.mkdir()
    file = work.folder / "cut.bin"
    random_file(file, SIZE)
    until = random.Random(number).randint(1, SIZE // 2)
    if number % 2 == 0:
        made = _kill_client(uri, file, until)
    else:
        made = _kill_server(work, file, until, with_client=number % 4 == 1)
    file.unlink()
    return made


def _kill_client(uri: str, file: Path, until: int) -> Cut:
    run_id = new_run(uri)
    first = Sender(uri, run_id, file)
    first.follow(until)
    first.kill()
    start = time.perf_counter()
    second = Sender(uri, run_id, file, first.acknowledged)
    return _finish(uri, run_id, second, file, first.acknowledged, start)


def _kill_server(work: Work, file: Path, until: int, *, with_client: bool) -> Cut:
    with work.server_process() as (server, uri):
        run_id = new_run(uri)
        sender = Sender(uri, run_id, file)
        sender.follow(until)
        server.kill()
        start = time.perf_counter()
    at = sender.acknowledged
    if with_client:
        sender.kill()
        at = sender.acknowledged
    with work.server("--grpc-port", uri.rpartition(":")[2]):
        if with_client:
            sender = Sender(uri, run_id, file, at)
        return _finish(uri, run_id, sender, file, at, start)


def _finish(uri: str, run_id: str, sender: Sender, file: Path, at: int, start: float) -> Cut:
    sender.follow()
    seconds = time.perf_counter() - start
    with runwire.Client(uri) as client:
        got = client.artifacts.get(run_id, file.name, file.parent / "back")
    same = digest(got) == digest(file)
    got.unlink()
    return Cut(at, sender.sent_again, seconds, same)
