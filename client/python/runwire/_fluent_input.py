"""The fluent API's inputs: which datasets a run reads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from runwire._active import text_of
from runwire._errors import invalid
from runwire._fluent import current
from runwire.data import describe


def log_input(
    dataset: Any,
    context: str | None = None,
    tags: Mapping[str, str] | None = None,
    model: object = None,
) -> None:
    """Note a dataset that the active run reads; ``context`` says what for: "training" …

    ``dataset``: of a function of ``runwire.data``, a ``runwire.data.Dataset``, or any object
    with ``name`` and ``digest``. The data itself is not logged.

    >>> runwire.log_input(runwire.data.from_file("train.csv"), context="training")
    """
    log_inputs([dataset], [context], [tags])


def log_inputs(
    datasets: Sequence[Any],
    contexts: Sequence[str | None] | None = None,
    tags_list: Sequence[Mapping[str, str] | None] | None = None,
    models: object = None,
) -> None:
    """Several datasets, each with its context and tags; see ``log_input``."""
    contexts = contexts or [None] * len(datasets)
    tags_list = tags_list or [None] * len(datasets)
    if not len(datasets) == len(contexts) == len(tags_list):
        raise invalid("datasets", "as many contexts and tags as datasets are needed")
    described = [_input(*one) for one in zip(datasets, contexts, tags_list, strict=True)]
    current().log.log_inputs(described)


def _input(dataset: Any, context: str | None, tags: Mapping[str, str] | None) -> dict[str, Any]:
    texts = {key: text_of("tag", key, value) for key, value in (tags or {}).items()}
    if context is not None:
        texts["context"] = text_of("tag", "context", context)
    return {**describe(dataset), **({"tags": texts} if texts else {})}
