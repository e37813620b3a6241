"""What tests of journals and their delivery share."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from runwire._call import Caller
from runwire._connect import Connection, connect
from runwire._journal import Journal
from runwire._run import Runs

from client.deliveries import OFFLINE


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Connection]:
    """The real services on SQLite and a folder, for the whole module."""
    with closing(connect(tmp_path_factory.mktemp("data"))) as opened:
        yield opened


@pytest.fixture
def runs(connection: Connection) -> Runs:
    return Runs(Caller(connection))


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """One that nobody sends."""
    opened = Journal.open(tmp_path / "journals", "unused", settings=OFFLINE)
    yield opened
    opened.close()
