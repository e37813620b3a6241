"""The journal: what the training process logs, on its way to the server.

Standard library only, no thread, no network. Once a call has returned, its record is in
a file of the page cache: killing the process does not lose it. The uploader, a process
of its own, sends and trims (``_uploader``). The format is in ``_journal_format``.

Bounded: segments take at most ``quota_bytes`` of disk. When they are full, a call waits
up to ``block_s`` for the uploader to make room (``when_full="block"``), then points are
dropped, counted, announced in the log, and told to the server as the run's tag
``runwire.dropped_points``. ``when_full="drop"`` does not wait.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from runwire._errors import FailedPreconditionError, invalid
from runwire._journal_files import boot_id, hold_lock, now_micros, process_start
from runwire._journal_format import ATTACH, CLOSE, CREATE, DROPPED, check_key, encode_control
from runwire._journal_place import place
from runwire._journal_run import RunLog, RunSchemas
from runwire._journal_segments import Segments
from runwire._journal_status import RUN_REFUSED, Status

# An uploader that keeps dying is started again, ever more rarely.
_FIRST_CHECK_S, _LAST_CHECK_S = 2.0, 300.0
# So is a journal of this process's own, where there was no room for one.
_FIRST_RETRY_S, _LAST_RETRY_S = 0.25, 60.0
# What a journal without records consists of.
_FIRST_FILES = ("meta.json.new", "meta.json", "schemas.jsonl", "next", "000001.seg", "status")


class JournalSettings(NamedTuple):
    """``uploader`` is "process", "thread" or "off" (offline: ``runwire sync`` sends later)."""

    quota_bytes: int = 1 << 30
    when_full: str = "block"
    block_s: float = 10.0
    uploader: str = "process"

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> JournalSettings:
        """RUNWIRE_JOURNAL_QUOTA (bytes), RUNWIRE_JOURNAL_FULL (block, drop),
        RUNWIRE_JOURNAL_BLOCK_S, RUNWIRE_UPLOADER (process, thread, off), RUNWIRE_MODE=offline.

        Raises InvalidArgumentError, naming the variable.
        """
        offline = _choice(environment, "RUNWIRE_MODE", ("online", "offline")) == "offline"
        return cls(
            quota_bytes=int(_number(environment, "RUNWIRE_JOURNAL_QUOTA", 1 << 30)),
            when_full=_choice(environment, "RUNWIRE_JOURNAL_FULL", ("block", "drop")),
            block_s=_number(environment, "RUNWIRE_JOURNAL_BLOCK_S", 10.0),
            uploader="off"
            if offline
            else _choice(environment, "RUNWIRE_UPLOADER", ("process", "thread", "off")),
        )


def _number(environment: Mapping[str, str], name: str, default: float) -> float:
    text = environment.get(name)
    try:
        return default if not text else float(text)
    except ValueError:
        raise invalid(name, f"{text!r} is not a number") from None


def _choice(environment: Mapping[str, str], name: str, choices: tuple[str, ...]) -> str:
    value = (environment.get(name) or choices[0]).lower()
    if value not in choices:
        raise invalid(name, f"{value!r} is not one of {', '.join(choices)}")
    return value


class Journal:
    """One writer: this process, until it forks. Made by ``Journal.open``.

    Safe for threads. After ``os.fork`` the child's runs attach themselves, at their
    first call, to a journal of the child's own.
    """

    status: Status

    def __init__(self, base: Path, tracking_uri: str, settings: JournalSettings):
        self.base, self.tracking_uri, self.settings = base, tracking_uri, settings
        self.writer_id = os.urandom(16).hex()
        self.directory = base / self.writer_id
        self.inherited = True
        self.closed = False
        self.segments = Segments(self.directory, None, 0, 0.0)
        self._runs: dict[str, RunSchemas] = {}
        self._run_count = self._schemas = 0
        self._definitions = -1
        self._dropped: dict[int, int] = {}  # points by run, since the start
        self._untold: set[int] = set()
        self._uploader_is_running: Callable[[], bool] = lambda: False
        self._uploader_check_at = 0.0
        self._uploader_check_s = _FIRST_CHECK_S
        self._uploader_error = ""  # as it was announced
        self._successor_at = 0.0
        self._successor_retry_s = _FIRST_RETRY_S
        self._spooled = 0

    @classmethod
    def open(
        cls,
        directory: Path | str,
        tracking_uri: str,
        *,
        settings: JournalSettings | None = None,
    ) -> Journal:
        """Make ``<directory>/<writer_id>/``. Starts no uploader: the first event does.

        Raises OSError where the directory cannot be written, InvalidArgumentError on bad settings.
        """
        journal = cls(
            Path(directory).absolute(), tracking_uri, settings or JournalSettings.from_environment()
        )
        try:
            journal._create()
        except BaseException:
            journal._close_definitions()
            journal._remove_unused()
            raise
        return journal

    @classmethod
    def elsewhere(cls, base: Path, tracking_uri: str, settings: JournalSettings) -> Journal:
        """Stands for the journal of another process: a run of it attaches at its first call."""
        return cls(base, tracking_uri, settings)

    def _create(self) -> None:
        self.directory.mkdir(parents=True)
        settings = self.settings
        wait = settings.when_full == "block" and settings.uploader != "off"
        self.status = Status.create(self.directory / "status")
        self.segments = Segments(
            self.directory, self.status, settings.quota_bytes, settings.block_s if wait else 0.0
        )
        self.segments.on_full = self.ensure_uploader
        self._definitions = os.open(
            self.directory / "schemas.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        self._write_meta()
        self.segments.open_first()
        self.inherited = False
        _live.add(self)

    def _write_meta(self) -> None:
        from runwire import __version__

        pid = os.getpid()
        meta = {
            "writer_id": self.writer_id,
            "tracking_uri": self.tracking_uri,
            "pid": pid,
            "process_start": process_start(pid),
            "boot_id": boot_id(),
            **place(),
            "quota_bytes": self.settings.quota_bytes,
            "client": f"python/{__version__}",
            "workspace": os.environ.get("RUNWIRE_WORKSPACE", ""),
            "create_time_micros": now_micros(),
            "uploader": self.settings.uploader,
        }
        hidden = self.directory / "meta.json.new"
        hidden.write_text(json.dumps(meta, indent=1))
        hidden.rename(self.directory / "meta.json")

    # Runs --------------------------------------------------------------------

    def create_run(self, run_id: str, payload: dict[str, Any]) -> RunLog:
        """A new run; ``payload`` is a CreateRunRequest as JSON, with proto field names."""
        run = self._register(run_id)
        self.record(CREATE, run.index, {"request": payload})
        return RunLog(run)

    def attach_run(self, run_id: str, *, resume: bool = True) -> RunLog:
        """An existing run: resumed and, when this process ends without a finish, closed by
        its uploader; or (``resume=False``) only written to, as one of several writers."""
        return RunLog(self._attached(run_id, resume=resume))

    def _attached(self, run_id: str, *, resume: bool) -> RunSchemas:
        run = self._register(run_id)
        self.record(ATTACH, run.index, {"resume": resume})
        return run

    def _register(self, run_id: str) -> RunSchemas:
        with self.segments.lock:
            self.check_open()
            run = self._runs.get(run_id)
            if run is not None:
                return run
            # Numbers are taken before they are used: a signal handler may come between. One
            # that found no room is not given again: part of its definition may be on disk.
            number = self._run_count
            self._run_count = number + 1
            if not self._define({"run": number, "run_id": run_id}):
                raise OSError(f"no room for a new run in {self.directory}")
            return self._runs.setdefault(run_id, RunSchemas(self, run_id, number))

    def successor_of(self, run: RunSchemas) -> RunSchemas | None:
        """A run of this inherited journal in the journal of this process's own.

        None: there is no room for one. It is announced, and tried again at intervals.
        """
        if time.monotonic() < self._successor_at:
            return None
        try:
            twin = self._twin(run.run_id)
        except OSError as error:
            self._retry_later(error)
            return None
        self._successor_at, self._successor_retry_s = 0.0, _FIRST_RETRY_S
        twin.journal._take_over(twin.index, self._take_dropped(run.index))
        return twin

    def _twin(self, run_id: str) -> RunSchemas:
        key = (self.base, self.tracking_uri)
        with _successors_lock:
            journal = _successors.get(key)
            if journal is None or journal.closed or journal.inherited:
                return self._first_twin(key, run_id)
        return journal._attached(run_id, resume=False)

    def _first_twin(self, key: tuple[Path, str], run_id: str) -> RunSchemas:
        journal = Journal.open(self.base, self.tracking_uri, settings=self.settings)
        try:
            twin = journal._attached(run_id, resume=False)
        except BaseException:
            journal.close()  # leaves nothing behind
            raise
        _successors[key] = journal
        _close_at_exit(journal)
        return twin

    def _retry_later(self, error: OSError) -> None:
        if self._successor_retry_s == _FIRST_RETRY_S:
            _warn(
                "no journal can be written in %s, what is logged is dropped: %s", self.base, error
            )
        self._successor_at = time.monotonic() + self._successor_retry_s
        self._successor_retry_s = min(self._successor_retry_s * 2, _LAST_RETRY_S)

    def _take_dropped(self, run: int) -> int:
        with self._counting():
            self._untold.discard(run)
            return self._dropped.pop(run, 0)

    def _take_over(self, run: int, points: int) -> None:
        """Points of a run that were dropped before it came here; told with its next row."""
        if points:
            with self.segments.lock:
                self._dropped[run] = self._dropped.get(run, 0) + points
                self._untold.add(run)

    # Records -----------------------------------------------------------------

    def define_schema(self, run: int, keys: tuple[str, ...]) -> int | None:
        """Declare a key set, once, before its first row. None: there is no room."""
        with self.segments.lock:
            self.check_open()
            self._schemas = schema = self._schemas + 1
            defined = self._define({"schema": schema, "run": run, "keys": keys})
            return schema if defined else None

    def _define(self, definition: dict[str, Any]) -> bool:
        """Under the lock: when the file is closed, its descriptor may be another file's."""
        line = json.dumps(definition, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
        if self._definitions < 0:
            return False
        size = os.fstat(self._definitions).st_size
        try:
            rest = memoryview(line)
            while rest:
                rest = rest[os.write(self._definitions, rest) :]
        except OSError:
            with contextlib.suppress(OSError):
                os.ftruncate(self._definitions, size)
            return False
        return True

    def _close_definitions(self) -> None:
        with self.segments.lock, contextlib.suppress(OSError):
            descriptor, self._definitions = self._definitions, -1
            if descriptor >= 0:
                os.close(descriptor)

    def record(self, kind: int, run: int, payload: dict[str, Any]) -> None:
        """Store an event of a run (slow door: also looks after the uploader)."""
        self.check_open()
        body = encode_control(kind, {"run": run, **payload})
        if self.inherited or not self.segments.append(0, body, control=True):
            _warn("the journal %s has no room: an event was dropped", self.directory)
        self.ensure_uploader()

    def _counting(self) -> threading.RLock:
        """The lock of the counts. That of an inherited journal nobody renews at a fork."""
        return _successors_lock if self.inherited else self.segments.lock

    def count_dropped(self, run: int, points: int) -> None:
        """Points that found no room. The first of a row of drops is announced."""
        with self._counting():
            if not self._untold and not self.inherited:
                _warn(
                    "the journal %s is full: points are dropped until there is room",
                    self.directory,
                )
            self._dropped[run] = self._dropped.get(run, 0) + points
            self._untold.add(run)

    def tell_dropped(self) -> None:
        """There is room again, or a run ends: the counts travel with the data."""
        if self.inherited:
            return
        for run in tuple(self._untold):
            body = encode_control(DROPPED, {"run": run, "points": self._dropped[run]})
            if not self.segments.append(0, body, control=True):
                return
            self._untold.discard(run)
            _warn(
                "%d points of run %d were dropped so far: the journal was full",
                self._dropped[run],
                run,
            )

    def stored_row(self) -> None:
        """After a row went through the slow door: there is room."""
        if self._untold:
            with self.segments.lock:
                self.segments.dropping = False
                self.tell_dropped()
        self.ensure_uploader()

    def check_open(self) -> None:
        if self.closed:
            raise FailedPreconditionError(f"the journal {self.directory} is closed")

    def spool_path(self) -> Path:
        """A new name in the spool for a file to be uploaded."""
        with self.segments.lock:
            self._spooled += 1
            number = self._spooled
        spool = self.directory / "artifacts"
        spool.mkdir(exist_ok=True)
        return spool / f"{number:06d}"

    # Delivery ----------------------------------------------------------------

    def ensure_uploader(self, *, now: bool = False) -> None:
        """Start an uploader where none is at work. Returns at once, and raises nothing that a
        machine without descriptors, processes or disk has to say: it is tried again later."""
        if self.inherited or self.settings.uploader == "off" or self._uploader_is_running():
            return
        moment = time.monotonic()
        if moment < self._uploader_check_at and not now:
            return
        self._uploader_check_at = moment + self._uploader_check_s
        try:
            self._start_uploader()
        except (OSError, RuntimeError) as error:
            if str(error) != self._uploader_error:
                _warn("no uploader can be started for %s at present: %s", self.directory, error)
            self._uploader_error = str(error)

    def _start_uploader(self) -> None:
        held = hold_lock(self.directory / "lock")
        if held is None:
            return
        os.close(held)
        from runwire._uploader_start import start_uploader

        self._uploader_check_s = min(self._uploader_check_s * 2, _LAST_CHECK_S)
        self._uploader_is_running = start_uploader(
            self.directory, thread=self.settings.uploader == "thread"
        )

    def flush(self, timeout_s: float | None = None) -> bool:
        """Wait until the server has all that was logged before this call.

        False: not within ``timeout_s`` (None waits without end), or the journal is
        offline. Raises RunwireError where the server refused a run for good.
        """
        if self.inherited:
            return True
        position = self.segments.position
        if self.settings.uploader == "off" and self.status.acknowledged < position:
            return False
        self.status.wanted = position
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        pause_s = 0.001
        while self.status.acknowledged < position:
            if deadline is not None and time.monotonic() >= deadline:
                return False
            self.ensure_uploader()
            time.sleep(pause_s)
            pause_s = min(pause_s * 1.5, 0.05)
        self._raise_refused()
        return True

    def _raise_refused(self) -> None:
        for run in tuple(self._runs.values()):
            if self.status.run_flags(run.index) & RUN_REFUSED:
                from runwire._journal_refused import refusal

                raise refusal(self.directory, run.run_id)

    def close(self) -> None:
        """Nothing more will be logged. Returns at once; the uploader sends what is left."""
        if self.closed or self.inherited:
            self.closed = True
            return
        with self.segments.lock:
            self.tell_dropped()
            self.segments.close(encode_control(CLOSE, {}))
            self.closed = True
            self._close_definitions()
        _live.discard(self)
        if not self._runs:
            self._remove_unused()
            return
        self.ensure_uploader(now=True)
        if self.settings.uploader == "thread":
            # The thread dies with the process; what it cannot send now waits for a sync.
            self.flush(self.settings.block_s)

    def _remove_unused(self) -> None:
        for name in _FIRST_FILES:
            with contextlib.suppress(OSError):
                (self.directory / name).unlink(missing_ok=True)
        with contextlib.suppress(OSError):
            self.directory.rmdir()

    def disown(self) -> None:
        """All of it belongs to the parent of this process, or was deleted."""
        with self.segments.lock:
            self.segments.disown()  # first: an inherited journal stores no row
            self.inherited = True
            self._close_definitions()
        _live.discard(self)


def attached_run(base: Path, tracking_uri: str, run_id: str, settings: JournalSettings) -> RunLog:
    """What a pickled RunLog becomes: a new writer to the same run, once it logs."""
    journal = Journal.elsewhere(base, tracking_uri, settings)
    return RunLog(RunSchemas(journal, run_id, -1))


def _warn(text: str, *arguments: object) -> None:
    with contextlib.suppress(OSError):  # a first import takes a descriptor
        import logging

        logging.getLogger("runwire").warning(text, *arguments)


def _close_at_exit(journal: Journal) -> None:
    import atexit

    atexit.register(journal.close)


def open_journals() -> list[Journal]:
    """This process's own, those of forked and unpickled runs too."""
    return [journal for journal in tuple(_live) if not journal.inherited]


_live: weakref.WeakSet[Journal] = weakref.WeakSet()
_successors: dict[tuple[Path, str], Journal] = {}
_successors_lock = threading.RLock()  # a signal handler may log meanwhile


def _after_fork_in_child() -> None:
    global _successors_lock
    _successors_lock = threading.RLock()
    for journal in tuple(_live):
        journal.segments.lock = threading.RLock()  # a thread of the parent may have it
        journal.disown()
        journal._dropped.clear()  # the parent tells them
        journal._untold.clear()
    _live.clear()
    _successors.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)

__all__ = ["Journal", "JournalSettings", "RunLog", "attached_run", "check_key", "open_journals"]
