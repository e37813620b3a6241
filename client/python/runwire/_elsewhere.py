"""What mlflow has and Runwire has not, with what to do instead."""

from __future__ import annotations

_FLAVOURS = {
    "catboost", "fastai", "keras", "langchain", "lightgbm", "onnx", "openai", "paddle",
    "prophet", "pyfunc", "pytorch", "sklearn", "spacy", "spark", "statsmodels", "tensorflow",
    "transformers", "xgboost",
}  # fmt: skip

_ADVICE = {
    "MlflowClient": "runwire.Client(uri) makes explicit calls: client.runs.search(...)",
    "tracking": "runwire.Client(uri) stands for MlflowClient; the rest is on runwire itself",
    "entities": "runs and experiments are plain objects: runwire.Run, runwire.Experiment",
    "exceptions": "errors are on runwire itself; runwire.RunwireError is the root of them",
    "models": "log a model's files with runwire.log_artifacts, then runwire.register_model",
    "projects": "projects are not offered",
    "evaluate": "evaluation is not offered; log its results with log_metrics and log_table",
    "trace": "tracing is not offered",
}


def advice(name: str) -> str:
    """The end of an AttributeError's message; empty where nothing is known of the name."""
    if name in _FLAVOURS:
        return (
            f": there are no flavours. Save the model with {name}'s own means, then "
            "runwire.log_artifact(path, 'model') and "
            "runwire.register_model(f'runs:/{run_id}/model', 'name')"
        )
    return f": {_ADVICE[name]}" if name in _ADVICE else ""
