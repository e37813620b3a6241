"""A real, small training job: a two-layer network in numpy on scikit-learn's digits.

Everything it tells Runwire is what any job would: params, some 25 metrics at every
step, tags, a confusion matrix as a picture, and the model file.

    python scripts/train_digits.py --learning-rate 0.1 --hidden 32
"""

from __future__ import annotations

import argparse
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import runwire
from numpy.typing import NDArray
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

Array = NDArray[np.float64]
Model = dict[str, Array]


@dataclass(frozen=True)
class Trial:
    """The hyperparameters of one run."""

    learning_rate: float
    hidden: int
    steps: int = 400
    batch: int = 128
    seed: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--learning-rate", type=float, default=0.1)
    parser.add_argument("--hidden", type=int, default=32)
    parser.add_argument("--steps", type=int, default=400)
    runwire.set_experiment("digits")
    print(train(Trial(**vars(parser.parse_args()))))


def train(trial: Trial) -> str:
    """Train one network, log it as a run of the active experiment, return its run_id."""
    x_train, x_test, y_train, y_test = _data()
    rng = np.random.default_rng(trial.seed)
    model = _new_model(rng, trial.hidden)
    with runwire.start_run(run_name=f"hidden-{trial.hidden}-lr-{trial.learning_rate}") as run:
        runwire.log_params(vars(trial))
        runwire.set_tags({"dataset": "digits", "framework": "numpy"})
        for step in range(trial.steps):
            rows = rng.integers(0, len(x_train), trial.batch)
            rate = trial.learning_rate * 0.5 * (1 + np.cos(np.pi * step / trial.steps))
            loss, gradients = _gradients(model, x_train[rows], y_train[rows])
            for name, gradient in gradients.items():
                model[name] -= rate * gradient
            runwire.log_metrics(
                {
                    "train/loss": loss,
                    "learning_rate": rate,
                    **{
                        f"gradient_norm/{k}": float(np.linalg.norm(g)) for k, g in gradients.items()
                    },
                    **{f"weight_norm/{k}": float(np.linalg.norm(w)) for k, w in model.items()},
                    **_evaluate(model, x_test, y_test),
                },
                step=step,
            )
        _log_results(model, x_test, y_test)
    return str(run.info.run_id)


def _data() -> tuple[Array, Array, NDArray[np.int64], NDArray[np.int64]]:
    digits = load_digits()
    x_train, x_test, y_train, y_test = train_test_split(
        digits.data / 16.0, digits.target, test_size=0.25, random_state=0
    )
    return x_train, x_test, y_train, y_test


def _new_model(rng: np.random.Generator, hidden: int) -> Model:
    return {
        "w1": rng.normal(0, 1 / 8, (64, hidden)),
        "b1": np.zeros(hidden),
        "w2": rng.normal(0, 1 / np.sqrt(hidden), (hidden, 10)),
        "b2": np.zeros(10),
    }


def _forward(model: Model, x: Array) -> tuple[Array, Array]:
    """Hidden activations (n, hidden) and class probabilities (n, 10)."""
    hidden = np.maximum(0, x @ model["w1"] + model["b1"])
    scores = hidden @ model["w2"] + model["b2"]
    exp = np.exp(scores - scores.max(axis=1, keepdims=True))
    return hidden, exp / exp.sum(axis=1, keepdims=True)


def _loss(probabilities: Array, y: NDArray[np.int64]) -> float:
    """Mean cross-entropy in nats."""
    return float(-np.log(probabilities[np.arange(len(y)), y] + 1e-12).mean())


def _gradients(model: Model, x: Array, y: NDArray[np.int64]) -> tuple[float, Model]:
    hidden, probabilities = _forward(model, x)
    loss = _loss(probabilities, y)
    error = probabilities
    error[np.arange(len(y)), y] -= 1
    error /= len(y)
    back = (error @ model["w2"].T) * (hidden > 0)
    return loss, {
        "w1": x.T @ back,
        "b1": back.sum(axis=0),
        "w2": hidden.T @ error,
        "b2": error.sum(axis=0),
    }


def _evaluate(model: Model, x: Array, y: NDArray[np.int64]) -> dict[str, float]:
    _, probabilities = _forward(model, x)
    right = probabilities.argmax(axis=1) == y
    recalls = {f"test/recall/{d}": float(right[y == d].mean()) for d in range(10)}
    return {"test/loss": _loss(probabilities, y), "test/accuracy": float(right.mean()), **recalls}


def _log_results(model: Model, x: Array, y: NDArray[np.int64]) -> None:
    _, probabilities = _forward(model, x)
    runwire.log_figure(_confusion_figure(y, probabilities.argmax(axis=1)), "confusion_matrix.png")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "weights.npz"
        np.savez(path, **model)  # type: ignore[arg-type] # numpy types all names as allow_pickle
        runwire.log_artifact(str(path), artifact_path="model")
    runwire.log_dict({"inputs": [64], "classes": 10}, "model/signature.json")


def _confusion_figure(y: NDArray[np.int64], predicted: NDArray[np.int64]) -> Any:
    from matplotlib.figure import Figure

    counts = np.zeros((10, 10), dtype=int)
    np.add.at(counts, (y, predicted), 1)
    figure = Figure(figsize=(5, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="predicted", ylabel="digit", title="Test set")
    axes.imshow(counts, cmap="Blues")
    for (row, column), count in np.ndenumerate(counts):
        axes.text(column, row, str(count), ha="center", va="center", fontsize=8)
    axes.set_xticks(range(10))
    axes.set_yticks(range(10))
    return figure


if __name__ == "__main__":
    main()
