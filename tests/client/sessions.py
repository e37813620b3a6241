"""A fluent session of one test: its own server, its own journal, nothing left over."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import backends
import pytest
from runwire import _active


@contextmanager
def session(server: backends.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The fluent API on a server, its uploader a thread: what is logged is sent at the end."""
    monkeypatch.setenv("RUNWIRE_TRACKING_URI", server.uri)
    monkeypatch.setenv("RUNWIRE_EXPERIMENT_NAME", "fluent")
    monkeypatch.setenv("RUNWIRE_UPLOADER", "thread")
    monkeypatch.setenv("RUNWIRE_QUIET", "1")
    monkeypatch.setattr(_active, "_last", None)
    try:
        yield
    finally:
        _active.end_all()
        _active.context_run.set(None)
