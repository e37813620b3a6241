"""Tracking URIs, discovery over the web port, and what a user is told when they are wrong."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest
import runwire
from drills.processes import eventually
from ports import lasting_port
from runwire import _connect
from runwire._connect import connect, resolve_uri
from runwire._discover import discover
from runwire._target import target
from runwire._uri import data_folder, grpc_endpoints, is_local, shown
from runwire_server.app import App
from runwire_server.settings import Settings
from runwire_server.transport import GrpcServer

HERE = "{cwd}"


@pytest.mark.parametrize(
    ("given", "resolved"),
    [
        (None, f"{HERE}/runwire-data"),
        ("", f"{HERE}/runwire-data"),
        ("data", f"{HERE}/data"),
        ("./data/x", f"{HERE}/data/x"),
        ("/srv/data", "/srv/data"),
        (Path("data"), f"{HERE}/data"),
        ("file:data", f"{HERE}/data"),
        ("file:/srv/data", "/srv/data"),
        ("file:///srv/my%20data", "/srv/my data"),
        ("file://localhost/srv", "/srv"),
        ("sqlite:///x.db", f"sqlite:///{HERE}/x.db"),
        ("sqlite:////srv/x.db", "sqlite:////srv/x.db"),
        ("postgresql://u:p@h/d", "postgresql://u:p@h/d"),
        ("postgresql+psycopg://h/d", "postgresql+psycopg://h/d"),
        ("grpc://host:5001", "grpc://host:5001"),
        ("grpcs://host", "grpcs://host"),
        ("grpc://a:5001,b", "grpc://a:5001,b"),
        ("http://host:5000/", "http://host:5000"),
        ("https://host/team/runwire", "https://host/team/runwire"),
    ],
)
def test_uri_is_resolved_to_its_full_form(
    given: str | Path | None, resolved: str, tmp_path: Path
) -> None:
    assert resolve_uri(given) == resolved.replace(HERE, str(tmp_path))
    assert resolve_uri(resolve_uri(given)) == resolve_uri(given)


@pytest.mark.parametrize(
    ("given", "advice"),
    [
        ("localhost:5000", "did you mean http://localhost:5000"),
        ("ftp://host", "no scheme of a tracking URI"),
        ("mysql://h/d", "PostgreSQL and SQLite"),
        ("databricks://profile", "Databricks"),
        ("sqlite://", "sqlite:///FILE"),
        ("sqlite:///:memory:", "sqlite:///FILE"),
        ("http://", "http://HOST:5000"),
        ("grpc://host:port", "grpc://HOST:5001"),
        ("grpc://host:5001/path", "no path"),
        ("grpc://a:5001,", "names no host"),
        ("http://a:5000,b:5000", "grpc://HOST:5001,HOST:5001"),
        ("file://elsewhere/srv", "another host"),
    ],
)
def test_uri_that_can_never_work_is_refused_with_advice(given: str, advice: str) -> None:
    with pytest.raises(runwire.InvalidArgumentError) as caught:
        runwire.Client(given)
    assert advice in str(caught.value)
    assert caught.value.metadata["field"] == "tracking_uri"


def test_environment_gives_the_uri(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWIRE_TRACKING_URI", "grpc://there:1")
    assert connect().uri == "grpc://there:1"
    assert connect("grpc://here:1").uri == "grpc://here:1"


def test_local_uris_are_local_and_know_their_folder() -> None:
    assert [is_local(uri) for uri in ("/d", "sqlite:////d/x.db", "postgresql://h/d")] == [True] * 3
    assert [is_local(uri) for uri in ("grpc://h", "https://h")] == [False] * 2
    assert data_folder("/d") == Path("/d")
    assert data_folder("sqlite:////d/x.db") == Path("/d")
    assert data_folder("postgresql://h/d") is None


def test_endpoints_of_a_grpc_uri_have_ports() -> None:
    assert grpc_endpoints("grpc://host") == (["host:5001"], False)
    assert grpc_endpoints("grpcs://host:443") == (["host:443"], True)
    assert grpc_endpoints("grpc://[::1]:7") == (["[::1]:7"], False)
    assert grpc_endpoints("grpcs://a,b:6,[::1]") == (["a:5001", "b:6", "[::1]:5001"], True)


@pytest.mark.parametrize(
    ("endpoints", "found"),
    [
        (["any.example:5001"], "any.example:5001"),
        (["127.0.0.1:1", "127.0.0.2:2"], "ipv4:127.0.0.1:1,127.0.0.2:2"),
        (["127.0.0.1:1", "[::1]:2"], "ipv6:[::ffff:127.0.0.1]:1,[::1]:2"),
        (["127.0.0.1:1", "no..name:2"], "ipv4:127.0.0.1:1"),
    ],
)
def test_several_servers_are_one_target(endpoints: list[str], found: str) -> None:
    assert target(endpoints) == found


def test_servers_that_all_have_no_address_are_unavailable() -> None:
    with pytest.raises(runwire.UnavailableError, match=r"a\.\.b:1 .*c\.\.d:2"):
        target(["a..b:1", "c..d:2"])


def test_password_is_not_shown() -> None:
    assert shown("postgresql://u:s3cret@h/d") == "postgresql://u:***@h/d"
    assert "s3cret" not in repr(runwire.Client("postgresql://u:s3cret@h/d"))


# Local mode -------------------------------------------------------------------------------


def test_making_a_client_opens_nothing(tmp_path: Path) -> None:
    runwire.Client().close()
    runwire.Client("http://127.0.0.1:1").close()
    assert list(tmp_path.iterdir()) == []


def test_folder_is_made_and_holds_the_data(tmp_path: Path) -> None:
    with runwire.Client("data") as client:
        run_id = client.runs.create(experiment_id="0").run_id
        client.artifacts.put(run_id, b"bytes", "a.bin")
    assert (tmp_path / "data" / "runwire.db").is_file()
    with runwire.Client(tmp_path / "data") as client:
        assert client.artifacts.download(run_id, "a.bin").read() == b"bytes"


def test_relative_uri_means_the_place_where_it_was_given(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with runwire.Client("sqlite:///x.db") as client:
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        client.experiments.create("here")
    assert (tmp_path / "x.db").is_file()
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_file_where_a_folder_should_be_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("not a folder")
    with runwire.Client("data") as client, pytest.raises(runwire.RunwireError) as caught:
        client.server_info()
    assert str(tmp_path / "data") in str(caught.value)


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_read_only_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir(mode=0o500)
    with runwire.Client("data") as client, pytest.raises(runwire.UnavailableError) as caught:
        client.server_info()
    assert str(tmp_path / "data") in str(caught.value)


def test_damaged_database_is_told_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"no database at all, whatever its name says" * 50)
    before = (tmp_path / "x.db").read_bytes()
    with runwire.Client("sqlite:///x.db") as client, pytest.raises(runwire.RunwireError) as caught:
        client.server_info()
    assert "x.db" in str(caught.value)
    assert (tmp_path / "x.db").read_bytes() == before


def test_local_mode_without_the_server_says_what_to_install() -> None:
    program = (
        "import sys\n"
        "sys.modules['sqlalchemy'] = None\n"
        "import runwire\n"
        "try:\n"
        "    runwire.Client('x').server_info()\n"
        "except runwire.UnavailableError as error:\n"
        "    print(error)\n"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert "pip install 'runwire[server]'" in told
    assert "sqlalchemy" in told


def test_fork_support_of_grpc_is_on_before_its_first_import() -> None:
    program = (
        "import os, sys, runwire\n"
        "assert 'grpc' not in sys.modules\n"
        "client = runwire.Client('grpc://127.0.0.1:1')\n"
        "assert os.environ['GRPC_ENABLE_FORK_SUPPORT'] == '1'\n"
        "from grpc._cython import cygrpc\n"
        "assert cygrpc.is_fork_support_enabled()\n"
    )
    environment = {k: v for k, v in os.environ.items() if k != "GRPC_ENABLE_FORK_SUPPORT"}
    subprocess.run([sys.executable, "-c", program], check=True, env=environment)


# Discovery --------------------------------------------------------------------------------


@contextmanager
def web(answer: bytes, status: int = 200, seen: list[str] | None = None) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            if seen is not None:
                seen.append(self.path)
            self.send_response(status)
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: Any) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("endpoint", "target"),
    [
        ("grpc.example:6001", "grpc.example:6001"),
        (":6001", "127.0.0.1:6001"),
        ("0.0.0.0:6001", "127.0.0.1:6001"),
        ("[::]:6001", "127.0.0.1:6001"),
        ("[2001:db8::1]:6001", "[2001:db8::1]:6001"),
        ("", "127.0.0.1:5001"),
    ],
)
def test_grpc_endpoint_is_discovered_from_the_web_port(endpoint: str, target: str) -> None:
    seen: list[str] = []
    with web(json.dumps({"grpc_endpoint": endpoint}).encode(), seen=seen) as uri:
        assert discover(f"{uri}/team") == (target, False)
    assert seen == ["/team/api/v1/server"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [(b"<html>mlflow</html>", 200), (b"Not Found", 404), (b"[]", 200), (b'{"a": 1}', 200)],
)
def test_web_server_that_is_not_ours_is_told(answer: bytes, status: int) -> None:
    with (
        web(answer, status) as uri,
        runwire.Client(uri) as client,
        pytest.raises(runwire.InvalidArgumentError) as caught,
    ):
        client.server_info()
    assert uri in str(caught.value)
    assert "mlflow" in str(caught.value)


def test_web_server_that_is_overloaded_is_unavailable() -> None:
    with web(b"", 503) as uri, pytest.raises(runwire.UnavailableError, match="503"):
        discover(uri)


def test_web_port_where_nothing_answers_is_unavailable() -> None:
    with (
        runwire.Client("http://127.0.0.1:1") as client,
        pytest.raises(runwire.UnavailableError, match="5000 unless told otherwise"),
    ):
        client.server_info()


def test_client_talks_to_a_server_by_its_web_address(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "runwire_server", "--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(
        [*command, "--log-level", "warning"], stdout=subprocess.PIPE, text=True
    ) as server:
        try:
            assert server.stdout is not None
            uri = server.stdout.readline().split()[-1]
            assert uri.startswith("http://")
            with runwire.Client(uri) as client:
                assert client.server_info().version == runwire.__version__
        finally:
            server.terminate()


def test_tls_uses_the_given_authorities(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RUNWIRE_CA_FILE", str(tmp_path / "none.pem"))
    with pytest.raises(runwire.InvalidArgumentError, match="RUNWIRE_CA_FILE"):
        _ = _connect.connect("grpcs://127.0.0.1:1").channel


# Several servers --------------------------------------------------------------------------


@contextmanager
def served(app: App, port: int = 0) -> Iterator[tuple[int, list[str]]]:
    """One of several servers: its port, and the calls that came to it."""
    calls: list[str] = []
    settings = Settings(grpc_port=port, unary_threads=4)
    server = GrpcServer(app, settings, lambda method, *_: calls.append(method))
    server.start()
    try:
        yield server.port, calls
    finally:
        server.stop(grace_s=0)


def test_calls_go_to_all_servers_in_turn_and_past_one_that_is_gone(tmp_path: Path) -> None:
    with closing(App(f"sqlite:///{tmp_path / 'x.db'}", str(tmp_path / "blobs"))) as app:
        with served(app) as (ada, of_ada):
            with served(app, lasting_port()) as (bob, of_bob):
                client = runwire.Client(f"grpc://127.0.0.1:{ada},127.0.0.1:{bob}")
                eventually(lambda: client.server_info() and of_ada and of_bob, "both are asked")
            # Whatever its channel did before: it is not pinned to the one that is gone.
            before = len(of_ada)
            for _ in range(20):
                client.server_info()
            assert len(of_ada) == before + 20
            with served(app, bob) as (_, of_bob):
                eventually(lambda: client.server_info() and of_bob, "it is asked again")
        client.close()
