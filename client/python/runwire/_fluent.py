"""The fluent API's heart: runs, and what is logged to them.

Names and arguments are mlflow's. A ``log_…`` call stores its data in the journal on this
machine and returns; it does no network I/O and never raises because a server is away.
Wrong keys and values raise at once.
"""

from __future__ import annotations

import os
import re
import time
import warnings
from collections.abc import Mapping
from typing import Any, SupportsFloat, SupportsIndex

from runwire import _active, _session
from runwire._active import ActiveRun, context_run, find
from runwire._errors import RunwireError, invalid

_RUN_ID = re.compile(r"[0-9a-f]{32}")
_others: dict[str, ActiveRun] = {}  # runs that were written to by their id

# Runs ---------------------------------------------------------------------------------


def start_run(
    run_id: str | None = None,
    experiment_id: str | int | None = None,
    run_name: str | None = None,
    nested: bool = False,
    parent_run_id: str | None = None,
    tags: Mapping[str, Any] | None = None,
    description: str | None = None,
    log_system_metrics: bool | None = None,
) -> ActiveRun:
    """Start a run, or resume the one of ``run_id``, and make it the active one.

    Returns at once, whether a server answers or not. As a context manager the run ends
    with its block; else ``end_run()`` or the end of the process ends it. A new run goes to
    ``experiment_id``, else to the experiment that ``set_experiment`` named, else to
    Default; it gets a name where none is given, and records script, git commit, user and
    host. ``nested`` makes it a child of the active run. RUNWIRE_RUN_ID resumes a run too.

    >>> with runwire.start_run(run_name="baseline", tags={"team": "nlp"}) as run:
    ...     runwire.log_metric("loss", 0.3, step=1)
    >>> print(run.info.run_id, run.info.status)

    Raises ``RunwireError`` where a run is active and this one is not ``nested``, and
    ``UnavailableError`` where the journal's folder cannot be written.
    """
    outer = _active.of_context()
    if outer is not None and outer.is_ours and not nested:
        raise RunwireError(
            f"Run with UUID {outer.run_id} is already active. To start a new run, first end the "
            "current run with runwire.end_run(). To start a nested run, call start_run with "
            "nested=True",
            metadata={"run_id": outer.run_id},
        )
    if log_system_metrics:
        warn("log_system_metrics: this version records no system metrics; the run goes on")
    existing = run_id or os.environ.pop("RUNWIRE_RUN_ID", None)
    if existing:
        run = _resumed(existing, tags, description)
    else:
        enclosing = _active.enclosing() if nested else None
        parent = parent_run_id or (enclosing.run_id if enclosing is not None else "")
        run = _created(_experiment_key(experiment_id), run_name, parent, tags, description)
    _active.activate(run)
    return run


def _resumed(run_id: str, tags: Mapping[str, Any] | None, description: str | None) -> ActiveRun:
    run = ActiveRun(_session.journal(_session.get_tracking_uri()).attach_run(check_run_id(run_id)))
    run.known["status"] = "RUNNING"
    # A tag as in mlflow, since it travels with the data: nothing here waits for a server.
    note = {} if description is None else {"mlflow.note.content": description}
    run.set_tags({**(tags or {}), **note})
    return run


def _created(
    home: dict[str, Any],
    run_name: str | None,
    parent_run_id: str,
    tags: Mapping[str, Any] | None,
    description: str | None,
) -> ActiveRun:
    from runwire import _names, _source

    texts = {key: _active.text_of("tag", key, value) for key, value in (tags or {}).items()}
    name = run_name or texts.pop("mlflow.runName", "") or _names.run_name()
    parent_run_id = parent_run_id or texts.pop("mlflow.parentRunId", "")
    now_micros = time.time_ns() // 1000
    run_id = os.urandom(16).hex()
    run: dict[str, Any] = {
        "run_id": run_id,
        "name": _active.text_of("run", "name", name),
        "description": description or texts.pop("mlflow.note.content", ""),
        "user": _source.user(),
        "source": _source.source(),
        "start_time": _rfc3339(now_micros),
        "tags": texts,
    }
    if parent_run_id:
        run["parent_run_id"] = check_run_id(parent_run_id)
    request: dict[str, Any] = {"run": run | home["run"], **home["request"]}
    log_of_run = _session.journal(_session.get_tracking_uri()).create_run(run_id, request)
    return ActiveRun(
        log_of_run,
        {
            "run_name": name,
            "status": "RUNNING",
            "start_time": now_micros // 1000,
            "end_time": None,
            "lifecycle_stage": "active",
            "user_id": run["user"],
            **home["known"],
        },
    )


def _experiment_key(experiment_id: str | int | None) -> dict[str, Any]:
    """Where a new run goes: parts of its request, and what is known of its experiment."""
    from runwire._fluent_experiment import active_experiment, check_experiment_id

    if experiment_id is not None:
        chosen = check_experiment_id(experiment_id)
        return {"run": {"experiment_id": chosen}, "request": {}, "known": {"experiment_id": chosen}}
    experiment = active_experiment()
    if experiment.given_id:
        chosen = experiment.given_id
        return {"run": {"experiment_id": chosen}, "request": {}, "known": {"experiment_id": chosen}}
    request = {"experiment_name": experiment.given_name}
    if workspace := os.environ.get("RUNWIRE_WORKSPACE"):
        request["workspace"] = workspace
    return {"run": {}, "request": request, "known": {"experiment": experiment}}


def end_run(status: str = "FINISHED", **leftovers: object) -> None:
    """End the active run, if there is one, as FINISHED, FAILED or KILLED. Returns at once.

    Other arguments, as in old tutorials' ``end_run(run_name=…)``, are named in a warning.
    """
    if leftovers:
        names = ", ".join(leftovers)
        warnings.warn(
            f"end_run() takes only a status; {names} is ignored. A run is named when it is "
            "started: runwire.start_run(run_name=...)",
            UserWarning,
            stacklevel=2,
        )
    run = _active.of_context() or _active.of_thread()
    if run is not None:
        run.finish(status)


