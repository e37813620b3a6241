"""Runwire: experiment tracking over gRPC, with the fluent API that mlflow's users know.

>>> import runwire
>>> runwire.set_tracking_uri("http://localhost:5000")
>>> runwire.set_experiment("nyc-taxi")
>>> with runwire.start_run(run_name="baseline"):
...     runwire.log_param("alpha", 0.01)
...     runwire.log_metric("rmse", 6.3, step=1)
...     runwire.log_artifact("model.bin", artifact_path="models")

``runwire.Client(uri)`` makes explicit calls. Nothing here imports grpc, numpy or pandas
before it needs them; logging never does.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

from runwire._active import ActiveRun
from runwire._errors import (
    AlreadyExistsError,
    CancelledError,
    ConflictError,
    DataLossError,
    DeadlineExceededError,
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    PermissionDeniedError,
    ResourceExhaustedError,
    RunwireError,
    UnauthenticatedError,
    UnavailableError,
    UnimplementedError,
)
from runwire._fluent import (
    active_run,
    autolog,
    delete_tag,
    end_run,
    flush_async_logging,
    last_active_run,
    log_batch,
    log_metric,
    log_metrics,
    log_param,
    log_params,
    set_tag,
    set_tags,
    start_run,
)
from runwire._fluent_experiment import (
    create_experiment,
    delete_experiment,
    get_experiment,
    get_experiment_by_name,
    restore_experiment,
    search_experiments,
    set_experiment,
    set_experiment_tag,
    set_experiment_tags,
)
from runwire._session import flush, get_tracking_uri, is_tracking_uri_set, set_tracking_uri

if TYPE_CHECKING:
    from runwire import artifacts, data, registry
    from runwire._client import Client
    from runwire._fluent_artifact import (
        get_artifact_uri,
        log_artifact,
        log_artifacts,
        log_bytes,
        log_dict,
        log_figure,
        log_text,
    )
    from runwire._fluent_image import log_image
    from runwire._fluent_input import log_input, log_inputs
    from runwire._fluent_model import ModelVersion, register_model
    from runwire._fluent_search import delete_run, get_parent_run, get_run, restore_run, search_runs
    from runwire._fluent_table import log_table
    from runwire._run_handle import Experiment, Run
    from runwire.artifacts import (
        download_artifacts,
        list_artifacts,
        load_dict,
        load_image,
        load_table,
        load_text,
    )

# What is imported when it is first used: name -> module.
_LATE = {
    name: module
    for module, names in {
        "runwire._client": "Client",
        "runwire._fluent_artifact": "get_artifact_uri log_artifact log_artifacts log_bytes "
        "log_dict log_figure log_text",
        "runwire._fluent_image": "log_image",
        "runwire._fluent_input": "log_input log_inputs",
        "runwire._fluent_model": "ModelVersion register_model",
        "runwire._fluent_search": "delete_run get_parent_run get_run restore_run search_runs",
        "runwire._fluent_table": "log_table",
        "runwire._run_handle": "Experiment Run",
        "runwire.artifacts": "download_artifacts list_artifacts load_dict load_image load_table "
        "load_text",
    }.items()
    for name in names.split()
}
_SUBMODULES = ("artifacts", "data", "registry")


def __getattr__(name: str) -> object:
    if name in _SUBMODULES:
        return importlib.import_module(f"runwire.{name}")
    if name in _LATE:
        found: object = getattr(importlib.import_module(_LATE[name]), name)
        globals()[name] = found
        return found
    from runwire._elsewhere import advice

    raise AttributeError(f"module 'runwire' has no attribute {name!r}{advice(name)}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})


__all__ = [
    "ActiveRun",
    "AlreadyExistsError",
    "CancelledError",
    "Client",
    "ConflictError",
    "DataLossError",
    "DeadlineExceededError",
    "Experiment",
    "FailedPreconditionError",
    "InternalError",
    "InvalidArgumentError",
    "ModelVersion",
    "NotFoundError",
    "OutOfRangeError",
    "PermissionDeniedError",
    "ResourceExhaustedError",
    "Run",
    "RunwireError",
    "UnauthenticatedError",
    "UnavailableError",
    "UnimplementedError",
    "__version__",
    "active_run",
    "artifacts",
    "autolog",
    "create_experiment",
    "data",
    "delete_experiment",
    "delete_run",
    "delete_tag",
    "download_artifacts",
    "end_run",
    "flush",
    "flush_async_logging",
    "get_artifact_uri",
    "get_experiment",
    "get_experiment_by_name",
    "get_parent_run",
    "get_run",
    "get_tracking_uri",
    "is_tracking_uri_set",
    "last_active_run",
    "list_artifacts",
    "load_dict",
    "load_image",
    "load_table",
    "load_text",
    "log_artifact",
    "log_artifacts",
    "log_batch",
    "log_bytes",
    "log_dict",
    "log_figure",
    "log_image",
    "log_input",
    "log_inputs",
    "log_metric",
    "log_metrics",
    "log_param",
    "log_params",
    "log_table",
    "log_text",
    "register_model",
    "registry",
    "restore_experiment",
    "restore_run",
    "search_experiments",
    "search_runs",
    "set_experiment",
    "set_experiment_tag",
    "set_experiment_tags",
    "set_tag",
    "set_tags",
    "set_tracking_uri",
    "start_run",
]
