"""From what a person types to what the API calls it."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from runwire._command.failure import NOT_FOUND, USAGE, CommandError

if TYPE_CHECKING:
    from runwire import Client
    from runwire.v1.experiment_pb2 import Experiment
    from runwire.v1.model_pb2 import ModelVersion

T = TypeVar("T")

# How long a command waits for what a script that has just ended is delivering.
SETTLE_S = 3.0

_WHOLE = re.compile(r"[0-9a-f]{32}")
_PREFIX = re.compile(r"[0-9a-f]{4,31}")


@contextmanager
def connected(args: argparse.Namespace, *, writes: bool = False) -> Iterator[Client]:
    """A client of the tracking URI. Local data is only made where the command ``writes``."""
    from runwire import Client
    from runwire._uri import resolve_uri
    from runwire._waiting import settle

    uri = resolve_uri(getattr(args, "tracking_uri", None))
    settle(uri, SETTLE_S)
    if not writes:
        _check_local(uri)
    with Client(uri) as client:
        yield client


def _check_local(uri: str) -> None:
    if "://" in uri and not uri.startswith("sqlite:"):
        return
    path = Path(uri.removeprefix("sqlite:///"))
    if not path.exists():
        hint = "--tracking-uri or RUNWIRE_TRACKING_URI says where the data is"
        raise CommandError(f"there is no data in {path}", hint, NOT_FOUND)


def take(found: Iterable[T], limit: int) -> tuple[list[T], bool]:
    """The first ``limit`` (0: all), and whether there are more."""
    items = list(islice(found, limit + 1 if limit else None))
    more = bool(limit) and len(items) > limit
    return (items[:limit] if more else items), more


def experiment_of(client: Client, text: str) -> Experiment:
    """An experiment by its id or its name; a name of digits only is found by its id first."""
    from runwire._errors import NotFoundError

    if text.isdecimal():
        try:
            return client.experiments.get(text)
        except NotFoundError:
            pass  # perhaps it is a name
    return client.experiments.get(name=text)


def deleted_experiment_of(client: Client, text: str) -> Experiment:
    """An experiment by its id, or the one of that name that went to the trash last."""
    from runwire._errors import NotFoundError

    quoted = text.replace("'", "''")
    found = client.experiments.search(
        filter=f"name = '{quoted}'", order_by="update_time DESC", show_deleted=True
    )
    deleted = (each for each in found if each.HasField("delete_time"))
    by_name = next(deleted, None)
    if by_name is not None:
        return by_name
    if text.isdecimal():
        return client.experiments.get(text)
    raise NotFoundError(f"no deleted experiment {text!r}", reason="NOT_FOUND")


def run_id_of(client: Client, text: str, *, deleted: bool = False) -> str:
    """A run by its id, by the unique beginning of one (four digits or more), or ``last``.

    ``deleted``: runs in the trash are found by their beginning too.
    """
    if _WHOLE.fullmatch(text):
        return text
    if text == "last":
        found = list(islice(client.runs.search(order_by="start_time DESC"), 1))
        if not found:
            raise CommandError("there is no run yet", code=NOT_FOUND)
        return found[0].run_id
    if not _PREFIX.fullmatch(text):
        hint = "an id of 32 hex digits, its first four or more, or 'last'"
        raise CommandError(f"{text!r} is no run", hint, NOT_FOUND)
    found = list(
        islice(
            client.runs.search(filter=f"run_id LIKE '{text}%'", page_size=2, show_deleted=deleted),
            2,
        )
    )
    if len(found) == 1:
        return found[0].run_id
    problem = "more than one run begins" if found else "no run begins"
    raise CommandError(f"{problem} with {text!r}", "'runwire runs ls' shows them", NOT_FOUND)


def version_of(text: str) -> tuple[str, int]:
    """The model and number of ``MODEL/7``: what is changed is named by its number."""
    model, _, number = text.partition("/")
    if not model or not number.isdecimal():
        raise CommandError(f"{text!r} is no version; write MODEL/NUMBER", code=USAGE)
    return model, int(number)


def resolved(client: Client, reference: str, *, at: datetime | None = None) -> ModelVersion:
    """The version that MODEL/7, MODEL@ALIAS, MODEL/latest or MODEL/STAGE means now, or meant."""
    return client.models.resolve(reference.removeprefix("models:/"), at=at)
