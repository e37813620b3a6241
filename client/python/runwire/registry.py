"""``runwire.registry``: for programs that serve models.

>>> from runwire.registry import ModelWatcher
>>> with ModelWatcher(["fraud@champion"], uri="http://host:5000", on_change=reload) as models:
...     models.wait_ready(30)
...     print(models.get("fraud@champion").version)
"""

from __future__ import annotations

import copy
import os
import re
import threading
import time
import weakref
from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from runwire._client import Client
from runwire._errors import UnavailableError, from_fault, invalid
from runwire._model_change import Announcer, Meaning, ModelChange, OnChange
from runwire._model_file import ModelFile
from runwire._model_follow import ModelFollower
from runwire.v1.model_pb2 import ModelVersion
from runwire.v1.registry_service_pb2 import ResolveModelsResponse

__all__ = ["ModelChange", "ModelVersion", "ModelWatcher"]

MAX_REFERENCES = 1000


class ModelWatcher:
    """Knows what references to models mean, and hears of it when that changes.

    References are as ``client.models.resolve`` takes them: ``"fraud@champion"``,
    ``"fraud/production"``, ``"fraud/latest"``. Answers come from memory; a thread follows the
    registry, over restarts and outages of the server, during which the last answers stay.

    ``on_change`` is called with a ``ModelChange`` in a thread of its own, first with what each
    reference means at the start; several changes while it runs are one. What it raises is
    logged. ``path``: a file for the last answers, from which they are there at once when this
    program starts while no server answers. ``uri`` as for ``runwire.Client``.

    Safe for threads; in a child of ``fork()`` it follows from its first ``get`` on, without
    callbacks. Close it, or use it in a ``with`` block.
    """

    def __init__(
        self,
        references: Iterable[str],
        *,
        uri: str | os.PathLike[str] | None = None,
        workspace: str = "",
        on_change: OnChange | None = None,
        path: str | os.PathLike[str] | None = None,
    ):
        self.references = tuple(dict.fromkeys(references))
        _check(self.references)
        self._client = Client(uri)
        self._workspace = workspace or self._client._caller.workspace
        self._answer = ResolveModelsResponse()
        self._meanings: Mapping[str, Meaning] = {}
        self._confirmed: float | None = None
        self._file: ModelFile | None = None
        self._announcer = None if on_change is None else Announcer(on_change)
        self._closed = False
        self._follower: ModelFollower | None = None
        self._renew()
        if path is not None:
            self._file = ModelFile(path, self._client.tracking_uri, self._workspace)
            self._load(self._file)
        self._follow()
        _watchers.add(self)

    def get(self, reference: str) -> ModelVersion:
        """The version that it means, as far as is known; without any I/O.

        Raises ``NotFoundError`` and whatever else ``resolve`` would have raised while it means
        nothing, ``UnavailableError`` while nothing was heard of any server.
        """
        self._follow()
        meaning = self._meanings.get(reference)
        if isinstance(meaning, ModelVersion):
            return meaning
        if meaning is not None:
            raise from_fault(meaning)
        if reference not in self.references:
            raise invalid("reference", f"{reference!r} is not watched")
        error = self._follower.error if self._follower else None
        raise copy.copy(error) or UnavailableError(f"nothing was heard of {reference!r} yet")

    @property
    def connected(self) -> bool:
        """Whether a server tells of changes now."""
        return self._follower is not None and self._follower.is_connected

    @property
    def age_s(self) -> float | None:
        """Seconds since the answers were last known to be right: while connected, since a
        message of the server, of which there is one every 15 s. None: there are no answers."""
        confirmed = self._confirmed
        return None if confirmed is None else max(0.0, time.time() - confirmed)

    def wait_ready(self, timeout_s: float | None = None) -> bool:
        """Wait until there are answers, of a server or of the file; False: not in this time."""
        self._follow()
        return self._ready.wait(timeout_s)

    def close(self) -> None:
        """End its threads; the answers stay. A callback that is under way is waited for."""
        with self._lock:
            self._closed = True
            follower, self._follower = self._follower, None
        if follower is not None:
            follower.close()
        if self._announcer is not None:
            self._announcer.close()
        if self._file is not None and self._confirmed is not None:
            self._file.save(self._answer, self._confirmed)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _renew(self) -> None:
        """What no thread of ours has in its hands at the start, nor in a child of a fork."""
        self._lock, self._ready = threading.Lock(), threading.Event()
        self._follower = None
        if self._meanings:
            self._ready.set()

    def _after_fork(self) -> None:
        self._renew()
        self._announcer = self._file = None

    def _follow(self) -> None:
        if self._follower is not None or self._closed:
            return
        with self._lock:
            if self._follower is None and not self._closed:
                self._follower = ModelFollower(
                    self._client,
                    self._workspace,
                    self.references,
                    self._hear,
                    self._answer.revision,
                )

    def _load(self, file: ModelFile) -> None:
        kept = file.load()
        known = {one.reference: one for one in kept.answer.resolved} if kept else {}
        if kept and known.keys() >= set(self.references):
            self._take(
                ResolveModelsResponse(
                    resolved=[known[reference] for reference in self.references],
                    revision=kept.answer.revision,
                )
            )
            self._confirmed = kept.confirmed

    def _hear(self, answer: ResolveModelsResponse) -> None:
        is_news = answer.resolved != self._answer.resolved
        self._confirmed = time.time()
        if is_news or not self._ready.is_set():
            self._take(answer)
        if is_news and self._file is not None:
            self._file.save(answer, self._confirmed)

    def _take(self, answer: ResolveModelsResponse) -> None:
        self._answer = ResolveModelsResponse()
        self._answer.CopyFrom(answer)
        self._meanings = {
            one.reference: one.fault if one.HasField("fault") else one.model_version
            for one in self._answer.resolved
        }
        if self._announcer is not None:
            self._announcer.tell(self._meanings)
        self._ready.set()


def _check(references: Iterable[str]) -> None:
    """Raises ``InvalidArgumentError`` for what can never mean anything."""
    found = list(references)
    if not 1 <= len(found) <= MAX_REFERENCES:
        raise invalid("references", f"1 to {MAX_REFERENCES}, not {len(found)}")
    for reference in found:
        if not re.fullmatch(r"[^@/]+[@/].+", reference, re.DOTALL):
            raise invalid("references", f"{reference!r} is not MODEL@ALIAS or MODEL/VERSION")


_watchers: weakref.WeakSet[ModelWatcher] = weakref.WeakSet()


def _after_fork() -> None:
    for watcher in _watchers:
        watcher._after_fork()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
