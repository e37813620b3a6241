"""Uploads that are cut: by the death of the client, or of the server."""

from __future__ import annotations

import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import runwire

from benchmarks.artifacts import MIB, digest, new_run, random_file
from benchmarks.work import Work

# Tells of each acknowledged byte.
SENDER = """
import sys
from pathlib import Path
import runwire
with runwire.Client(sys.argv[1]) as client:
    tell = lambda done, total: print(done, flush=True)
    client.artifacts.put(sys.argv[2], Path(sys.argv[3]), progress=tell)
"""


def cut_uploads(work: Work) -> dict[str, Any]:
    """A3: uploads cut at random moments, by the death of the client or of the server."""
    size, rounds = work.size(160 * MIB), work.size(50)
    picked = random.Random(1)
    resumed, wrong, sent_again = 0, 0, []
    for number in range(rounds):
        file = work.folder / "cut.bin"
        random_file(file, size)
        expected = digest(file)
        kept, again = _cut_once(work, file, picked.uniform(0.05, 1.0), number % 2 == 0)
        resumed += kept > 0
        sent_again.append(again)
        wrong += digest(work.folder / "back" / "cut.bin") != expected
        (work.folder / "back" / "cut.bin").unlink()
    return {
        "cuts": rounds,
        "resumed behind the first byte": resumed,
        "contents that differ": wrong,
        "most bytes acknowledged and sent again": max(sent_again),
    }


def _cut_once(work: Work, file: Path, share: float, kill_client: bool) -> tuple[int, int]:
    """One cut when about that share was acknowledged. Where it went on, and the acknowledged
    bytes that were sent again."""
    acknowledged = 0
    with work.server_process() as (server, uri):
        run_id = new_run(uri)
        with subprocess.Popen(
            [sys.executable, "-c", SENDER, uri, run_id, str(file)],
            stdout=subprocess.PIPE,
            text=True,
        ) as sender:
            for line in sender.stdout or ():
                acknowledged = int(line)
                if acknowledged >= share * file.stat().st_size:
                    break
            (sender if kill_client else server).kill()
            sender.kill()
    starts: list[int] = []
    with work.server() as uri, runwire.Client(uri) as client:
        _watch(client, starts)
        client.artifacts.put(run_id, file)
        client.artifacts.get(run_id, "cut.bin", work.folder / "back")
    begun = starts[0] if starts else file.stat().st_size
    return begun, max(0, acknowledged - begun)


def _watch(client: runwire.Client, starts: list[int]) -> None:
    """Note where uploads of this client begin."""
    plain = client.artifacts.upload_blob

    def upload_blob(requests: Any) -> Any:
        for response in plain(requests):
            if response.HasField("opened"):
                starts.append(response.opened.committed_size)
            yield response

    client.artifacts.upload_blob = upload_blob  # type: ignore[method-assign]
