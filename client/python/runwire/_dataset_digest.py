"""Digests of data: the same data gives the same digest, in any process, on any platform.

SHA-256, whose first 16 hex digits name arrays and frames. Every part that goes in stands
behind its length. How much is read is bounded, so that a dataset of any size costs about a
second at most: past a bound, evenly spaced blocks (the first and the last among them) stand
for the whole, beside its size. Where two datasets differ between the blocks only, the digest
does not tell them apart; give one of your own there.

- Array: type and shape, then its elements in C order, little endian. Past 256 MiB: 256 blocks
  of 1 MiB.
- Frame: for each column its name, then its values. Numbers and booleans as arrays; times as
  seconds and nanoseconds since 1970, whatever their unit; others cell by cell in the form of
  ``text_of``, so that it does not matter how pandas keeps texts and categories. Past a
  million cells of these in all, evenly spaced rows. The index does not count.
- File: "sha256:" and the digest of its bytes, as ``sha256sum`` has it, and as the artifact of the
  same bytes has. Several files: "sha256:" and what a tree of artifacts with them would have
  (``CommitArtifactsResponse.tree_digest``). Past 1 GiB in all: "sampled:" and 16 digits, of all
  paths and sizes and of 1,024 blocks of 1 MiB of the files one after the other.
"""

from __future__ import annotations

import hashlib
import json
import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

BLOCK_BYTES = 1 << 20
ARRAY_BLOCKS = 256
FILE_BLOCKS = 1024
MAX_CELLS = 1_000_000
# Of a text in a cell.
MAX_CHARACTERS = 4096


class Hash:
    """SHA-256 over parts, each behind its length."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()

    def add(self, part: bytes | memoryview) -> None:
        self._sha256.update(len(part).to_bytes(8, "little"))
        self._sha256.update(part)

    def digest(self) -> str:
        return self._sha256.hexdigest()[:16]


def of_arrays(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Of arrays under their names, in their order."""
    found = Hash()
    for name, array in arrays.items():
        found.add(json.dumps(name).encode())
        _add_array(found, array, ARRAY_BLOCKS)
    return found.digest()


