"""Fixtures of the whole suite. Contract tests use ``client`` and nothing else.

``pytest`` runs on SQLite, a folder and in-process calls; ``pytest --backends=all`` on
every combination of ``backends.py``, and there nothing may be missing.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TypeVar

import backends
import hypothesis
import pytest
import runwire
from runwire_server.store.database import Database

T = TypeVar("T")

# The same examples each time; a slow machine is no failure.
hypothesis.settings.register_profile(
    "runwire",
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.too_slow,
    ],
)
hypothesis.settings.load_profile("runwire")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--backends",
        default="quick",
        help="quick, all, or one of: " + ", ".join(backends.ALL),
    )


def pytest_configure(config: pytest.Config) -> None:
    backends.chosen(config.getoption("backends"))  # a wrong name is told at once


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    combinations = backends.chosen(metafunc.config.getoption("backends"))
    if "backend" in metafunc.fixturenames:
        metafunc.parametrize("backend", combinations, indirect=True, ids=lambda one: one.name)
    if "db" in metafunc.fixturenames:
        databases = list(dict.fromkeys(one.metadata for one in combinations))
        metafunc.parametrize("db", databases, indirect=True)


def _started(config: pytest.Config, what: str, start: Callable[[], T]) -> T:
    """What a combination needs: skipped where it is missing, unless all was asked for."""
    try:
        return start()
    except Exception as error:  # whatever keeps it from starting is the reason
        if config.getoption("backends") == "all" or os.environ.get("CI") == "true":
            raise
        pytest.skip(f"{what} does not start here: {error}")


@pytest.fixture(scope="session")
def sqlite(tmp_path_factory: pytest.TempPathFactory) -> backends.Sqlite:
    return backends.Sqlite(tmp_path_factory.mktemp("sqlite"))


@pytest.fixture(scope="session")
def postgres(pytestconfig: pytest.Config) -> Iterator[backends.Postgres]:
    started = _started(pytestconfig, "PostgreSQL", backends.Postgres)
    yield started
    started.close()


@pytest.fixture(scope="session")
def s3(pytestconfig: pytest.Config) -> Iterator[backends.S3]:
    started = _started(pytestconfig, "an S3 API", backends.S3)
    yield started
    started.close()


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the caller is seen, and nothing is written outside ``tmp_path``."""
    for name in os.environ:
        if name.startswith(("RUNWIRE_", "AWS_", "MLFLOW_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("RUNWIRE_DIR", str(tmp_path / "journals"))
    monkeypatch.chdir(tmp_path)


@pytest.fixture(autouse=True)
def no_thread_left(own_environment: None) -> Iterator[None]:
    """Whoever starts a thread ends it (daemons of libraries aside)."""
    before = set(threading.enumerate())
    yield
    for thread in set(threading.enumerate()) - before:
        if not thread.daemon:
            thread.join(timeout=120)
            assert not thread.is_alive(), f"{thread} was left running"


@contextmanager
def _metadata(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[str]:
    with request.getfixturevalue(kind).database(folder / "metadata") as url:
        yield url


@contextmanager
def _blobs(request: pytest.FixtureRequest, kind: str, folder: Path) -> Iterator[str]:
    if kind == "file":
        yield str(folder / "metadata" / "runwire.blobs")  # where local mode has it, too
        return
    server: backends.S3 = request.getfixturevalue("s3")
    with server.bucket() as url:
        yield url


@pytest.fixture
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """The server's database with its schema: SQLite, and PostgreSQL where chosen."""
    with _metadata(request, request.param, tmp_path) as url, closing(Database(url)) as opened:
        yield opened


@pytest.fixture
def backend(
    request: pytest.FixtureRequest, tmp_path: Path, own_environment: None
) -> Iterator[backends.Backend]:
    """The database and blob store of one combination, for tests that start servers."""
    combination: backends.Combination = request.param
    with (
        _metadata(request, combination.metadata, tmp_path) as metadata_url,
        _blobs(request, combination.blobs, tmp_path) as blobs_url,
    ):
        yield backends.Backend(
            combination.name,
            metadata_url,
            blobs_url,
            combination.transport,
            backends.lacks(combination),
        )


@pytest.fixture
def server(backend: backends.Backend, monkeypatch: pytest.MonkeyPatch) -> Iterator[backends.Server]:
    """A server on the backend: over a socket, or local mode in whoever asks for its URI."""
    if backend.transport == "in-process":
        monkeypatch.setenv("RUNWIRE_ARTIFACTS_DESTINATION", backend.blobs_url)
        yield backends.Server(backend.metadata_url)
        return
    with backends.grpc_server(backend) as uri:
        yield backends.Server(uri)


@pytest.fixture
def client(server: backends.Server) -> Iterator[runwire.Client]:
    with runwire.Client(server.uri) as opened:
        yield opened


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were skipped, and how many for each reason."""
    reports = terminalreporter.stats.get("skipped", [])
    reasons = Counter(str(report.longrepr[2]).removeprefix("Skipped: ") for report in reports)
    for reason, count in reasons.most_common():
        terminalreporter.write_line(f"skipped {count}: {reason}")
