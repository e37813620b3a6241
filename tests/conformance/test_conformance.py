"""Every client does what the scenarios say, against a real server and over a bad network."""

from __future__ import annotations

import getpass
from collections.abc import Iterator
from pathlib import Path

import pytest
from conformance import play
from conformance.answers import answering
from conformance.certificates import Certificates
from conformance.languages import LANGUAGES, WEB, Language, RunnerProcess
from conformance.stage import Stage, stage
from runwire.v1.error_pb2 import ErrorReason

ALL = {"python": None, **{one.name: one for one in (*LANGUAGES, WEB)}}


@pytest.fixture(scope="module")
def theatre(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with stage(tmp_path_factory.mktemp("conformance")) as made:
        yield made


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Certificates:
    return Certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture(scope="module")
def answers_uri() -> Iterator[str]:
    with answering() as uri:
        yield uri


@pytest.fixture(scope="module")
def tls_uri(certificates: Certificates) -> Iterator[str]:
    with answering(certificates.credentials()) as uri:
        yield uri


@pytest.fixture(scope="module", params=ALL)
def runner(
    request: pytest.FixtureRequest,
    certificates: Certificates,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RunnerProcess]:
    language: Language | None = ALL[request.param]
    if language is not None:
        language.require()
        language.run("setup")
    made = RunnerProcess(
        language,
        RUNWIRE_CA_FILE=str(certificates.authority),
        RUNWIRE_DIR=str(tmp_path_factory.mktemp("journals")),
        RUNWIRE_USER=getpass.getuser(),
        RUNWIRE_QUIET="1",
    )
    yield made
    made.close()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", play.names())
def test_client_does_what_the_scenario_says(
    runner: RunnerProcess, theatre: Stage, answers_uri: str, tls_uri: str, name: str
) -> None:
    told = play.scenario(name)
    if missing := set(told["needs"]) - set(runner.about["capabilities"]):
        pytest.skip(f"{runner.about['language']} offers no {', '.join(sorted(missing))}")
    play.Play(runner, theatre, answers_uri=answers_uri, tls_uri=tls_uri).run(told)


def test_every_reason_is_in_the_scenario_of_errors() -> None:
    told = {step["error"]["reason"] for step in play.scenario("errors")["steps"][1:]}
    reasons = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.keys()}
    assert told == reasons - {"UNSPECIFIED"}