def of_frame(df: pd.DataFrame) -> str:
    """Of a DataFrame's columns, in their order."""
    kinds = [_kind(dtype) for dtype in df.dtypes]
    blocks = max(2, ARRAY_BLOCKS // max(1, len(kinds) - kinds.count("object")))
    rows = max(2, MAX_CELLS // max(1, kinds.count("object")))
    found = Hash()
    found.add(str(len(df)).encode())
    for number, kind in enumerate(kinds):
        found.add(json.dumps(text_of(df.columns[number])).encode())
        column = df.iloc[:, number]
        if kind == "object":
            some = column if len(df) <= rows else column.iloc[list(_spread(len(df), rows))]
            _add_cells(found, some.tolist())
        elif kind == "time":
            for part in _times(column):
                _add_array(found, part, blocks)
        else:
            _add_array(found, column.to_numpy(), blocks)
    return found.digest()


def text_of(value: Any) -> str:
    """A value of any kind as text: "i1", "f0x1.8p+0", "stext". What is missing (None, NaN, NaT,
    NA) is "n", a long text its beginning and length, an object of another kind its type alone.
    """
    if value is None or type(value).__name__ in ("NAType", "NaTType"):
        return "n"
    if isinstance(value, str):
        more = f"…{len(value)}" if len(value) > MAX_CHARACTERS else ""
        return f"s{value[:MAX_CHARACTERS]}{more}"
    if isinstance(value, bool):
        return f"b{value:d}"
    if isinstance(value, numbers.Integral):
        return f"i{int(value)}"
    if isinstance(value, float):
        return "n" if math.isnan(value) else f"f{float(value).hex()}"
    if isinstance(value, bytes):
        return f"y{hashlib.sha256(value).hexdigest()}"
    if isinstance(value, Mapping):
        return "m" + json.dumps(sorted((text_of(key), text_of(one)) for key, one in value.items()))
    if isinstance(value, list | tuple | set | frozenset):
        texts = [text_of(one) for one in value]
        return "l" + json.dumps(texts if isinstance(value, list | tuple) else sorted(texts))
    if hasattr(value, "isoformat"):
        return f"t{value.isoformat()}"
    if hasattr(value, "tolist"):  # numpy
        plain = value.tolist()
        return text_of(plain) if type(plain) is not type(value) else f"o{type(value).__name__}"
    return f"d{value}" if isinstance(value, numbers.Number) else f"o{type(value).__name__}"


def of_files(files: Mapping[str, Path]) -> str:
    """Of files by their paths; of one alone its path does not count. Raises OSError."""
    sizes = {path: files[path].stat().st_size for path in sorted(files, key=str.encode)}
    if sum(sizes.values()) > FILE_BLOCKS * BLOCK_BYTES:
        return f"sampled:{_sampled(files, sizes)}"
    if len(files) == 1:
        (file,) = files.values()
        return _of_bytes(file)
    tree = hashlib.sha256()
    for path in sizes:
        tree.update(f"{path}\0{_of_bytes(files[path])}\n".encode())
    return f"sha256:{tree.hexdigest()}"


def _of_bytes(file: Path) -> str:
    with file.open("rb") as opened:
        return f"sha256:{hashlib.file_digest(opened, 'sha256').hexdigest()}"


def _sampled(files: Mapping[str, Path], sizes: Mapping[str, int]) -> str:
    found = Hash()
    # One file has the same digest under any name.
    found.add(json.dumps([*sizes.items()] if len(sizes) > 1 else [*sizes.values()]).encode())
    offsets = _spread(sum(sizes.values()) - BLOCK_BYTES + 1, FILE_BLOCKS)
    begin = 0
    for path, size in sizes.items():
        within = [one - begin for one in offsets if begin <= one < begin + size]
        begin += size
        if within:
            with files[path].open("rb") as opened:
                for offset in within:
                    opened.seek(offset)
                    found.add(opened.read(BLOCK_BYTES))
    return found.digest()


def _spread(size: int, most: int) -> Sequence[int]:
    """``most`` indices (two at least) below ``size``, from the first to the last; or all."""
    if size <= most:
        return range(size)
    return [index * (size - 1) // (most - 1) for index in range(most)]


def _kind(dtype: Any) -> str:
    """How a column goes in: "array", "time", or "object" for cell by cell."""
    kind = getattr(dtype, "kind", "O")
    if kind in "Mm" and not _is_of_extension(dtype):
        return "time"
    return "array" if kind in "biufc" and not _is_of_extension(dtype) else "object"


def _is_of_extension(dtype: Any) -> bool:
    """Of pandas and not of numpy: nullable, categories, Arrow; time zones are neither here."""
    return hasattr(dtype, "na_value") and not hasattr(dtype, "tz")


def _times(column: Any) -> Iterator[NDArray[Any]]:
    """Seconds, and nanoseconds beside them: no unit makes a difference."""
    import numpy as np

    if hasattr(column.dtype, "tz"):
        column = column.dt.tz_convert("UTC").dt.tz_localize(None)
    values = column.to_numpy()
    seconds = values.astype(f"{values.dtype.kind}8[s]")
    yield seconds.astype(np.int64)
    yield (values - seconds).astype("m8[ns]").astype(np.int64)


def _add_cells(found: Hash, cells: list[Any]) -> None:
    for start in range(0, len(cells), 10_000):
        texts = [text_of(one) for one in cells[start : start + 10_000]]
        found.add(json.dumps(texts).encode())


def _add_array(found: Hash, array: NDArray[Any], most_blocks: int) -> None:
    import numpy as np

    form = array.dtype.newbyteorder("<")
    found.add((str(form.descr) if form.names else form.str).encode())
    found.add(json.dumps(array.shape).encode())
    if form.hasobject:
        cells = array.reshape(-1)
        _add_cells(found, [cells[one] for one in _spread(cells.size, MAX_CELLS)])
        return
    is_flat = array.ndim == 1 or array.flags.c_contiguous
    flat = array.reshape(-1) if is_flat else array.flat
    step = max(1, BLOCK_BYTES // max(1, array.itemsize))
    blocks = -(-array.size // step)
    if blocks <= most_blocks:
        starts: Sequence[int] = range(0, array.size, step)
    else:
        starts = _spread(array.size - step + 1, most_blocks)
    for start in starts:
        block = np.ascontiguousarray(flat[start : start + step]).astype(form, copy=False)
        found.add(block.tobytes())
