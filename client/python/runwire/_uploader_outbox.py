"""What one run still has to tell the server, in the order in which it was logged."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from runwire._batches import BatchBuilder, SealedBatch, SeriesIds, text_bytes
from runwire._journal_format import (
    ARTIFACT,
    ATTACH,
    CREATE,
    DROPPED,
    FINISH,
    INPUTS,
    PARAMS,
    REMOVE_TAGS,
    TAGS,
    split_writer_position,
    writer_position,
)
from runwire._journal_reader import Chunk, RowBlock

DEFAULT_BATCH_BYTES = 1 << 20
MAX_BATCH_BYTES = 1 << 20
MIN_BATCH_BYTES = 16 * 1024
SEAL_AFTER_S = 0.1
DROPPED_TAG = "runwire.dropped_points"


@dataclass(slots=True)
class Event:
    """A create, attach or finish; ``start`` is its place in the journal."""

    kind: int
    start: int
    payload: dict[str, Any]


Item = Event | SealedBatch


@dataclass(slots=True)
class Outbox:
    """One run of one writer. The reading thread feeds it, a delivering thread empties
    ``items``; both under the uploader's lock.

    ``floor`` is where the server stands (position, items of the record there). Below
    ``events_from`` creates, attaches and finishes are done, below ``artifacts_from``
    artifacts are done or under way, below ``fed_to`` everything was fed before.
    """

    run: int
    run_id: str
    ids: SeriesIds
    inputs_to_bytes: Callable[[dict[str, Any]], bytes]
    reject: Callable[[Outbox, str, int, str], None]
    limit_bytes: int = DEFAULT_BATCH_BYTES  # of a batch, as the server advises
    most_bytes: int = MAX_BATCH_BYTES  # whatever it advises
    floor: tuple[int, int] = (0, 0)
    events_from: int = 0
    artifacts_from: int = 0
    fed_to: int = 0
    sequence: int = 0  # of the batch that was sealed last, and its writer position
    sealed_to: int = 0
    items: deque[Item] = field(default_factory=deque)
    builder: BatchBuilder | None = None
    built_to: int = 0  # writer position of what is in the builder
    declared: set[int] = field(default_factory=set)
    artifacts: dict[int, dict[str, Any]] = field(default_factory=dict)  # by position, not done
    paths: dict[str, list[int]] = field(default_factory=dict)  # of theirs -> positions, rising
    # Delivery.
    busy: bool = False
    ready_at: float = 0.0
    failures: int = 0
    contact_at: float = 0.0
    min_interval_s: float = 0.0
    refused: str = ""
    pinned_at: int | None = None  # from here on its data is kept, though it was refused
    max_unacked: int = 0  # batches under way at once, as the server advises; 0: as we like
    reopenings: int = 0
    beat_due: bool = False
    must_locate: bool = False  # ask the server where it stands, then rewind
    rewind_to: tuple[int, int] | None = None  # (committed sequence, writer position)
    # The run itself.
    opened: bool = False  # the server knows this writer may write
    is_open: bool = False  # created or resumed here, and not finished: ours to close
    reopened_from: dict[str, Any] | None = None  # how it had ended before we joined it

    @property
    def queued_bytes(self) -> int:
        return self.first_bytes(len(self.items))

    def first_bytes(self, count: int) -> int:
        """The size of the batches among the first items."""
        first = islice(self.items, count)
        return sum([item.size_bytes for item in first if isinstance(item, SealedBatch)])

    @property
    def first_sequence(self) -> int:
        """Of the first batch that is not acknowledged, sealed or still to be."""
        batches = (item for item in self.items if isinstance(item, SealedBatch))
        return next((batch.sequence for batch in batches), self.sequence + 1)

    @property
    def has_backlog(self) -> bool:
        """Whether another batch waits behind the one that is to be sent."""
        return len(self.items) > 1 and all(
            isinstance(item, SealedBatch) for item in islice(self.items, 2)
        )

    def acknowledge(self, sequence: int, position: int) -> bool:
        """Drop the batches up to this one; False: it is not the one that was sealed here."""
        place = sequence - self.first_sequence
        item = self.items[place] if place < len(self.items) else None
        if not isinstance(item, SealedBatch) or item.position != position:
            return False
        self.floor = split_writer_position(position)
        for _ in range(place + 1):
            self.items.popleft()
        return True

    def oldest(self) -> int | None:
        """The position of the first thing that is not done."""
        starts = list(self.artifacts)
        if self.items:
            starts.append(self.items[0].start)
        elif self.builder is not None and not self.builder.is_empty:
            starts.append(self.builder.start)
        return min(starts, default=None)

    def oldest_event(self) -> int | None:
        """The same for events and artifacts only."""
        starts = [item.start for item in self.items if isinstance(item, Event)]
        return min([*starts, *self.artifacts], default=None)

    # Feeding -----------------------------------------------------------------

    def careful_to(self) -> int:
        """Up to here records must be fed one by one: some may be with the server."""
        return max(self.floor[0] + 8 if any(self.floor) else 0, self.fed_to)

    def feed_rows(self, chunk: Chunk, blocks: list[RowBlock]) -> bool:
        """Take a chunk's rows; False: too much at once, read it again in smaller pieces."""
        skip = self._skip(chunk.start)
        if skip is None or self._is_refused(chunk):
            return True
        wires = [self.ids.wire(block.schema) for block in blocks]
        rows = [block.rows for block in blocks]
        builder = self._room(chunk.start, lambda b: sum(map(b.cost, wires, rows)))
        if builder is None:
            if len(blocks) > 1 or blocks[0].rows > 1:
                return False
            self._feed_wide(chunk, blocks[0], skip)
            return True
        if skip:
            self._feed_wide(chunk, blocks[0], skip)
            return True
        for wire, block in zip(wires, blocks, strict=True):
            builder.add_rows(wire, block)
        self.built_to = writer_position(chunk.end)
        return True

    def _is_refused(self, chunk: Chunk) -> bool:
        if self.refused and self.pinned_at is None:
            self.pinned_at = chunk.start
        return bool(self.refused)

    def refuse(self, reason: str) -> None:
        """Nothing of this run can be delivered; what it has to say stays where it is."""
        self.pinned_at = self.oldest()
        self.refused = reason
        self.items.clear()
        self.artifacts.clear()
        self.paths.clear()
        self.builder = None
        self.is_open, self.reopened_from = False, None

    def _skip(self, position: int) -> int | None:
        """Items of this record that the server has; None: all of them."""
        floor, part = self.floor
        if position < max(floor, self.fed_to):
            return None
        return part if position == floor else 0

    def _room(self, start: int, cost: Callable[[BatchBuilder], int]) -> BatchBuilder | None:
        """The builder, emptied if need be, where it can take this; None: no batch can."""
        builder = self._builder(start)
        if builder.size_bytes + cost(builder) <= self.limit_bytes:
            return builder
        self.seal()
        builder = self._builder(start)
        return builder if builder.size_bytes + cost(builder) <= self.limit_bytes else None

    def _builder(self, start: int) -> BatchBuilder:
        if self.builder is None:
            self.builder = BatchBuilder(self.declared, start)
        return self.builder

    def _feed_wide(self, chunk: Chunk, block: RowBlock, key: int) -> None:
        """One row in several batches, each a dense frame of some of its keys."""
        wire = self.ids.wire(block.schema)
        self.seal()
        while key < wire.keys:
            builder = self._builder(chunk.start)
            end = builder.columns_within(wire, key, self.limit_bytes)
            builder.add_slice(wire, block, key, end)
            key = end
            if key < wire.keys:
                self.built_to = writer_position(chunk.start, key)
                self.seal()
        self.built_to = writer_position(chunk.end)

    def feed_event(self, kind: int, payload: dict[str, Any], chunk: Chunk) -> None:
        """A control record of this run."""
        if self._is_refused(chunk):
            return
        if kind == ARTIFACT:
            if chunk.start >= max(self.artifacts_from, self.fed_to):
                self.artifacts[chunk.start] = payload
                self.paths.setdefault(payload["path"], []).append(chunk.start)
            return
        if kind in (CREATE, ATTACH, FINISH):
            if chunk.start >= max(self.events_from, self.fed_to):
                self.seal()
                self.items.append(Event(kind, chunk.start, payload))
                if kind != ATTACH or payload["resume"]:
                    self.is_open = kind != FINISH
            return
        skip = self._skip(chunk.start)
        if skip is None:
            return
        for done, (key, value) in enumerate(_entries(kind, payload)):
            if done >= skip:
                self._feed_entry(kind, key, value, chunk.start, done)
        self.built_to = writer_position(chunk.end)

    def _feed_entry(self, kind: int, key: str, value: Any, start: int, done: int) -> None:
        message = self.inputs_to_bytes(value) if kind == INPUTS else b""
        size = len(message) or text_bytes(key, value or "")
        self.built_to = writer_position(start, done)
        if self.builder is not None and _clashes(self.builder, kind, key, value):
            self.seal()
        builder = self._room(start, lambda _: size)
        if builder is None:
            self.reject(self, key, 0, "TOO_LARGE: it does not fit in a batch")
        elif kind == PARAMS:
            builder.add_text(builder.params, key, value)
        elif kind == INPUTS:
            builder.add_input(message)
        elif kind == REMOVE_TAGS:
            builder.remove_tag(key)
        else:
            builder.add_text(builder.tags, key, value)
        self.built_to = writer_position(start, done + 1)

    # Artifacts ---------------------------------------------------------------

    def replaced(self, path: str, position: int) -> list[int]:
        """The artifacts before this one that were logged to its path."""
        return [earlier for earlier in self.paths.get(path, ()) if earlier < position]

    def artifact_done(self, path: str, position: int) -> None:
        """It is with the server, or never will be."""
        self.artifacts.pop(position, None)
        positions = self.paths.get(path, [])
        if position in positions:
            positions.remove(position)
        if not positions:
            self.paths.pop(path, None)

    # Sealing -----------------------------------------------------------------

    def seal(self) -> None:
        """Close the batch in the builder, if there is one with content."""
        builder, self.builder = self.builder, None
        if builder is None or builder.is_empty:
            return
        self.sequence += 1
        self.items.append(builder.seal(self.sequence, self.sealed_to, self.built_to))
        self.sealed_to = self.built_to

    def seal_if_due(self, now: float, *, wanted: bool) -> None:
        """While a batch waits to be sent, the next one goes on growing."""
        if self.builder is None or self.items:
            return
        if wanted or now - self.builder.opened_at >= max(SEAL_AFTER_S, self.min_interval_s):
            self.seal()

    def rewind(self, read_to: int) -> int:
        """Forget what is not committed; returns the position to read again from."""
        if self.rewind_to is None:
            raise RuntimeError("nothing to rewind to")
        (self.sequence, self.sealed_to), self.rewind_to = self.rewind_to, None
        self.floor = split_writer_position(self.sealed_to)
        read_to = max(read_to, self.fed_to)
        starts = [item.start for item in self.items if isinstance(item, Event)]
        self.events_from = min(starts, default=read_to)
        self.artifacts_from = read_to
        self.fed_to = 0
        self.items.clear()
        self.builder = None
        return min(self.floor[0], self.events_from)

    def is_idle(self) -> bool:
        return self.oldest() is None and not self.busy

    def is_over(self) -> bool:
        """Whether nobody has to think of it until it is fed again."""
        waits = self.is_open or self.refused or self.reopened_from
        return self.is_idle() and not waits

    def is_ready(self, now: float) -> bool:
        """Whether its first item, or a heartbeat, can go out now."""
        if self.busy or self.refused or self.rewind_to or now < self.ready_at:
            return False
        if not self.items:
            return self.beat_due
        item = self.items[0]
        if isinstance(item, SealedBatch):
            return now >= self.contact_at + self.min_interval_s
        return item.kind != FINISH or not any(start < item.start for start in self.artifacts)

    def wait(self, seconds: float) -> None:
        self.ready_at = time.monotonic() + seconds


def _clashes(builder: BatchBuilder, kind: int, key: str, value: Any) -> bool:
    """Whether the order of this entry and an earlier one of the batch matters."""
    if kind == PARAMS:
        return key in builder.params and builder.params[key] != value
    if kind == REMOVE_TAGS:
        return key in builder.tags
    return kind in (TAGS, DROPPED) and key in builder.removed_tags


def _entries(kind: int, payload: dict[str, Any]) -> list[tuple[str, Any]]:
    if kind == PARAMS:
        return list(payload["params"].items())
    if kind == TAGS:
        return list(payload["tags"].items())
    if kind == REMOVE_TAGS:
        return [(key, None) for key in payload["keys"]]
    if kind == INPUTS:
        return [(each.get("name", ""), each) for each in payload["inputs"]]
    if kind == DROPPED:
        return [(DROPPED_TAG, str(payload["points"]))]
    return []
