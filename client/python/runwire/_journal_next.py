"""The segment that comes next, made ready in small steps while the present one fills.

To unmap a full segment, to make a file, reserve its blocks and map it takes up to a
millisecond in all. No call pays for all of it: a step is taken every ``STEP_BYTES`` of
records, by the call that crosses that line and after its own record is stored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from runwire._journal_files import Mapping, create_mapped, unmap

STEP_BYTES = 32 * 1024
# Measured 10 to 20 us: each page has to be marked as changed.
_UNMAPPED_AT_ONCE_BYTES = 256 * 1024


class NextSegment:
    """``before`` is the full segment whose pages are given back first; ``has_room`` says
    whether the quota allows for a segment of so many bytes."""

    def __init__(
        self,
        directory: Path,
        capacity: int,
        before: Mapping | None,
        has_room: Callable[[int], bool],
    ):
        self.capacity = capacity
        self.path = directory / "next"
        self._mapping: Mapping | None = None
        self._has_room = has_room
        self._steps = self._prepare(before)

    def _prepare(self, before: Mapping | None) -> Iterator[None]:
        if before is not None:
            for start in range(0, before.size, _UNMAPPED_AT_ONCE_BYTES):
                unmap(before, start, min(_UNMAPPED_AT_ONCE_BYTES, before.size - start))
                yield
            before = None
            yield
        if self._has_room(self.capacity):
            self._mapping = create_mapped(self.path, self.capacity)

    def take_step(self) -> None:
        """What fails here is tried again, and told, by ``ready``."""
        # A signal handler that logs meanwhile finds no step to take.
        steps, self._steps = self._steps, iter(())
        with suppress(OSError):
            next(steps, None)
        self._steps = steps

    def ready(self) -> Mapping:
        """The segment, with what is still missing. Raises OSError: disk or folder say no."""
        if self._mapping is None:
            self.path.unlink(missing_ok=True)  # of a step that was interrupted
            self._mapping = create_mapped(self.path, self.capacity)
        return self._mapping

    def discard(self) -> None:
        """It will not be needed."""
        self._steps, self._mapping = iter(()), None
        with suppress(OSError):
            self.path.unlink(missing_ok=True)
