"""Several processes on one gRPC port (``--workers``): PostgreSQL only, Linux.

The kernel spreads connections over the workers (SO_REUSEPORT). The parent has the
web port, counts for all of them, and starts a worker again that dies.
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
from dataclasses import replace
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from multiprocessing.process import BaseProcess

from runwire_server import telemetry
from runwire_server.__main__ import announce, serve, start_web
from runwire_server.app import App
from runwire_server.settings import Settings

log = logging.getLogger("runwire.workers")

# Never forked: neither grpcio nor a database engine survives that.
_spawn = multiprocessing.get_context("spawn")


def supervise(settings: Settings, stop: threading.Event) -> int:
    """Run until ``stop``; then every worker drains. 0 when all did.

    The socket made here is bound but never listened on: it finds a free port for
    port 0 and keeps it between a worker's death and its successor.
    """
    with socket.socket() as keeper, tempfile.TemporaryDirectory() as counters:
        keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        keeper.bind((settings.host, settings.grpc_port))
        settings = replace(settings, grpc_port=keeper.getsockname()[1])
        os.environ["PROMETHEUS_MULTIPROC_DIR"] = counters
        app = App(settings.backend_store_uri, settings.artifacts_destination, pool_size=4)
        workers = [_start(settings) for _ in range(settings.workers)]
        try:
            web = start_web(app, settings, settings.grpc_port)
            announce(settings, settings.grpc_port, web)
            while not stop.wait(0.5):
                workers = [_revive(worker, settings) for worker in workers]
            if web:
                web.stop()
        finally:
            codes = [_end(worker) for worker in workers]
            app.close()
    return max(map(abs, codes))


def _start(settings: Settings) -> SpawnProcess:
    """A worker that answers calls when this returns."""
    ready, told = _spawn.Pipe(duplex=False)
    worker = _spawn.Process(target=_work, args=(settings, told), name="runwire-worker")
    worker.start()
    told.close()
    try:
        ready.recv()
    except EOFError:
        raise OSError("a worker could not start; its log says why") from None
    finally:
        ready.close()
    return worker


def _work(settings: Settings, told: Connection) -> None:
    telemetry.set_up_logs(settings.log_level, settings.log_format)
    stop = threading.Event()
    signal.signal(signal.SIGTERM, lambda *_: stop.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all; the parent decides
    parent = multiprocessing.parent_process()
    if parent is not None:  # a worker never outlives its parent, however that ended
        threading.Thread(target=_follow, args=(parent, stop), daemon=True).start()
    sys.exit(serve(replace(settings, port=-1), stop, lambda *_: told.send("ready")))


def _follow(parent: BaseProcess, stop: threading.Event) -> None:
    parent.join()
    stop.set()


def _revive(worker: SpawnProcess, settings: Settings) -> SpawnProcess:
    if worker.is_alive():
        return worker
    log.error("worker %d ended with code %s; starting another", worker.pid, worker.exitcode)
    return _start(settings)


def _end(worker: SpawnProcess) -> int:
    worker.terminate()
    worker.join()
    return worker.exitcode or 0
