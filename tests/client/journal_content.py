"""What a reader finds in a journal, as plain values."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runwire._journal_reader import JournalReader

Row = tuple[tuple[str, ...], int, int, tuple[float, ...]]


@dataclass
class Content:
    """All that a reader finds: rows in order within a key set, and control records."""

    rows: list[Row] = field(default_factory=list)
    control: list[tuple[int, dict[str, Any]]] = field(default_factory=list)


def content(directory: Path, chunk_bytes: int = 4096) -> Content:
    reader, found = JournalReader(directory), Content()
    while (chunk := reader.read(chunk_bytes)) is not None:
        if chunk.control is not None:
            found.control.append(chunk.control)
        for block in chunk.blocks:
            keys = reader.definitions.schema(block.schema).keys
            values = array("d", block.values)
            for row, step in enumerate(array("q", block.steps)):
                one = tuple(values[row * len(keys) : (row + 1) * len(keys)])
                found.rows.append((keys, step, array("q", block.times)[row], one))
    return found
