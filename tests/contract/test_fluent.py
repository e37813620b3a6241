"""Scripts as users write them, run as users run them: a process each, read back afterwards."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import runwire
from runwire.v1.run_pb2 import Run

TUTORIAL = """
import runwire as mlflow
mlflow.set_tracking_uri({uri!r})
mlflow.set_experiment("nyc-taxi-experiment")
with mlflow.start_run(run_name="testrun"):
    mlflow.set_tag("developer", "ana"); mlflow.log_param("alpha", 0.01)
    mlflow.log_metric("rmse", 6.3); mlflow.log_artifact("model.bin", artifact_path="models")
"""


@pytest.fixture(autouse=True)
def quiet(monkeypatch: pytest.MonkeyPatch, client: runwire.Client) -> None:
    monkeypatch.setenv("RUNWIRE_TRACKING_URI", client.tracking_uri)


def script(text: str, *, wait: bool = True) -> subprocess.CompletedProcess[str]:
    """Run it in a file of its own. ``wait``: until the server has what it logged."""
    file = Path("train.py")
    file.write_text(text + ("\nimport runwire\nassert runwire.flush(60)\n" if wait else ""))
    # Uploaders outlive the script and would hold a pipe open: what they say goes to a file.
    with Path("said.txt").open("w") as said:
        done = subprocess.run(
            [sys.executable, str(file)], stdout=said, stderr=said, text=True, timeout=120
        )
    done.stdout = Path("said.txt").read_text()
    return done


def only_run(client: runwire.Client) -> Run:
    (run,) = client.runs.search(view="FULL")
    return run


def test_tutorial_of_mlflow_runs_with_its_import_changed(client: runwire.Client) -> None:
    Path("model.bin").write_bytes(b"bytes")
    done = script(TUTORIAL.format(uri=client.tracking_uri))
    assert done.returncode == 0, done.stdout
    run = only_run(client)
    assert (run.name, run.state) == ("testrun", Run.STATE_FINISHED)
    assert (run.tags["developer"], run.params["alpha"]) == ("ana", "0.01")
    assert run.metrics["rmse"] == 6.3
    assert client.artifacts.download(run.run_id, "models/model.bin").read() == b"bytes"
    assert client.experiments.get(run.experiment_id).name == "nyc-taxi-experiment"
    assert Path(run.source.name).name == "train.py"
    assert run.source.kind == "script"


@pytest.mark.parametrize(
    ("end", "state", "code"),
    [
        ("", Run.STATE_FINISHED, 0),
        ("raise ValueError('boom')", Run.STATE_FAILED, 1),
        ("raise KeyboardInterrupt", Run.STATE_KILLED, -2),
        ("import sys; sys.exit(0)", Run.STATE_FINISHED, 0),
    ],
)
def test_run_that_is_left_open_ends_as_its_script_does(
    client: runwire.Client, end: str, state: int, code: int
) -> None:
    text = f"import runwire\nrunwire.log_metric('m', 1)\nassert runwire.flush(60)\n{end}\n"
    done = script(text, wait=False)
    assert done.returncode == code, done.stdout
    run_id = only_run(client).run_id
    deadline = time.monotonic() + 60  # its uploader outlives the script
    while client.runs.get(run_id).state != state and time.monotonic() < deadline:
        time.sleep(0.05)
    assert client.runs.get(run_id).state == state


def test_what_a_script_logged_is_there_though_it_ended_at_once(client: runwire.Client) -> None:
    run_id = "c" * 32
    client.runs.create(run_id=run_id)
    script(f"import runwire\nrunwire.log_metrics({{'m': 1}}, step=3, run_id={run_id!r})")
    assert dict(client.runs.get(run_id).metrics) == {"m": 1.0}


def test_spawned_processes_log_to_the_same_place_and_the_same_run(client: runwire.Client) -> None:
    done = script(
        "import multiprocessing, runwire\n"
        "def work(run, number):\n"
        "    run.log_metric('m', number, step=number)\n"
        "    assert runwire.flush(60)\n"
        "if __name__ == '__main__':\n"
        "    runwire.set_experiment('spawned')\n"
        "    with runwire.start_run() as run:\n"
        "        context = multiprocessing.get_context('spawn')\n"
        "        workers = [context.Process(target=work, args=(run, n)) for n in range(2)]\n"
        "        for one in workers: one.start()\n"
        "        for one in workers: one.join()\n"
        "        assert [one.exitcode for one in workers] == [0, 0]\n"
    )
    assert done.returncode == 0, done.stdout
    run = only_run(client)
    assert list(client.metrics.read(run.run_id)[run.run_id, "m"].steps) == [0, 1]


def test_old_habits_get_messages_and_the_script_goes_on(client: runwire.Client) -> None:
    done = script(
        "import runwire as mlflow\n"
        "mlflow.autolog()\n"
        "mlflow.start_run()\n"
        "mlflow.log_metric('m', 1)\n"
        "mlflow.end_run(run_name='late')\n"
        "try:\n"
        "    mlflow.sklearn.log_model(None, 'model')\n"
        "except AttributeError as error:\n"
        "    print(error)\n"
    )
    assert done.returncode == 0, done.stdout
    for told in ("records nothing", "run_name is ignored", "there are no flavours"):
        assert told in done.stdout
    assert only_run(client).state == Run.STATE_FINISHED


def test_commit_branch_and_remote_of_the_repository_are_recorded(client: runwire.Client) -> None:
    git = ["git", "-c", "user.name=a", "-c", "user.email=a@b", "-c", "init.defaultBranch=trunk"]
    environment = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    for command in (
        ["init", "-q"],
        ["remote", "add", "origin", "https://user:secret@git.example/team/taxi.git"],
        ["commit", "-q", "--allow-empty", "-m", "first"],
        ["pack-refs", "--all"],
    ):
        subprocess.run([*git, *command], check=True, env=environment)
    head = subprocess.run(
        ["git", "rev-parse", "HEAD"], check=True, capture_output=True, text=True, env=environment
    ).stdout.strip()
    assert script("import runwire\nrunwire.start_run()").returncode == 0
    source = only_run(client).source
    assert (source.git_commit, source.git_branch) == (head, "trunk")
    assert source.git_remote == "https://git.example/team/taxi.git"
