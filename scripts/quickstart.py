"""From nothing to a registered model in half a minute: what scripts/quickstart runs."""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import runwire
from train_digits import Trial, train

TRIALS = [
    Trial(learning_rate=0.05, hidden=16),
    Trial(learning_rate=0.3, hidden=32),
    Trial(learning_rate=1.0, hidden=64),
]
BARS = "▁▂▃▄▅▆▇█"
MODEL = "digits"


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/quickstart", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="keep the server up until Ctrl-C")
    parser.add_argument("--data", default="runwire-data", help="folder for it all (%(default)s)")
    arguments = parser.parse_args()
    with _server(Path(arguments.data), arguments.serve) as uri:
        print(f"1. A server is up at {uri}, its data in {arguments.data}/\n")
        runwire.set_tracking_uri(uri)
        runwire.set_experiment("quickstart")
        run_ids = _train_all()
        with runwire.Client(uri) as client:
            _show(client, run_ids)
        _look_further(uri if arguments.serve else arguments.data, run_ids[0])
        if arguments.serve:
            print("\nThe server stays up; Ctrl-C ends it.")
            _wait_for_interrupt()
    return 0


@contextmanager
def _server(data: Path, serve: bool) -> Iterator[str]:
    """A server process on free ports (with --serve the usual ones), stopped at the end."""
    command = [sys.executable, "-m", "runwire_server", "--log-level", "warning"]
    command += ["--backend-store-uri", f"sqlite:///{data / 'runwire.db'}"]
    command += ["--artifacts-destination", str(data / "blobs")]
    command += [] if serve else ["--port", "0", "--grpc-port", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            ready = server.stdout.readline().split() if server.stdout else []
            if not ready:
                raise SystemExit("the server did not start; its log is above")
            yield ready[-1]
        finally:
            server.terminate()


def _train_all() -> list[str]:
    print(f"2. Training {len(TRIALS)} models on scikit-learn's digits")
    run_ids = []
    for trial in TRIALS:
        start = time.perf_counter()
        run_ids.append(train(trial))
        seconds = time.perf_counter() - start
        print(f"   {trial.steps} steps in {seconds:.1f} s: {trial}")
    if not runwire.flush(timeout=60):
        raise SystemExit("not everything arrived within a minute; try `runwire doctor`")
    return run_ids


def _show(client: runwire.Client, run_ids: list[str]) -> None:
    runs = list(
        client.runs.search(
            experiment_ids=[client.experiments.get(name="quickstart").experiment_id],
            filter=f"attributes.run_id IN ({', '.join(repr(run_id) for run_id in run_ids)})",
            order_by="metrics.`test/accuracy` DESC",
            view="FULL",
        )
    )
    best = runs[0]
    version = client.models.create_version(
        MODEL,
        source_run_id=best.run_id,
        source_path="model",
        create_model=True,
        aliases=["champion"],
    )
    print("\n3. Read back, best first")
    print(f"   {'run':24} {'rate':>6} {'hidden':>6} {'test loss':>9} {'accuracy':>8}  train/loss")
    points = 0
    for run in runs:
        series = client.metrics.read([run.run_id])
        points += sum(len(each.steps) for each in series.values())
        print(
            f"   {run.name:24} {run.params['learning_rate']:>6} {run.params['hidden']:>6}"
            f" {run.metrics['test/loss']:>9.4f} {run.metrics['test/accuracy']:>8.4f}"
            f"  {sparkline(series[run.run_id, 'train/loss'].values)}"
        )
    print(f"\n4. {points:,} points streamed; {MODEL}@champion is version {version.version}")


def sparkline(values: object, width: int = 32) -> str:
    """A curve in one line of text: the mean of each of ``width`` stretches."""
    numbers = [float(value) for value in values]  # type: ignore[attr-defined]
    size = max(1, len(numbers) // width)
    means = [sum(numbers[i : i + size]) / size for i in range(0, size * width, size)]
    low, span = min(means), (max(means) - min(means)) or 1.0
    return "".join(BARS[int((mean - low) / span * (len(BARS) - 1))] for mean in means)


def _look_further(uri: str, run_id: str) -> None:
    command = f".venv/bin/runwire --tracking-uri {uri}"
    print(
        f"\n5. Look further\n"
        f"   {command} runs ls --experiment quickstart\n"
        f"   {command} runs show {run_id}\n"
        f"   {command} metrics show {run_id} train/loss\n"
        f"   {command} artifacts ls {run_id}\n"
        f"   {command} models show {MODEL}\n"
        f"   scripts/quickstart --serve     the same, and the server stays up"
    )


def _wait_for_interrupt() -> None:
    try:
        while True:
            time.sleep(3600)
    except KeyboardInterrupt:
        print()


if __name__ == "__main__":
    sys.exit(main())
