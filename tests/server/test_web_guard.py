"""Who may talk to the web port: names, origins, and what a browser is told of them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from runwire_server.app import App
from runwire_server.settings import Settings
from runwire_server.web.pages import OPEN

from server.web_client import Response, ask, web_port

INFO = "/runwire.v1.ServerService/GetServerInfo"
JSON = {"content-type": "application/json"}


@pytest.fixture
def app(tmp_path: Path) -> Iterator[App]:
    with closing(App(f"sqlite:///{tmp_path / 'x.db'}", str(tmp_path / "blobs"))) as made:
        yield made


def _status(port: int, **headers: str) -> int:
    return ask(port, INFO, b"{}", JSON | headers).status


@pytest.mark.parametrize(
    ("host", "allowed_hosts", "takes", "refuses"),
    [
        (
            "127.0.0.1",
            "",
            ["localhost:5000", "127.0.0.1", "127.1.2.3:80", "[::1]:5000", "LOCALHOST", "localhost.",
             "a.localhost"],
            ["evil.example", "localhost.evil.example", "10.0.0.1", "127.0.0.1.evil.example", "",
             "[::1", "evil.example:80@localhost:x", "localhost@evil.example"],
        ),
        ("::1", "", ["[::1]:5000", "localhost"], ["evil.example"]),
        (
            "127.0.0.1",
            "runs.example.com, *.lab.example",
            ["runs.example.com:443", "RUNS.example.com.", "a.b.lab.example", "localhost"],
            ["example.com", "lab.example", "evillab.example", "runs.example.com.evil.example"],
        ),
        ("0.0.0.0", "", ["anything.example", "10.1.2.3:5000", "runwire.svc.cluster.local"], []),
        ("0.0.0.0", "runs.example.com", ["runs.example.com", "localhost"], ["evil.example"]),
        ("10.0.0.5", "runs.example.com", ["10.0.0.5:5000", "runs.example.com"], ["10.0.0.6"]),
        ("127.0.0.1", "*", ["anything.example"], []),
    ],
)  # fmt: skip
def test_names_that_a_server_answers_to(
    host: str, allowed_hosts: str, takes: list[str], refuses: list[str], app: App
) -> None:
    with web_port(app, host=host, allowed_hosts=allowed_hosts) as port:
        assert {name: _status(port, Host=name) for name in takes} == dict.fromkeys(takes, 200)
        assert {name: _status(port, Host=name) for name in refuses} == dict.fromkeys(refuses, 403)


def test_probes_and_discovery_answer_by_whatever_name_and_nothing_else_does(app: App) -> None:
    with web_port(app) as port:
        for path in OPEN:
            assert ask(port, path, headers={"Host": "10.2.3.4:5000"}).status == 200
        for path in ("/", "/openapi.json", "/nonsense"):
            refused = ask(port, path, headers={"Host": "evil.example"})
            assert refused.status == 403
            assert b"--allowed-hosts" in refused.body


def test_pages_of_other_origins_are_refused_unless_they_were_named(app: App) -> None:
    with web_port(app) as port:
        own = f"127.0.0.1:{port}"
        assert _status(port, Host=own, Origin=f"http://{own}") == 200
        assert _status(port, Host="localhost", Origin="http://localhost:80") == 200
        assert _status(port, Host="localhost", Origin="https://localhost") == 200  # TLS before us
        for origin in (
            *("http://evil.example", f"http://127.0.0.1:{port + 1}", "null", "", "localhost"),
            *(f"http://localhost:{port}", f"file://{own}", "http://[::1", "http://127.0.0.1:x"),
        ):
            assert _status(port, Host=own, Origin=origin) == 403, origin
        assert b"--cors-origins" in ask(port, INFO, b"{}", {"Origin": "http://evil.example"}).body


def _preflight(port: int, origin: str) -> Response:
    headers = {
        "Origin": origin,
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "connect-protocol-version, content-type, x-trace",
    }
    return ask(port, INFO, headers=headers, verb="OPTIONS")


def test_cors_is_off_unless_asked_for(app: App) -> None:
    with web_port(app) as port:
        answer = _preflight(port, "https://app.example")
        assert answer.status == 403
        own = _preflight(port, f"http://127.0.0.1:{port}")
        for one in (answer, own, ask(port, "/")):
            assert not [name for name in one.headers if name.startswith("access-control")]


def test_named_origins_pass_the_preflight_and_may_read_trailers(app: App) -> None:
    with web_port(app, cors_origins="https://app.example, http://localhost:5173") as port:
        for origin in ("https://app.example", "http://localhost:5173"):
            answer = _preflight(port, origin)
            assert answer.status == 200
            assert answer.headers["access-control-allow-origin"] == origin
            assert "POST" in answer.headers["access-control-allow-methods"]
            allowed = answer.headers["access-control-allow-headers"]
            assert "connect-protocol-version" in allowed
            assert "x-trace" in allowed
            real = ask(port, INFO, b"{}", JSON | {"Origin": origin})
            assert (real.status, real.headers["access-control-allow-origin"]) == (200, origin)
            assert "grpc-status" in real.headers["access-control-expose-headers"]
            assert "access-control-allow-credentials" not in real.headers
        assert _preflight(port, "https://evil.example").status == 403
        assert _status(port, Origin="https://evil.example") == 403
        assert _status(port, Origin="https://app.example", Host="evil.example") == 403


def test_all_origins_may_be_let_in(app: App) -> None:
    with web_port(app, cors_origins="*") as port:
        assert _preflight(port, "https://any.example").status == 200
        assert _status(port, Origin="null") == 200


@pytest.mark.parametrize("origin", ["app.example", "https://app.example/", "ftp://x", "https://"])
def test_origin_that_no_browser_sends_is_told_at_the_start(origin: str) -> None:
    with pytest.raises(ValueError, match="--cors-origins"):
        Settings(cors_origins=f"https://fine.example,{origin}")
