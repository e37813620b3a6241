"""A TCP load balancer on loopback, of the plainest kind: it knows connections, not calls."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading


class Balancer:
    """Gives each connection to the next server in turn that takes it.

    ``uri`` is where it listens, ``given`` has the server's port of every connection so far.
    """

    def __init__(self, *ports: int):
        self.given: list[int] = []
        self._ports = itertools.cycle(ports)
        self._servers = len(ports)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.uri = f"grpc://127.0.0.1:{self._listener.getsockname()[1]}"
        self._open: set[socket.socket] = set()

    def __enter__(self) -> Balancer:
        threading.Thread(target=self._listen, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Closing alone would not wake a thread that waits in accept.
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """Cut every connection that is open now."""
        for end in list(self._open):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def pass_on(self, data: bytes, sink: socket.socket) -> None:
        sink.sendall(data)

    def _listen(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = self._connect()
            if server is None:
                client.close()
                continue
            ends = (client, server)
            self._open.update(ends)
            for one, other in (ends, ends[::-1]):
                threading.Thread(target=self._pump, args=(one, other), daemon=True).start()

    def _connect(self) -> socket.socket | None:
        """To the next server; None: there is none."""
        for port in itertools.islice(self._ports, self._servers):
            with contextlib.suppress(OSError):
                server = socket.create_connection(("127.0.0.1", port))
                self.given.append(port)
                return server
        return None

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        """Copy until either end is closed; then close the other one, too."""
        with contextlib.suppress(OSError):
            while data := source.recv(1 << 16):
                self.pass_on(data, sink)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        self._open.discard(source)
        source.close()
