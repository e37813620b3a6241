"""The fluent API's experiments."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

from runwire import _session
from runwire._active import text_of
from runwire._errors import NotFoundError, invalid
from runwire._settings import settings

if TYPE_CHECKING:
    from runwire._run_handle import Experiment
    from runwire.v1.experiment_pb2 import Experiment as ExperimentMessage

ACTIVE_ONLY, DELETED_ONLY, ALL = 1, 2, 3
_NAME, _ID = "RUNWIRE_EXPERIMENT_NAME", "RUNWIRE_EXPERIMENT_ID"


_ATTRIBUTES = (
    "artifact_location",
    "lifecycle_stage",
    "tags",
    "creation_time",
    "last_update_time",
)


class ActiveExperiment:
    """What ``set_experiment`` names. Attributes that need the server ask it when they are read;
    an experiment that does not exist yet is made then, or with its first run."""

    def __init__(self, given_name: str = "", given_id: str = ""):
        self.given_name, self.given_id = given_name, given_id
        self._found: Experiment | None = None

    @property
    def experiment_id(self) -> str:
        return self.given_id or self._read().experiment_id

    @property
    def name(self) -> str:
        return self.given_name or self._read().name

    def __getattr__(self, name: str) -> Any:
        if name not in _ATTRIBUTES:
            raise AttributeError(f"an experiment has no {name!r}")
        return getattr(self._read(), name)

    def _read(self) -> Experiment:
        if self._found is None:
            experiments = _session.client().experiments
            self._found = _handle(
                experiments.get(self.given_id)
                if self.given_id
                else experiments.create(self.given_name, get_existing=True)
            )
        return self._found

    def __repr__(self) -> str:
        return f"<runwire experiment {self.given_name or self.given_id}>"


def set_experiment(
    experiment_name: str | None = None, experiment_id: str | int | None = None
) -> ActiveExperiment:
    """New runs go to this experiment, by name (made where it is missing) or by id.

    Asks no server; nothing fails while it is away. Processes started later do the same.

    >>> runwire.set_experiment("nyc-taxi")
    """
    if (experiment_name is None) == (experiment_id is None):
        raise invalid("experiment_name", "give exactly one of experiment_name and experiment_id")
    if experiment_id is not None:
        os.environ[_ID] = check_experiment_id(experiment_id)
        os.environ.pop(_NAME, None)
    else:
        os.environ[_NAME] = text_of("experiment", "name", _checked_name(experiment_name))
        os.environ.pop(_ID, None)
    return active_experiment()


def active_experiment() -> ActiveExperiment:
    """Where new runs go: RUNWIRE_EXPERIMENT_NAME, else RUNWIRE_EXPERIMENT_ID, else Default."""
    found = settings()
    if found.experiment_name:
        return ActiveExperiment(given_name=found.experiment_name)
    return ActiveExperiment(given_id=check_experiment_id(found.experiment_id or "0"))


def check_experiment_id(experiment_id: object) -> str:
    """An id as text. Raises ``InvalidArgumentError`` for what cannot be one."""
    text = str(experiment_id)
    if isinstance(experiment_id, bool) or not text.isdecimal() or not text.isascii():
        raise invalid(
            "experiment_id",
            f"{experiment_id!r} is no experiment's id (a decimal number); "
            "set_experiment(name) and search_runs(experiment_names=[...]) take names",
        )
    return text


def create_experiment(
    name: str, artifact_location: str | None = None, tags: Mapping[str, Any] | None = None
) -> str:
    """Make an experiment and return its id. Raises ``AlreadyExistsError``.

    ``artifact_location`` is accepted and not used: the server stores artifacts.
    """
    texts = {key: text_of("tag", key, value) for key, value in (tags or {}).items()}
    return _session.client().experiments.create(name, tags=texts).experiment_id


def get_experiment(experiment_id: str | int) -> Experiment:
    """Raises ``NotFoundError``."""
    return _handle(_session.client().experiments.get(check_experiment_id(experiment_id)))


def get_experiment_by_name(name: str) -> Experiment | None:
    """None where there is none of that name."""
    try:
        return _handle(_session.client().experiments.get(name=name))
    except NotFoundError:
        return None


def search_experiments(
    view_type: int | str = ACTIVE_ONLY,
    max_results: int | None = None,
    filter_string: str | None = None,
    order_by: str | Sequence[str] | None = None,
) -> list[Experiment]:
    """Experiments that a filter finds: ``"name LIKE 'nyc%' AND tags.team = 'fares'"``."""
    view = view_of(view_type)
    found = _session.client().experiments.search(
        filter_string or "", order_by=order_text(order_by), show_deleted=view != ACTIVE_ONLY
    )
    wanted = (one for one in found if view != DELETED_ONLY or one.HasField("delete_time"))
    return [_handle(one) for one in islice(wanted, max_results)]


def delete_experiment(experiment_id: str | int) -> None:
    """Put it and its runs in the trash."""
    _session.client().experiments.delete(check_experiment_id(experiment_id))


def restore_experiment(experiment_id: str | int) -> None:
    """Take it out of the trash."""
    _session.client().experiments.restore(check_experiment_id(experiment_id))


def set_experiment_tag(key: str, value: Any) -> None:
    """Set a tag of the experiment that new runs go to."""
    set_experiment_tags({key: value})


def set_experiment_tags(tags: Mapping[str, Any]) -> None:
    """Set several tags of the experiment that new runs go to."""
    texts = {key: text_of("tag", key, value) for key, value in tags.items()}
    _session.client().experiments.update(active_experiment().experiment_id, tags=texts)


def view_of(view_type: int | str) -> int:
    """1, 2, 3, or mlflow's names for them."""
    names = {"ACTIVE_ONLY": ACTIVE_ONLY, "DELETED_ONLY": DELETED_ONLY, "ALL": ALL}
    view = names.get(str(view_type).upper(), view_type)
    if view not in names.values():
        raise invalid("view_type", f"{view_type!r} is not one of ACTIVE_ONLY, DELETED_ONLY, ALL")
    return int(view)


def order_text(order_by: str | Sequence[str] | None) -> str:
    """``["metrics.loss ASC", "start_time DESC"]``, or such a text, as one text."""
    if order_by is None or isinstance(order_by, str):
        return order_by or ""
    return ", ".join(order_by)


def _handle(message: ExperimentMessage) -> Experiment:
    from runwire._run_handle import experiment_of

    return experiment_of(message)


def _checked_name(name: object) -> str:
    if not isinstance(name, str) or not name.strip():
        raise invalid("experiment_name", f"{name!r} is no name")
    return name
