"""Several processes on one gRPC port (``--workers``): PostgreSQL only, Linux.

The kernel spreads connections over the workers (SO_REUSEPORT). The parent has the
web port, on which it is a server beside them; it shows what all of them counted, and
starts a worker again that dies.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import signal
import socket
import sys
import tempfile
import threading
import time
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess

from runwire_server import telemetry
from runwire_server.__main__ import announce, exit_code, serve, start_web, stop_on
from runwire_server.app import App
from runwire_server.pools import Pools
from runwire_server.settings import Settings

log = logging.getLogger("runwire.workers")

# Never forked: neither grpcio nor a database engine survives that.
_spawn = multiprocessing.get_context("spawn")

# A worker that dies again and again (its database is away, say) is started ever more
# seldom; one that has lived for so long had no such trouble.
FIRST_PAUSE_S, MAX_PAUSE_S = 0.5, 30.0
# Beyond the grace of calls under way: what a worker may take to commit and to leave.
LEAVE_S = 15.0


def supervise(settings: Settings, stop: threading.Event) -> int:
    """Run until ``stop``; then every worker drains. 0 when all did.

    Raises OSError where the port is taken or a worker cannot start at first. One that
    dies later is replaced, however often; the others serve on meanwhile.
    """
    with _keeper(settings) as keeper, tempfile.TemporaryDirectory() as counters:
        settings = replace(settings, grpc_port=keeper.getsockname()[1])
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counters
        telemetry.share()
        app = App(
            settings.backend_store_uri,
            settings.artifacts_destination,
            pool_size=settings.unary_threads,
            direct_downloads_s=settings.direct_downloads_s,
        )
        pools = Pools(settings)
        workers = [Worker(settings) for _ in range(settings.workers)]
        try:
            for worker in workers:
                worker.wait_until_ready()
            web = start_web(app, settings, pools, settings.grpc_port)
            announce(settings, settings.grpc_port, web)
            while not stop.wait(0.5):
                for worker in workers:
                    worker.revive()
            app.drain.set()
            if web:
                web.stop()
        finally:
            codes = _end(workers, settings.grace_s + LEAVE_S)
            pools.close()
            app.close()
    return max(map(abs, codes))


class Worker:
    """One of the workers: its process, and the next one where that has died."""

    def __init__(self, settings: Settings):
        self._settings = settings
        self._pause_s = FIRST_PAUSE_S
        self._start()

    def _start(self) -> None:
        self._ready, told = _spawn.Pipe(duplex=False)
        self.process = _spawn.Process(
            target=_work, args=(self._settings, told), name="runwire-worker"
        )
        self.process.start()
        self._started_s = time.monotonic()
        told.close()

    def wait_until_ready(self) -> None:
        """Until it answers calls. Raises OSError where it ended before that."""
        try:
            self._ready.recv()
        except EOFError:
            raise OSError("a worker could not start; its log says why") from None

    def revive(self) -> None:
        """Start the next process where this one has died, after a pause."""
        if self.process.is_alive():
            return
        lived_s = time.monotonic() - self._started_s
        if lived_s < self._pause_s:
            return
        self._pause_s = FIRST_PAUSE_S if lived_s > MAX_PAUSE_S else self._pause_s * 2
        self._pause_s = min(self._pause_s, MAX_PAUSE_S)
        code = self.process.exitcode
        log.error("worker %d ended with code %s; starting another", self.process.pid, code)
        self._start()


def _keeper(settings: Settings) -> socket.socket:
    """A socket that is bound to the workers' port and never listened on.

    It finds a free port for port 0 and keeps it between a worker's death and its successor.
    """
    address = (settings.host, settings.grpc_port)
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, bindable = found[0]
    try:
        # Workers of another server would share the port with ours: it must be nobody's.
        socket.create_server(bindable[:2], family=family).close()
    except OSError as error:
        raise OSError(
            f"cannot listen on {settings.host}:{settings.grpc_port}: {error.strerror}; "
            "is the port in use?"
        ) from error
    keeper = socket.socket(family)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    keeper.bind(bindable)
    return keeper


def _work(settings: Settings, told: Connection) -> None:
    telemetry.set_up_logs(settings.log_level, settings.log_format)
    stop = threading.Event()
    stop_on(stop, signal.SIGTERM)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    parent = multiprocessing.parent_process()
    if parent is not None:  # a worker never outlives its parent, however that ended
        threading.Thread(target=_follow, args=(parent, stop), daemon=True).start()
    settings = replace(settings, port=-1)
    sys.exit(exit_code(lambda: serve(settings, stop, lambda *_: told.send("ready"))))


def _follow(parent: BaseProcess, stop: threading.Event) -> None:
    parent.join()
    stop.set()


def _end(workers: list[Worker], timeout_s: float) -> list[int]:
    """Drain all at once: a client that one sends away must not be sent away by the next."""
    deadline = time.monotonic() + timeout_s
    for worker in workers:
        worker.process.terminate()
    for worker in workers:
        worker.process.join(max(0.0, deadline - time.monotonic()))
        if worker.process.is_alive():
            log.error("worker %d does not end; killing it", worker.process.pid)
            worker.process.kill()
            worker.process.join()
    # One that was still starting has no handler yet, and nothing to drain.
    codes = [worker.process.exitcode or 0 for worker in workers]
    return [0 if code == -signal.SIGTERM else code for code in codes]
