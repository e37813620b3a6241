"""Is the training process of a journal still there?"""

from __future__ import annotations

import os
import select
import sys
from typing import Any

from runwire._journal_files import boot_id, process_start
from runwire._journal_place import can_be_seen


class Trainer:
    """Watches a process by a descriptor of it (Linux), else by its id and start time.

    Where ``is_seen`` is false it runs, or ran, where we cannot look: it is never known to be
    dead then.
    """

    def __init__(self, meta: dict[str, Any]):
        self._pid, self._start = int(meta["pid"]), str(meta["process_start"])
        self._fd = -1
        self.is_seen = can_be_seen(meta)
        self._gone = self.is_seen and (meta["boot_id"] != boot_id() or not self._is_same())
        # Not with select, which takes no descriptor above 1023. Who patches the standard
        # library for green threads may have removed poll.
        if (
            self.is_seen
            and not self._gone
            and hasattr(os, "pidfd_open")
            and hasattr(select, "poll")
        ):
            try:
                self._fd = os.pidfd_open(self._pid)
            except OSError:
                self._fd = -1  # no permission, or it has just ended: ask by id
            self._gone = not self._is_same()  # the id may have changed hands meanwhile

    @property
    def alive(self) -> bool:
        """Whether it is not known to be dead."""
        if self.is_seen and not self._gone:
            self._gone = not self._is_running()
        return not self._gone

    def _is_running(self) -> bool:
        if self._fd >= 0:
            # A descriptor of a process can be read from when it has ended.
            poll = select.poll()
            poll.register(self._fd, select.POLLIN)
            return not poll.poll(0)
        return self._is_same()

    def _is_same(self) -> bool:
        if self._start:
            return process_start(self._pid) == self._start
        if sys.platform == "win32":
            return _is_running_on_windows(self._pid)
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


if sys.platform == "win32":

    def _is_running_on_windows(pid: int) -> bool:
        import ctypes

        kernel = ctypes.windll.kernel32
        synchronize, still_waiting = 0x00100000, 0x102
        handle = kernel.OpenProcess(synchronize, False, pid)
        if not handle:
            return False
        try:
            return bool(kernel.WaitForSingleObject(handle, 0) == still_waiting)
        finally:
            kernel.CloseHandle(handle)
