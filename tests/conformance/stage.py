"""What scenarios are played on: a real server behind a proxy, and what a network does to it."""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import runwire
from drills.processes import ServerProcess
from ports import lasting_port

from conformance import runner
from conformance.proxy import Proxy

MIB = 1 << 20


class Stage:
    """Its methods ``do_NAME`` are the steps ``{"stage": NAME}`` of scenarios."""

    def __init__(self, folder: Path, server: ServerProcess, web_port: int):
        self.folder, self._server = folder, server
        self.direct_uri = server.uri
        self.grpc, self.web = Proxy(server.port), Proxy(web_port)
        self.web_uri = f"http://127.0.0.1:{web_port}"

    def proxy(self, transport: str) -> Proxy:
        return self.web if transport == "web" else self.grpc

    def reset(self) -> None:
        for proxy in (self.grpc, self.web):
            proxy.slow()

    def do_start_server(self) -> None:
        self._server.start()

    def do_kill_server(self) -> None:
        self._server.kill()

    def do_restart_server(self) -> None:
        self._server.kill()
        self._server.start()

    def do_cut(self) -> None:
        for proxy in (self.grpc, self.web):
            proxy.cut()

    def do_slow(self, delay_ms: float = 0, split_bytes: int = 0) -> None:
        for proxy in (self.grpc, self.web):
            proxy.slow(delay_ms=delay_ms, split_bytes=split_bytes)

    def do_file(self, name: str, mib: int) -> None:
        bytes_of = np.random.default_rng()  # what another client has sent is there already
        with (self.folder / name).open("wb") as file:
            for _ in range(mib):
                file.write(bytes_of.bytes(MIB))

    def do_same_files(self, one: str, other: str) -> None:
        assert (self.folder / one).read_bytes() == (self.folder / other).read_bytes()

    def do_no_file(self, name: str) -> None:
        assert not (self.folder / name).exists()

    def do_series_is(self, run_id: str, key: str, count: int, seed: str) -> None:
        """Every point of the series once, bit for bit, and no other."""
        read = self._read(run_id, key)
        steps = np.arange(count)
        assert np.array_equal(read.steps, steps)
        assert np.array_equal(read.times_micros, runner.FIRST_MICROS + steps)
        assert np.array_equal(
            np.asarray(read.values).view(np.uint64), series(int(seed), count).view(np.uint64)
        )

    def do_says_who(self, tags: dict[str, str]) -> None:
        """The metadata of a call: which client it is, and who uses it."""
        assert re.fullmatch(r"[a-z+-]+/\d+\.\d+\.\d+\S*", tags["runwire-client"])
        assert tags["runwire-user"]

    def do_points_are(self, run_id: str, key: str, points: list[list[str]]) -> None:
        """[step, bits] in the order of steps."""
        read = self._read(run_id, key)
        found = [
            [str(step), struct.pack(">d", value).hex()]
            for step, value in zip(read.steps, read.values, strict=True)
        ]
        assert found == points

    def do_points_and_dropped(self, run_id: str, key: str, count: int, dropped: str) -> None:
        """What was dropped was counted, and all the rest is there."""
        assert len(self._read(run_id, key).steps) + int(dropped) == count
        assert int(dropped) > 0

    def _read(self, run_id: str, key: str) -> Any:
        with runwire.Client(self.direct_uri) as client:
            return client.metrics.read([run_id], [key])[run_id, key]


def series(seed: int, count: int) -> Any:
    """The series of a seed; ``runner.series_value`` is one point of it."""
    with np.errstate(over="ignore"):
        z = np.uint64(seed) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(
            0x9E3779B97F4A7C15
        )
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return ((z ^ (z >> np.uint64(31))) >> np.uint64(11)) * 2.0**-53


@contextmanager
def stage(folder: Path, *arguments: str) -> Iterator[Stage]:
    """A server on SQLite and a folder, with both of its ports."""
    data, web_port = folder / "data", lasting_port()
    data.mkdir()
    server = ServerProcess(
        f"sqlite:///{data}/runwire.db", str(data / "blobs"), "--port", str(web_port), *arguments
    )
    server.start()
    made = Stage(folder, server, web_port)
    try:
        with made.grpc, made.web:
            yield made
    finally:
        server.stop()
