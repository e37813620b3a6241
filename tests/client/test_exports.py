"""The public face: few names, listed, cheap to import, with mlflow's arguments."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import runwire

ROOT = Path(__file__).parents[2]

FLUENT = """
active_run autolog create_experiment delete_experiment delete_run delete_tag download_artifacts
end_run flush flush_async_logging get_artifact_uri get_experiment get_experiment_by_name
get_parent_run get_run get_tracking_uri is_tracking_uri_set last_active_run list_artifacts load_dict
load_image load_table load_text log_artifact log_artifacts log_batch log_bytes log_dict log_figure
log_image log_input log_inputs log_metric log_metrics log_param log_params log_table log_text
register_model restore_experiment restore_run search_experiments search_runs set_experiment
set_experiment_tag set_experiment_tags set_tag set_tags set_tracking_uri start_run
"""
ERRORS = """
AlreadyExistsError CancelledError ConflictError DataLossError DeadlineExceededError
FailedPreconditionError InternalError InvalidArgumentError NotFoundError OutOfRangeError
PermissionDeniedError ResourceExhaustedError RunwireError UnauthenticatedError UnavailableError
UnimplementedError
"""
OTHERS = "ActiveRun Client Experiment ModelVersion Run __version__ artifacts data registry"

# Arguments by position, as mlflow 3 has them.
SIGNATURES = {
    "start_run": "run_id experiment_id run_name nested parent_run_id tags description "
    "log_system_metrics",
    "end_run": "status",
    "set_experiment": "experiment_name experiment_id",
    "log_metric": "key value step synchronous timestamp run_id model_id dataset",
    "log_metrics": "metrics step synchronous run_id timestamp model_id dataset",
    "log_param": "key value synchronous",
    "log_params": "params synchronous run_id",
    "set_tag": "key value synchronous",
    "set_tags": "tags synchronous",
    "delete_tag": "key",
    "log_artifact": "local_path artifact_path run_id",
    "log_artifacts": "local_dir artifact_path run_id",
    "log_text": "text artifact_file run_id",
    "log_dict": "dictionary artifact_file run_id",
    "log_figure": "figure artifact_file save_kwargs",
    "log_image": "image artifact_file key step timestamp synchronous",
    "log_table": "data artifact_file run_id",
    "log_input": "dataset context tags model",
    "log_inputs": "datasets contexts tags_list models",
    "create_experiment": "name artifact_location tags",
    "search_runs": "experiment_ids filter_string run_view_type max_results order_by "
    "output_format search_all_experiments experiment_names",
    "search_experiments": "view_type max_results filter_string order_by",
    "register_model": "model_uri name await_registration_for tags",
    "get_artifact_uri": "artifact_path",
    "load_table": "artifact_file run_ids extra_columns",
    "download_artifacts": "artifact_uri run_id artifact_path dst_path tracking_uri registry_uri",
    "list_artifacts": "artifact_uri run_id artifact_path tracking_uri",
    "load_text": "artifact_uri",
    "load_dict": "artifact_uri",
    "load_image": "artifact_uri",
}


def test_public_names_are_these_and_no_others() -> None:
    assert set(runwire.__all__) == {*FLUENT.split(), *ERRORS.split(), *OTHERS.split()}


@pytest.mark.parametrize("name", runwire.__all__)
def test_public_name_is_there_and_says_what_it_is(name: str) -> None:
    found = getattr(runwire, name)
    assert name == "__version__" or found.__doc__
    assert name in dir(runwire)


@pytest.mark.parametrize("name", FLUENT.split())
def test_fluent_function_is_typed(name: str) -> None:
    signature = inspect.signature(getattr(runwire, name))
    untyped = [p.name for p in signature.parameters.values() if p.annotation is p.empty]
    assert untyped == []
    assert signature.return_annotation is not signature.empty


@pytest.mark.parametrize("name", SIGNATURES)
def test_arguments_are_those_of_mlflow_in_their_order(name: str) -> None:
    parameters = list(inspect.signature(getattr(runwire, name)).parameters)
    expected = SIGNATURES[name].split()
    assert parameters[: len(expected)] == expected


def test_star_import_brings_the_public_names() -> None:
    namespace: dict[str, object] = {}
    exec("from runwire import *", namespace)
    assert set(runwire.__all__) <= set(namespace)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("MlflowClient", r"runwire\.Client"),
        ("sklearn", "there are no flavours"),
        ("tracking", r"runwire\.Client"),
        ("nonsense", "has no attribute 'nonsense'$"),
    ],
)
def test_what_mlflow_has_and_we_have_not_is_told(name: str, advice: str) -> None:
    with pytest.raises(AttributeError, match=advice):
        getattr(runwire, name)


def test_version_is_that_of_the_distribution() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert runwire.__version__ == project["version"]


def test_type_checkers_see_what_is_imported_late() -> None:
    tree = ast.parse(Path(runwire.__file__).read_text())
    (block,) = (one for one in tree.body if isinstance(one, ast.If))
    seen = {
        alias.name: one.module
        for one in block.body
        if isinstance(one, ast.ImportFrom) and one.module != "runwire"
        for alias in one.names
    }
    assert seen == runwire._LATE


HEAVY = "grpc google.protobuf numpy pandas sqlalchemy asyncio logging dataclasses runwire_server"


def test_import_brings_nothing_heavy() -> None:
    program = (
        "import sys; before = set(sys.modules); import runwire\nprint(*(set(sys.modules) - before))"
    )
    loaded = _python(program).split()
    assert [name for name in HEAVY.split() if name in loaded] == []


def test_logging_imports_neither_grpc_nor_protobuf_nor_numpy() -> None:
    program = (
        "import sys, runwire\n"
        "with runwire.start_run():\n"
        "    runwire.log_params({'a': 1}); runwire.log_metrics({'m': 1}); runwire.set_tag('t', 1)\n"
        "    runwire.log_text('x', 'x.txt'); runwire.log_dict({}, 'x.json')\n"
        "print(*sys.modules)"
    )
    loaded = _python(program).split()
    assert [name for name in ("grpc", "google.protobuf", "numpy", "pandas") if name in loaded] == []


def _python(program: str) -> str:
    import os

    environment = {**os.environ, "RUNWIRE_UPLOADER": "off"}
    return subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True, env=environment
    ).stdout
