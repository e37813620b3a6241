"""The fluent API's readers of runs."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from runwire import _session
from runwire._errors import NotFoundError, invalid
from runwire._fluent import check_run_id, warn
from runwire._fluent_experiment import (
    ACTIVE_ONLY,
    DELETED_ONLY,
    active_experiment,
    check_experiment_id,
    order_text,
    view_of,
)
from runwire._run_handle import TAG_ATTRIBUTES, Run, run_of

if TYPE_CHECKING:
    import pandas as pd

    from runwire.v1.run_pb2 import Run as RunMessage

# Single-quoted texts, and outside of them mlflow's own tags in any quoting.
_OWN_TAG = re.compile(
    r"('(?:[^']|'')*')|\btags?\.([`\"]?)("
    + "|".join(re.escape(tag) for tag in TAG_ATTRIBUTES)
    + r")\2(?![\w.])"
)
_PAGE = 1000


def get_run(run_id: str) -> Run:
    """A run as the server has it, after what this process logged has arrived.

    Raises ``NotFoundError``.
    """
    _session.flush_own()
    return _whole(_session.client().runs.get(check_run_id(run_id)))


def _whole(message: RunMessage) -> Run:
    """A handle; says so where the run has more entries than one message takes."""
    if message.truncated:
        warn(
            "run %s has more metrics, params or tags than are read at once: some are missing "
            "here. runwire.Client().metrics.list(run_id) reads every metric",
            message.run_id,
        )
    return run_of(message)


def get_parent_run(run_id: str) -> Run | None:
    """The run that a nested run belongs to; None where it has none."""
    _session.flush_own()
    runs = _session.client().runs
    parent_run_id = runs.get(check_run_id(run_id), view="BASIC").parent_run_id
    return run_of(runs.get(parent_run_id)) if parent_run_id else None


def delete_run(run_id: str) -> None:
    """Put a run in the trash."""
    _session.flush_own()
    _session.client().runs.delete(check_run_id(run_id))


def restore_run(run_id: str) -> None:
    """Take a run out of the trash."""
    _session.client().runs.restore(check_run_id(run_id))


def search_runs(
    experiment_ids: Sequence[str | int] | None = None,
    filter_string: str = "",
    run_view_type: int | str = ACTIVE_ONLY,
    max_results: int = 100_000,
    order_by: str | Sequence[str] | None = None,
    output_format: str | None = None,
    search_all_experiments: bool = False,
    experiment_names: Sequence[str] | None = None,
) -> Any:
    """Runs that a filter finds, in order, of the active experiment unless others are named.

    A pandas DataFrame where pandas is installed, else a list of ``Run``;
    ``output_format``: "pandas" or "list". The table has the columns ``run_id``,
    ``experiment_id``, ``status``, ``artifact_uri``, ``start_time``, ``end_time`` and one
    for each metric, param and tag: ``metrics.loss``, ``params.lr``, ``tags.team``.

    >>> runwire.search_runs(filter_string="metrics.loss < 0.1 AND params.lr = '0.01'",
    ...                     order_by=["metrics.loss ASC"])
    """
    output_format = output_format or ("pandas" if _has_pandas() else "list")
    if output_format not in ("pandas", "list"):
        raise invalid("output_format", f"{output_format!r} is neither 'pandas' nor 'list'")
    if max_results < 0:
        raise invalid("max_results", f"{max_results!r} is below 0")
    view = view_of(run_view_type)
    _session.flush_own()
    scope = _scope(experiment_ids, experiment_names, search_all_experiments)
    if scope is None:
        found: list[Run] = []
    else:
        listed = _session.client().runs.search(
            scope,
            filter=own_tags_as_attributes(filter_string),
            order_by=own_tags_as_attributes(order_text(order_by)),
            view="FULL",
            page_size=min(max_results, _PAGE),
            show_deleted=view != ACTIVE_ONLY,
        )
        wanted = (one for one in listed if view != DELETED_ONLY or one.HasField("delete_time"))
        found = [_whole(one) for one in islice(wanted, max_results)]
    return found if output_format == "list" else table(found)


def _scope(
    experiment_ids: Sequence[str | int] | None,
    names: Sequence[str] | None,
    search_all: bool,
) -> list[str] | None:
    """The ids to search; empty: all; None: none of what was named exists."""
    if search_all:
        return []
    if experiment_ids and names:
        raise invalid("experiment_ids", "give experiment_ids or experiment_names, not both")
    if names:
        return _ids_of([names] if isinstance(names, str) else names) or None
    if experiment_ids is None:
        active = active_experiment()
        return [active.given_id] if active.given_id else _ids_of([active.given_name]) or None
    ids = [experiment_ids] if isinstance(experiment_ids, str | int) else experiment_ids
    return [check_experiment_id(one) for one in ids] or None


def _ids_of(names: Iterable[str]) -> list[str]:
    experiments = _session.client().experiments
    ids = []
    for name in names:
        try:
            ids.append(experiments.get(name=name).experiment_id)
        except NotFoundError:
            warn("there is no experiment %r; it is left out of the search", name)
    return ids


def own_tags_as_attributes(text: str) -> str:
    """mlflow's own tags in a filter or order, such as ``tags.mlflow.runName``, as attributes."""
    return _OWN_TAG.sub(lambda one: one[1] or f"attributes.{TAG_ATTRIBUTES[one[3]]}", text)


def table(runs: Sequence[Run]) -> pd.DataFrame:
    """One row per run, with mlflow's column names."""
    import pandas as pd

    columns: dict[str, Any] = {
        name: [getattr(run.info, name) for run in runs]
        for name in ("run_id", "experiment_id", "status", "artifact_uri")
    }
    for name in ("start_time", "end_time"):
        millis = pd.Series([getattr(run.info, name) for run in runs], dtype="Int64")
        columns[name] = pd.to_datetime(millis, unit="ms", utc=True)
    columns |= _spread("metrics", [run.data.metrics for run in runs], float("nan"))
    columns |= _spread("params", [run.data.params for run in runs], None)
    columns |= _spread("tags", [run.data.tags for run in runs], None)
    return pd.DataFrame(columns)


def _spread(kind: str, rows: Sequence[Mapping[str, Any]], missing: Any) -> dict[str, list[Any]]:
    keys = sorted({key for row in rows for key in row})
    return {f"{kind}.{key}": [row.get(key, missing) for row in rows] for key in keys}


def _has_pandas() -> bool:
    return importlib.util.find_spec("pandas") is not None
