"""A TCP proxy on loopback that does to connections what networks do."""

from __future__ import annotations

import socket
import threading
import time

from drills.balancer import Balancer


class Proxy(Balancer):
    """Between a client and a server: cuts, delays and splits. ``port`` is where it listens."""

    def __init__(self, port: int):
        super().__init__(port)
        self._delay_s, self._split_bytes = 0.0, 0
        self._sent = 0
        self._moved = threading.Condition()

    @property
    def port(self) -> int:
        return int(self.uri.rpartition(":")[2])

    def slow(self, *, delay_ms: float = 0, split_bytes: int = 0) -> None:
        """From now on, in both directions; (0, 0) is plain again."""
        self._delay_s, self._split_bytes = delay_ms / 1000, split_bytes

    def forget(self) -> None:
        """Count from here."""
        with self._moved:
            self._sent = 0

    def wait_sent(self, count: int, timeout_s: float = 120) -> bool:
        """Wait until so many bytes went to the server since ``forget``."""
        with self._moved:
            return self._moved.wait_for(lambda: self._sent >= count, timeout_s)

    def pass_on(self, data: bytes, sink: socket.socket) -> None:
        size = self._split_bytes or len(data)
        for start in range(0, len(data), size):
            if self._delay_s:
                time.sleep(self._delay_s)
            sink.sendall(data[start : start + size])
        if sink.getpeername()[1] in self.given:
            with self._moved:
                self._sent += len(data)
                self._moved.notify_all()
