"""The composition root: settings become a database, a blob store and the services.

``App`` is the engine of every mode. A server puts a transport in front of it, local
mode (``open_local``) an in-process channel, and both answer with the same code.
"""

from __future__ import annotations

import threading
from typing import Any

from runwire.v1 import (
    artifact_service_pb2_grpc,
    experiment_service_pb2_grpc,
    metric_service_pb2_grpc,
    registry_service_pb2_grpc,
    run_service_pb2_grpc,
    server_service_pb2_grpc,
)

from runwire_server.blobs import open_blobs
from runwire_server.inprocess import InProcessServer
from runwire_server.interceptors import CallInterceptor
from runwire_server.limits import LIMITS
from runwire_server.lost_runs import LostRuns
from runwire_server.metrics import Engine
from runwire_server.services.artifact import ArtifactService
from runwire_server.services.experiment import ExperimentService
from runwire_server.services.metric import MetricService
from runwire_server.services.model import RegistryService
from runwire_server.services.run import RunService
from runwire_server.services.server import DIRECT, FEATURES, ServerService
from runwire_server.settings import local
from runwire_server.store import migrations, run_watch
from runwire_server.store.database import Database
from runwire_server.store.registry import Registry

SERVICE_NAMES = tuple(
    f"runwire.v1.{name}Service"
    for name in ("Artifact", "Experiment", "Metric", "Registry", "Run", "Server")
)


class App:
    """The services over one database and one blob store. ``close`` commits what is queued.

    ``lost_after_s``: when a silent run is marked LOST; 0: never, as in local mode, where
    nobody else is there to see it. ``direct_downloads_s``: how long the signed URLs of the blob
    store are good for that downloads are answered with; 0: they go through the server. Raises
    ``ValueError`` where the store gives out none.
    """

    def __init__(
        self,
        backend_store_uri: str,
        artifacts_destination: str,
        *,
        pool_size: int = 16,
        lost_after_s: float = 0.0,
        direct_downloads_s: int = 0,
    ):
        self.db = Database(backend_store_uri, pool_size=pool_size)
        try:
            migrations.upgrade(self.db)
            self.blobs = open_blobs(artifacts_destination)
            if direct_downloads_s and not self.blobs.can_sign:
                problem = f"{artifacts_destination} gives out no signed URLs"
                raise ValueError(f"--direct-downloads-s: {problem}")
        except BaseException:
            self.db.close()
            raise
        self.drain = threading.Event()
        self.engine = Engine(self.db)
        self.engine.start()
        self._run_pulse = run_watch.pulse(self.db)
        self.registry = Registry(self.db)
        self._lost_runs = LostRuns(self.db, lost_after_s)
        if lost_after_s:
            self._lost_runs.start()
        self._direct_s = direct_downloads_s
        self.server_service = ServerService((*FEATURES, DIRECT) if self._direct_s else FEATURES)

    def register(self, server: Any) -> None:
        """Add every service to a ``grpc.Server``, or to an ``InProcessServer``."""
        artifact_service_pb2_grpc.add_ArtifactServiceServicer_to_server(
            ArtifactService(self.db, self.blobs, LIMITS, self._direct_s), server
        )
        experiment_service_pb2_grpc.add_ExperimentServiceServicer_to_server(
            ExperimentService(self.db), server
        )
        metric_service_pb2_grpc.add_MetricServiceServicer_to_server(
            MetricService(self.engine, self.drain), server
        )
        registry_service_pb2_grpc.add_RegistryServiceServicer_to_server(
            RegistryService(self.db, self.registry, self.drain), server
        )
        run_service_pb2_grpc.add_RunServiceServicer_to_server(
            RunService(self.db, self.engine, self._run_pulse, self.drain), server
        )
        server_service_pb2_grpc.add_ServerServiceServicer_to_server(self.server_service, server)

    def check(self) -> dict[str, str]:
        """What stands between this server and its work: empty when it is ready."""
        problems: dict[str, str] = {}
        for name, probe in (("database", self.db.check), ("artifacts", self.blobs.check)):
            try:
                probe()
            except Exception as error:  # a probe reports whatever it meets
                problems[name] = str(error)
        if not problems and migrations.revision(self.db) != migrations.HEAD:
            problems["migrations"] = "the schema is not up to date: runwire db upgrade"
        return problems

    def close(self) -> None:
        self.drain.set()
        self._run_pulse.close()
        self._lost_runs.close()
        self.registry.close()
        self.engine.close()
        self.db.close()


class LocalServer:
    """Local mode: an ``App`` of this process behind an in-process channel."""

    def __init__(self, app: App):
        self.app = app
        server = InProcessServer([CallInterceptor()])
        app.register(server)
        self.channel = server.channel

    def close(self) -> None:
        self.app.close()


def open_local(uri: str) -> LocalServer:
    """The services on ``sqlite:///FILE``, ``postgresql://…`` or a folder, without a server."""
    settings = local(uri)
    return LocalServer(App(settings.backend_store_uri, settings.artifacts_destination))
