"""The active run: of this context, or else the latest of this process.

``start_run`` makes a run active in the present context (``contextvars``): in this thread,
or this asyncio task and those it starts. Contexts do not flow into new threads, and a
training job's helper threads have no run of their own; so a thread without one logs to
the run that this process started last and has not ended. Ending a run in the thread that
started it works from any context: notebooks run each cell in a context of its own.
"""

from __future__ import annotations

import atexit
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from contextvars import ContextVar
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self, SupportsFloat, SupportsIndex, cast

from runwire import _session
from runwire._errors import FailedPreconditionError, RunwireError, invalid

if TYPE_CHECKING:
    from runwire._journal import RunLog
    from runwire._run_handle import Run, RunData, RunInfo, RunInputs

ENDED = ("FINISHED", "FAILED", "KILLED")
MAX_VALUE_BYTES = 64 * 1024

context_run: ContextVar[ActiveRun | None] = ContextVar("runwire_run", default=None)
_lock = threading.Lock()
_started: list[ActiveRun] = []  # of this process and not ended, oldest first
_last: ActiveRun | None = None
_uncaught: type[BaseException] | None = None


class ActiveRun:
    """A run that this process logs to. As a context manager it ends the run: FINISHED, FAILED
    after an exception, KILLED after Ctrl-C.

    Safe for threads. A child of ``fork()`` that uses it, and a process that unpickles it,
    log to the same run as writers of their own. They do not end it, neither when they end
    nor with a ``with`` block, which makes an unpickled run the active one for its length.
    """

    def __init__(self, log: RunLog, known: dict[str, Any] | None = None):
        self.run_id = log.run_id
        self.log = log
        self.log_row: Callable[..., None] = log.log_metrics
        self.log_value: Callable[..., None] = log.log_metric
        # What needs no server: the fields of ``info`` that this process gave itself.
        self.known = {
            "run_id": self.run_id,
            "run_uuid": self.run_id,
            "artifact_uri": f"runs:/{self.run_id}",
            **(known or {}),
        }
        self.ended = False
        self.outer: ActiveRun | None = None
        self.tables: dict[str, Any] = {}
        self._params: dict[str, str] = {}
        self._pid = os.getpid()
        self._thread = threading.get_ident()

    # Logging ----------------------------------------------------------------------

    def log_metric(self, key: str, value: SupportsFloat, step: SupportsIndex | None = None) -> None:
        """One value. Costs about a microsecond, whatever the server does."""
        self.log_value(key, value, 0 if step is None else step)

    def log_metrics(
        self, metrics: Mapping[str, SupportsFloat], step: SupportsIndex | None = None
    ) -> None:
        """One row of values at a step. Raises TypeError or ValueError for a wrong key or value."""
        self.log_row(metrics, 0 if step is None else step)

    def log_params(self, params: Mapping[str, Any]) -> None:
        """Write-once values. Raises ``FailedPreconditionError`` (reason PARAM_CONFLICT) for
        another value of a param that this process logged, and then logs none of them."""
        self._check_open()
        texts = {key: text_of("param", key, value) for key, value in params.items()}
        for key, text in texts.items():
            if self._params.get(key, text) != text:
                raise FailedPreconditionError(
                    f"param {key!r} was logged as {self._params[key][:200]!r} and cannot become "
                    f"{text[:200]!r}: params are written once. Use a tag or a metric for what "
                    "changes, or another run",
                    reason="PARAM_CONFLICT",
                    metadata={"key": key},
                )
        self.log.log_params(texts)
        self._params.update(texts)

    def set_tags(self, tags: Mapping[str, Any]) -> None:
        """The last value of a tag counts."""
        texts = {key: text_of("tag", key, value) for key, value in tags.items()}
        self._check_open()
        self.log.set_tags(texts)

    def delete_tag(self, key: str) -> None:
        self._check_open()
        self.log.remove_tags([key])

    @property
    def is_ours(self) -> bool:
        """Started by this process, not by one that forked or pickled it."""
        return self._pid == os.getpid()

    @property
    def stop_requested(self) -> bool:
        """Whether somebody asked this run to stop (``runwire runs stop``)."""
        return self.log.stop_requested

    # Ending -----------------------------------------------------------------------

    def finish(
        self, status: str = "FINISHED", *, wait: bool = False, timeout: float | None = None
    ) -> bool:
        """End the run as FINISHED, FAILED or KILLED, once all that was logged is in.

        Returns at once; with ``wait`` when the server has it, or False after ``timeout`` s.
        """
        if status not in ENDED:
            raise invalid("status", f"{status!r} is not one of {', '.join(ENDED)}")
        if not self.ended:
            self._leave()
            if self.is_ours:
                end_time_micros = time.time_ns() // 1000
                self.known |= {"status": status, "end_time": end_time_micros // 1000}
                self.log.finish(status, end_time_micros)
        return self.log.journal.flush(timeout) if wait else True

    def _leave(self) -> None:
        """Nothing more is logged to it from here."""
        global _last
        self.ended = True
        self.log_row = self.log_value = self._refuse_row
        with _lock:
            if self in _started:
                _started.remove(self)
            _last = self
        if context_run.get() is self:
            context_run.set(self.outer)

    def _check_open(self) -> None:
        if self.ended:
            self._refuse()

    def _refuse_row(self, *_: object) -> NoReturn:
        self._refuse()

    def _refuse(self) -> NoReturn:
        raise FailedPreconditionError(
            f"run {self.run_id} has ended here; start_run(run_id={self.run_id!r}) resumes it",
            reason="RUN_SEALED",
            metadata={"run_id": self.run_id},
        )

    def __enter__(self) -> Self:
        if not self.is_ours and of_context() is not self:
            activate(self)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for run in _inner_first(self):
            run.finish(status_after(kind, error))

    # Reading ----------------------------------------------------------------------

    def read(self) -> Run:
        """The run as the server has it, after what was logged here has arrived."""
        from runwire._run_handle import run_of

        _session.flush_own()
        return run_of(_session.client().runs.get(self.run_id))

    @property
    def info(self) -> RunInfo:
        """What this process knows, else (one attribute needing it) what the server has."""
        return cast("RunInfo", _Info(self))

    @property
    def data(self) -> RunData:
        return self.read().data

    @property
    def inputs(self) -> RunInputs:
        return self.read().inputs

    def __reduce__(self) -> tuple[object, ...]:
        return _unpickled, (self.log, {k: v for k, v in self.known.items() if k != "experiment"})

    def __repr__(self) -> str:
        return f"<runwire run {self.known.get('run_name', '')} ({self.run_id})>"


def _unpickled(log: RunLog, known: dict[str, Any]) -> ActiveRun:
    run = ActiveRun(log, known)
    run._pid = 0  # it belongs to the process that started it
    return run


class _Info:
    """``RunInfo`` of a run that is under way: reads only what it is asked for."""

    def __init__(self, run: ActiveRun):
        self._run = run

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        known = self._run.known
        if name in known:
            return known[name]
        if name == "experiment_id" and "experiment" in known:
            return known["experiment"].experiment_id
        return getattr(self._run.read().info, name)

    def __repr__(self) -> str:
        return f"RunInfo({', '.join(f'{key}={value!r}' for key, value in self._run.known.items())})"


# Which run is active ------------------------------------------------------------------


def activate(run: ActiveRun) -> None:
    """Make a run the active one of this context and the latest of this process."""
    run.outer = context_run.get()
    context_run.set(run)
    with _lock:
        _started.append(run)
    watch_the_end()


def of_context() -> ActiveRun | None:
    """The innermost run of this context that has not ended."""
    run = context_run.get()
    while run is not None and run.ended:
        run = run.outer
    return run


def find() -> ActiveRun | None:
    """The run that a log call goes to; None: one has to be started."""
    return of_context() or of_thread() or _latest(_started)


def of_thread() -> ActiveRun | None:
    """The latest run that this thread started, from whatever context, and has not ended."""
    thread = threading.get_ident()
    mine = [run for run in _started if run._thread == thread and run.is_ours]
    return _latest(mine)


def enclosing() -> ActiveRun | None:
    """The run that a nested one is a part of. In a worker thread without one that is the main
    thread's latest: the latest of the process may be another worker's."""
    main = threading.main_thread().ident
    return of_context() or of_thread() or _latest([run for run in _started if run._thread == main])


def _inner_first(run: ActiveRun) -> list[ActiveRun]:
    """A run, after those that were started inside it in this context and left open."""
    inside: list[ActiveRun] = []
    inner = context_run.get()
    while inner is not None and inner is not run:
        inside.append(inner)
        inner = inner.outer
    return [*inside, run] if inner is run else [run]


def last() -> ActiveRun | None:
    """The active run, else the one that ended last."""
    return find() or _last


def _latest(runs: list[ActiveRun]) -> ActiveRun | None:
    latest = runs[-1:]  # one step: another thread may end it between a look and a grasp
    return latest[0] if latest else None


def status_after(kind: type[BaseException] | None, error: BaseException | None) -> str:
    """How a run ends that an exception ended."""
    if kind is None:
        return "FINISHED"
    if issubclass(kind, SystemExit):
        return "FINISHED" if getattr(error, "code", None) in (None, 0) else "FAILED"
    return "KILLED" if issubclass(kind, KeyboardInterrupt) else "FAILED"


def text_of(what: str, key: str, value: object) -> str:
    """A param's or tag's value as it is stored. Raises TypeError or InvalidArgumentError."""
    from runwire._journal_format import check_key

    check_key(what, key)
    text = value if isinstance(value, str) else str(value)
    field = f"{what} {key!r}"
    if "\0" in text:
        raise invalid(field, "a value must not hold a NUL character")
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        raise invalid(field, f"{text[:80]!r} is not valid text") from None
    if size > MAX_VALUE_BYTES:
        raise invalid(
            field,
            f"{size} bytes, the limit is {MAX_VALUE_BYTES}; log_text() takes texts of any size",
        )
    return str(text)


# The end of the process ---------------------------------------------------------------

_is_watched = False


def watch_the_end() -> None:
    """Runs that are left open end with the process; an uncaught exception makes them FAILED."""
    global _is_watched
    if _is_watched:
        return
    _is_watched = True
    before = sys.excepthook

    def note(kind: type[BaseException], error: BaseException, traceback: Any) -> None:
        global _uncaught
        if not hasattr(sys, "ps1"):  # at a prompt the session goes on
            _uncaught = kind
        before(kind, error, traceback)

    sys.excepthook = note
    atexit.register(end_all)


def end_all() -> None:
    """End what is open, inner runs first, and close the session; nothing is awaited."""
    status = status_after(_uncaught, None)
    for run in reversed(tuple(_started)):
        with suppress(RunwireError, OSError):
            run.finish(status)
    _session.close()


def _forget_parent() -> None:
    """In a child of a fork: the lock may have been held. Runs stay: the child logs to them."""
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_parent)