def active_run() -> ActiveRun | None:
    """The run that log calls go to now, or None."""
    return find()


def last_active_run() -> ActiveRun | None:
    """The active run, else the one of this process that ended last, else None."""
    return _active.last()


def current() -> ActiveRun:
    """The active run; one is started where there is none."""
    return find() or start_run()


def to(run_id: str | None) -> ActiveRun:
    """The run of an id, as one of its writers; None: the active one."""
    if run_id is None:
        return current()
    run = find()
    while run is not None and run.run_id != run_id:
        run = run.outer
    if run is not None and not run.ended:
        return run
    journal = _session.journal(_session.get_tracking_uri())
    other = _others.get(run_id)
    if other is None or other.log.journal is not journal:
        log_of_run = journal.attach_run(check_run_id(run_id), resume=False)
        other = _others[run_id] = ActiveRun(log_of_run)
        _active.watch_the_end()
    return other


# Metrics ------------------------------------------------------------------------------


def log_metric(
    key: str,
    value: SupportsFloat,
    step: SupportsIndex | None = None,
    synchronous: bool | None = None,
    timestamp: int | None = None,
    run_id: str | None = None,
    model_id: str | None = None,
    dataset: object = None,
) -> None:
    """Log one value of a metric, at step 0 unless given; about a microsecond.

    ``timestamp``: milliseconds since 1970, now unless given. ``run_id``: another run than
    the active one. ``synchronous=True`` waits until the server has it.

    >>> runwire.log_metric("loss", 0.25, step=100)
    """
    run = context_run.get()
    if run is None or run.ended or synchronous or run_id or timestamp is not None or model_id:
        _log_row({key: value}, step, synchronous, timestamp, run_id)
    else:
        run.log_value(key, value, 0 if step is None else step)


def log_metrics(
    metrics: Mapping[str, SupportsFloat],
    step: SupportsIndex | None = None,
    synchronous: bool | None = None,
    run_id: str | None = None,
    timestamp: int | None = None,
    model_id: str | None = None,
    dataset: object = None,
) -> None:
    """Log a row of values at one step; see ``log_metric``.

    >>> runwire.log_metrics({"train/loss": 0.25, "train/accuracy": 0.9}, step=100)
    """
    run = context_run.get()
    if run is None or run.ended or synchronous or run_id or timestamp is not None or model_id:
        _log_row(metrics, step, synchronous, timestamp, run_id)
    else:
        run.log_row(metrics, 0 if step is None else step)


def _log_row(
    metrics: Mapping[str, SupportsFloat],
    step: SupportsIndex | None,
    synchronous: bool | None,
    timestamp: int | None,
    run_id: str | None,
) -> None:
    time_micros = None if timestamp is None else int(timestamp * 1000)
    run = to(run_id)
    run.log_row(metrics, 0 if step is None else step, time_micros)
    if synchronous:
        run.log.journal.flush()


# Params and tags ----------------------------------------------------------------------


def log_param(key: str, value: Any, synchronous: bool | None = None) -> Any:
    """Log a param, write-once; any value is stored as its ``str()``. Returns the value.

    Raises ``FailedPreconditionError`` where this process logged another value for the key.
    """
    log_params({key: value}, synchronous)
    return value


def log_params(
    params: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None
) -> None:
    """Log several params; see ``log_param``."""
    run = to(run_id)
    run.log_params(params)
    if synchronous:
        run.log.journal.flush()


def set_tag(key: str, value: Any, synchronous: bool | None = None) -> None:
    """Set a tag of the active run; the last value counts."""
    set_tags({key: value}, synchronous)


def set_tags(
    tags: Mapping[str, Any], synchronous: bool | None = None, run_id: str | None = None
) -> None:
    """Set several tags."""
    run = to(run_id)
    run.set_tags(tags)
    if synchronous:
        run.log.journal.flush()


def delete_tag(key: str) -> None:
    """Remove a tag of the active run."""
    current().delete_tag(key)


def log_batch(
    metrics: Mapping[str, SupportsFloat] | None = None,
    params: Mapping[str, Any] | None = None,
    tags: Mapping[str, Any] | None = None,
    step: SupportsIndex | None = None,
    run_id: str | None = None,
) -> None:
    """Params, tags and a row of metrics in one call."""
    run = to(run_id)
    if params:
        run.log_params(params)
    if tags:
        run.set_tags(tags)
    if metrics:
        run.log_metrics(metrics, step)


# Others -------------------------------------------------------------------------------


def flush_async_logging() -> None:
    """mlflow's name for ``flush()``."""
    _session.flush()


def autolog(*_: object, **__: object) -> None:
    """Not offered: says so once, and a script that calls it goes on."""
    warn(
        "autolog() is not offered and records nothing: log what matters with "
        "runwire.log_params(...) and runwire.log_metrics(...)"
    )


def warn(message: str, *values: object) -> None:
    """One line in the log of ``runwire``: Python shows it unless told otherwise."""
    import logging

    logging.getLogger("runwire").warning(message, *values)


def check_run_id(run_id: object) -> str:
    """Raises ``InvalidArgumentError`` for what cannot be the id of a run."""
    if not isinstance(run_id, str) or not _RUN_ID.fullmatch(run_id):
        raise invalid("run_id", f"{run_id!r} is no run's id (32 lower-case hex digits)")
    return run_id


def _rfc3339(micros: int) -> str:
    seconds, rest = divmod(micros, 1_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:06d}Z"
