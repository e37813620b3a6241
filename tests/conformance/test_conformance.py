"""Every client does what the scenarios say, against a real server and over a bad network."""

from __future__ import annotations

import pytest
from runwire.v1.error_pb2 import ErrorReason

from conformance import play
from conformance.languages import RunnerProcess
from conformance.stage import Stage


@pytest.mark.parametrize("name", play.names())
def test_client_does_what_the_scenario_says(
    runner: RunnerProcess, theatre: Stage, answers_uris: dict[str, str], tls_uri: str, name: str
) -> None:
    told = play.scenario(name)
    if missing := set(told["needs"]) - set(runner.about["capabilities"]):
        pytest.skip(f"{runner.about['language']} offers no {', '.join(sorted(missing))}")
    play.Play(
        runner, theatre, answers_uri=answers_uris[runner.about["transport"]], tls_uri=tls_uri
    ).run(told)


def test_every_reason_is_in_the_scenario_of_errors() -> None:
    told = {step["error"]["reason"] for step in play.scenario("errors")["steps"][1:]}
    reasons = {name.removeprefix("ERROR_REASON_") for name in ErrorReason.DESCRIPTOR.values_by_name}
    assert told == reasons - {"UNSPECIFIED"}
