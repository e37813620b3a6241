"""Answers to references in bounded memory: those not asked for the longest time go first."""

from __future__ import annotations

from collections import OrderedDict

from runwire_server.store.model_resolve import Answer

MAX_BYTES = 64 << 20
# Of an answer beside its bytes: objects, places in the tables.
_OVERHEAD_BYTES = 1024

Scope = object
"""Answers of one scope know nothing of another's: a new one begins without any."""


class Answers:
    """Not safe for threads: its owner locks."""

    def __init__(self, max_bytes: int = MAX_BYTES):
        self._max_bytes = max_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[Scope, str], Answer] = OrderedDict()
        # By the names and ids of the models that an answer depends on.
        self._references: dict[tuple[Scope, str], set[str]] = {}

    def get(self, scope: Scope, reference: str) -> Answer | None:
        found = self._kept.get((scope, reference))
        if found is not None:
            self._kept.move_to_end((scope, reference))
        return found

    def put(self, scope: Scope, reference: str, answer: Answer) -> None:
        self._remove(scope, reference)
        self._kept[scope, reference] = answer
        self._bytes += _size(reference, answer)
        for model in answer.models:
            self._references.setdefault((scope, model), set()).add(reference)
        while self._bytes > self._max_bytes:
            self._remove(*next(iter(self._kept)))

    def drop(self, scope: Scope, model: str) -> None:
        """Forget what depends on the model of that name or id."""
        for reference in list(self._references.get((scope, model), ())):
            self._remove(scope, reference)

    def _remove(self, scope: Scope, reference: str) -> None:
        answer = self._kept.pop((scope, reference), None)
        if answer is None:
            return
        self._bytes -= _size(reference, answer)
        for model in answer.models:
            references = self._references[scope, model]
            references.discard(reference)
            if not references:
                del self._references[scope, model]


def _size(reference: str, answer: Answer) -> int:
    return len(answer.response) + len(reference) + _OVERHEAD_BYTES
