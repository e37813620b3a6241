"""The stage and the runners: one of each for the whole suite."""

from __future__ import annotations

import getpass
from collections.abc import Iterator

import pytest

from conformance.answers import answering, answering_on_the_web
from conformance.certificates import Certificates
from conformance.languages import RUNNERS, Language, RunnerProcess, built
from conformance.stage import Stage, stage

BUILT_S = 1800
ALL = {"python": None, **{one.name: one for one in RUNNERS}}


@pytest.hookimpl(tryfirst=True)  # before xdist looks for its marks
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Two of a language at a time would build it under each other."""
    folders = {one.name: one.folder or one.name for one in RUNNERS}
    for item in items:
        if isinstance(item, pytest.Function) and hasattr(item, "callspec"):
            params = item.callspec.params
            if found := params.get("runner") or params.get("language"):
                name = str(getattr(found, "name", found))
                item.add_marker(pytest.mark.xdist_group(folders.get(name, name)))
                # The first one builds the client, in a fresh clone from nothing.
                item.add_marker(pytest.mark.timeout(BUILT_S), append=False)


@pytest.fixture(scope="session")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("conformance"), "--cors-origins", "*") as made:
        yield made


@pytest.fixture(scope="session")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="session")
def answers_uris() -> Iterator[dict[str, str]]:
    """By transport."""
    with answering() as grpc, answering_on_the_web() as web:
        yield {"grpc": grpc, "web": web}


@pytest.fixture(scope="session")
def tls_uri(certificates: Certificates) -> Iterator[str]:
    with answering(certificates.credentials()) as uri:
        yield uri


@pytest.fixture(scope="session", params=ALL)
def runner(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunnerProcess]:
    language: Language | None = ALL[request.param]
    if language is not None:
        built(language)
    made = RunnerProcess(
        language,
        RUNWIRE_CA_FILE=str(certificates.authority),
        RUNWIRE_DIR=str(tmp_path_factory.mktemp("journals")),
        RUNWIRE_USER=getpass.getuser(),
        RUNWIRE_QUIET="1",
    )
    yield made
    made.close()
