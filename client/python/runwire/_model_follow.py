"""The thread that follows a registry for ``ModelWatcher``, over restarts and outages."""

from __future__ import annotations

import logging
import random
import threading
from collections.abc import Callable, Sequence
from typing import Any

from runwire._client import Client
from runwire._errors import OutOfRangeError, RunwireError
from runwire.v1.registry_service_pb2 import (
    ResolveModelsResponse,
    WatchModelsRequest,
    WatchModelsResponse,
)
from runwire.v1.registry_service_pb2_grpc import RegistryServiceStub

log = logging.getLogger("runwire")

# Full jitter: thousands of programs whose server comes back do not come back as one.
FIRST_DELAY_S, MAX_DELAY_S = 0.25, 5.0
# What a call under way has to end by itself, before its connection is taken from it.
END_S = 1.0

Take = Callable[[ResolveModelsResponse], object]
"""Told what the references mean now, on every message: also where that is as before."""


class ModelFollower:
    """Watches the models, and asks again what the references mean when one of them changes: so
    it need not know what a change of a stage or a name does to a reference.

    ``revision``: where to go on from, 0 to begin anew.
    """

    def __init__(
        self,
        client: Client,
        workspace: str,
        references: Sequence[str],
        take: Take,
        revision: int = 0,
    ):
        self._client, self._workspace, self._references = client, workspace, references
        self._take = take
        self._models = sorted({model_of(reference) for reference in references})
        self._answer = ResolveModelsResponse(revision=revision)
        self._lock = threading.Lock()
        self._closed = threading.Event()
        self._call: Any = None
        self.is_connected = False
        self.error: RunwireError | None = None
        self._thread = threading.Thread(target=self._work, name="runwire-models", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """End the thread, and close the client."""
        with self._lock:
            self._closed.set()
            call = self._call
        if call is not None:
            call.cancel()
        self._thread.join(END_S)
        self._client.close()
        self._thread.join()

    def _work(self) -> None:
        failures = 0
        while not self._closed.is_set():
            error = self._follow_once()
            failures = 1 if self.is_connected else failures + 1
            self.is_connected = False
            self.error = error or self.error
            self._closed.wait(_delay_s(failures, error))

    def _follow_once(self) -> RunwireError | None:
        """One connection up to its end; what ended it."""
        try:
            self._follow()
        except RunwireError as error:
            if error.reason != "DRAINING" and not self._closed.is_set():
                # Once when it begins; what goes on like that is no news.
                level = logging.INFO if self.error else logging.WARNING
                log.log(level, "models are not followed: %s", error)
            return error
        except Exception:  # whatever it is, the last answers are served on
            if not self._closed.is_set():
                log.exception("following the registry failed")
        return None

    def _follow(self) -> None:
        request = WatchModelsRequest(workspace=self._workspace, models=self._models, last_only=True)
        if self._answer.revision:
            request.after_revision = self._answer.revision
        responses = self._client._caller.stream(
            RegistryServiceStub, "WatchModels", request, opened=self._opened
        )
        try:
            for response in responses:
                if response.HasField("expired"):
                    self._answer.revision = 0
                    return
                self._hear(response)
        finally:
            responses.close()

    def _opened(self, call: Any) -> None:
        with self._lock:
            self._call = call
            if self._closed.is_set():
                call.cancel()

    def _hear(self, response: WatchModelsResponse) -> None:
        is_news = response.revision > self._answer.revision and not response.HasField("mark")
        if is_news or not self.is_connected:
            self._answer = self._ask(response.revision)
        self._answer.revision = max(self._answer.revision, response.revision)
        self.is_connected, self.error = True, None
        self._take(self._answer)

    def _ask(self, revision: int) -> ResolveModelsResponse:
        try:
            answer = self._resolve(self._references, revision)
        except OutOfRangeError:
            self._answer.revision = 0  # the registry has another past now
            raise
        while left := [place for place, one in enumerate(answer.resolved) if _did_not_fit(one)]:
            more = self._resolve([self._references[place] for place in left], answer.revision)
            for place, one in zip(left, more.resolved, strict=True):
                answer.resolved[place].CopyFrom(one)
        return answer

    def _resolve(self, references: Sequence[str], revision: int) -> ResolveModelsResponse:
        return self._client.models.resolve_all(
            references, min_revision=revision, workspace=self._workspace
        )


def model_of(reference: str) -> str:
    """The model's name. Its reference was checked before."""
    return reference[: min(place for place in map(reference.find, "@/") if place > 0)]


def _did_not_fit(one: ResolveModelsResponse.Resolved) -> bool:
    return one.fault.reason == "TOO_LARGE"


def _delay_s(failures: int, error: RunwireError | None) -> float:
    asked_s = error.retry_after_s if error is not None else None
    ceiling = min(MAX_DELAY_S, FIRST_DELAY_S * 2.0 ** min(failures, 10))
    return (asked_s or 0.0) + random.uniform(0, ceiling)
