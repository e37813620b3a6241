"""Arguments and environment become settings, or a clear message."""

from __future__ import annotations

import pytest
from runwire_server import settings
from runwire_server.settings import Settings


def test_defaults_are_a_folder_here() -> None:
    found = settings.read([], {})
    assert found == Settings()
    assert found.backend_store_uri == "sqlite:///runwire-data/runwire.db"


def test_argument_beats_environment_beats_default() -> None:
    environ = {"RUNWIRE_PORT": "1234", "RUNWIRE_GRPC_PORT": "2345"}
    found = settings.read(["--port", "1"], environ)
    assert (found.port, found.grpc_port, found.host) == (1, 2345, "127.0.0.1")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "x"], "invalid int value"),
        (["--port", "70000"], "not a port"),
        (["--workers", "0"], "at least 1"),
        (["--workers", "2"], "needs PostgreSQL"),
        (["--lost-after-s", "5"], "0, or at least 60"),
        (["--direct-downloads-s", "-1"], "0 to 604800"),
        (["--direct-downloads-s", "604801"], "0 to 604800"),
        (["--log-format", "xml"], "invalid choice"),
        (["--nonsense"], "unrecognized arguments"),
    ],
)
def test_wrong_argument_ends_with_code_2_and_says_what(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        settings.read(arguments, {})
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_every_setting_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings.read(["--help"], {})
    text = capsys.readouterr().out
    assert "--backend-store-uri" in text
    assert "RUNWIRE_GRPC_PORT" in text


@pytest.mark.parametrize(
    ("uri", "database", "blobs"),
    [
        ("/a/b", "sqlite:////a/b/runwire.db", "/a/b/blobs"),
        ("file:///a/b", "sqlite:////a/b/runwire.db", "/a/b/blobs"),
        ("sqlite:////a/x.db", "sqlite:////a/x.db", "/a/x.blobs"),
        ("postgresql://h/d", "postgresql://h/d", "runwire-data/blobs"),
    ],
)
def test_local_mode_keeps_artifacts_beside_the_data(uri: str, database: str, blobs: str) -> None:
    found = settings.local(uri, {})
    assert (found.backend_store_uri, found.artifacts_destination) == (database, blobs)


def test_local_mode_takes_another_artifacts_destination_from_the_environment() -> None:
    found = settings.local("/a", {"RUNWIRE_ARTIFACTS_DESTINATION": "s3://b/p"})
    assert found.artifacts_destination == "s3://b/p"
