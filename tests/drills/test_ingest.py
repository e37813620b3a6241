"""The whole way, from journal to read: whatever is cut or killed, bit for bit and once."""

from __future__ import annotations

import os
import random
import signal
import struct
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path

import backends
import pytest
import runwire
from client.deliveries import Points, stored
from runwire._connect import connect
from runwire._journal import Journal, JournalSettings

from drills.processes import eventually, journals, server_process

# A NaN with a payload, both infinities, both zeros, the least and the greatest numbers.
BITS = [0x7FF8000000000123, 0x7FF << 52, 0xFFF << 52, 0, 1 << 63, 1, 0x7FEFFFFFFFFFFFFF]
SPECIAL = [struct.unpack("<d", bits.to_bytes(8, "little"))[0] for bits in BITS]
WRITERS, ROUNDS = 3, 4


class Writer:
    """A journal of its own, an own uploader, and a run that all of them share."""

    def __init__(self, base: Path, uri: str, shared: str, chance: random.Random):
        settings = JournalSettings(uploader="process")
        self.journal = Journal.open(base, uri, settings=settings)
        self.log = self.journal.attach_run(shared, resume=False)
        self._chance = chance
        self.expected: dict[str, Points] = {}

    def act(self) -> None:
        """Rows in many shapes, steps in no order: some narrow and long, one wide, a few odd."""
        width = self._chance.choice([1, 3, 20, 120])
        for _ in range(self._chance.randrange(200, 40_000 // width)):
            self._row({f"m{key}": self._value() for key in range(width)})
        self._row({f"wide/{key}": self._value() for key in range(5_000)})
        for _ in range(50):
            keys = self._chance.sample(range(40), self._chance.randrange(1, 5))
            self._row({f"m{key}": self._value() for key in keys})

    def _value(self) -> float:
        pick = self._chance.randrange(50)
        return SPECIAL[pick] if pick < len(SPECIAL) else self._chance.random()

    def _row(self, metrics: dict[str, float]) -> None:
        step, time = self._chance.randrange(-1000, 1000), self._chance.randrange(1 << 50)
        self.log.log_metrics(metrics, step, time)
        for key, value in metrics.items():
            self.expected.setdefault(key, Counter())[step, time, struct.pack("d", value)] += 1

    def kill_uploader(self) -> None:
        pid = self.journal.status.uploader_pid
        if pid:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.journal.ensure_uploader(now=True)


@pytest.mark.parametrize("seed", range(2))
def test_anything_arrives_bit_for_bit_and_once_while_all_is_killed(
    backend: backends.Backend, tmp_path: Path, seed: int
) -> None:
    chance = random.Random(seed)
    with server_process(backend) as server:
        server.start()
        with runwire.Client(server.uri) as client:
            shared = client.runs.create().run_id
        base = tmp_path / "journals"
        writers = [Writer(base, server.uri, shared, chance) for _ in range(WRITERS)]
        for _ in range(ROUNDS):
            for writer in writers:
                writer.act()
            chance.choice(writers).kill_uploader()
            if chance.random() < 0.5:
                server.kill()
                server.start()
        for writer in writers:
            writer.journal.ensure_uploader(now=True)
            assert writer.journal.flush(120)
            writer.journal.close()
        eventually(lambda: not journals(), "the ends of the uploaders")
        with closing(connect(server.uri)) as connection:
            found = stored(connection, shared)
    wanted: dict[str, Points] = {}
    for writer in writers:
        for key, points in writer.expected.items():
            wanted.setdefault(key, Counter()).update(points)
    assert found == wanted
