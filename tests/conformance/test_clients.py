"""Each client as a package: it builds, tests itself, installs, and its README is right."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import runwire

from conformance import matrix
from conformance.languages import LANGUAGES, Language, RunnerProcess, built
from conformance.stage import Stage

EXAMPLE_LINES = 20
SOURCES = {".cc", ".go", ".java", ".js", ".mjs", ".rs", ".ts"}


@pytest.fixture(params=LANGUAGES, ids=lambda language: language.name)
def language(request: pytest.FixtureRequest) -> Language:
    found: Language = request.param
    built(found)
    return found


def test_tests_of_a_language_are_on_one_worker(
    language: Language, request: pytest.FixtureRequest
) -> None:
    # Two of them at a time would replace under one another what they have built, and run.
    assert "PYTEST_XDIST_WORKER" not in os.environ or request.node.nodeid.endswith(
        f"@{language.name}"
    )


def test_client_passes_its_own_tests_and_installs_into_an_empty_project(
    language: Language,
) -> None:
    language.run("test")


def test_example_of_the_readme_is_the_one_that_runs(language: Language) -> None:
    readme = (language.folder_path / "README.md").read_text("utf-8")
    example = next(re.finditer(r"```\w+\n(.*?)```", _after(readme, "## Example"), re.DOTALL))[1]
    sources = [path.read_text("utf-8") for path in _sources(language.folder_path / "example")]
    assert any(example.strip() in source for source in sources)
    assert len(example.strip().splitlines()) <= 2 * EXAMPLE_LINES


def test_example_of_the_readme_logs_a_run(language: Language, theatre: Stage) -> None:
    language.run("example", RUNWIRE_TRACKING_URI=theatre.web_uri)
    with runwire.Client(theatre.direct_uri) as client:
        (found,) = client.runs.search(filter=f"tags.language = '{language.name}'")
        run = client.runs.get(found.run_id)
        series = client.metrics.read([run.run_id], ["loss"])[run.run_id, "loss"]
    assert len(series.steps) == 100
    assert run.params["lr"] == "0.001"
    assert run.state == run.STATE_FINISHED


def _after(text: str, heading: str) -> str:
    return text.split(heading, 1)[1]


def _sources(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.suffix in SOURCES]


def test_table_of_the_readme_says_what_the_client_can_do(
    runner: RunnerProcess, request: pytest.FixtureRequest
) -> None:
    name = request.node.callspec.params["runner"]
    offered = set(runner.about["capabilities"])
    assert matrix.written(name) == matrix.marks(offered), "python -m conformance.matrix"
