"""The fluent API's images: from pixels or PIL to a file."""

from __future__ import annotations

import io
import itertools
import operator
import os
import time
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from runwire._errors import invalid
from runwire._fluent import current, warn
from runwire._fluent_artifact import check_file

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

FORMATS = {
    ".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".gif": "GIF", ".bmp": "BMP", ".webp": "WEBP",
    ".tif": "TIFF", ".tiff": "TIFF",
}  # fmt: skip
_count = itertools.count()


def log_image(
    image: Any,
    artifact_file: str | None = None,
    key: str | None = None,
    step: int | None = None,
    timestamp: int | None = None,
    synchronous: bool | None = None,
) -> None:
    """Log an image: a PIL image, or a numpy array (height, width) or (height, width, 1, 3 or 4).

    Under ``artifact_file``, or as one of a row of images under ``key`` and ``step``:
    ``images/KEY/STEP-MILLIS-NUMBER.png``. Arrays need Pillow. Booleans become black and white,
    integers go from 0 to 255 (others raise ``InvalidArgumentError``), floats from 0 to 1; an
    image with other floats is stretched from its least to its greatest, and a warning says so.
    NaN is 0.

    >>> runwire.log_image(sample, key="samples", step=100)
    """
    if (artifact_file is None) == (key is None):
        raise invalid("artifact_file", "give exactly one of artifact_file and key")
    if artifact_file is not None and not (step is None and timestamp is None):
        raise invalid("artifact_file", "step and timestamp go with key, not with artifact_file")
    path = check_file(_of_row(key, step, timestamp) if artifact_file is None else artifact_file)
    data = encoded(image, path)
    run = current()
    run.log.log_artifact_bytes(data, path)
    if synchronous:
        run.log.journal.flush()


def _of_row(key: str | None, step: int | None, timestamp: int | None) -> str:
    """Another name for each, whatever process or thread logs it, in their order."""
    millis = time.time_ns() // 1_000_000 if timestamp is None else operator.index(timestamp)
    number = f"{next(_count) % 10_000:04d}{os.urandom(2).hex()}"
    return f"images/{key}/{operator.index(step or 0):08d}-{millis}-{number}.png"


def encoded(image: Any, path: str) -> bytes:
    """The bytes of an image file. Raises ``InvalidArgumentError`` and TypeError."""
    format_name = FORMATS.get(PurePosixPath(path).suffix.lower())
    if format_name is None:
        raise invalid("artifact_file", f"{path!r} does not end as an image does: .png …")
    picture = image if hasattr(image, "save") else _picture(image)
    buffer = io.BytesIO()
    try:
        picture.save(buffer, format=format_name)
    except (OSError, ValueError, KeyError) as error:
        raise invalid("image", f"it cannot be stored as {format_name}: {error}") from error
    return buffer.getvalue()


def _picture(image: Any) -> Any:
    import numpy as np
    from PIL import Image

    pixels = np.asarray(image)
    if pixels.ndim == 3 and pixels.shape[2] == 1:
        pixels = pixels[:, :, 0]
    is_image = pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (3, 4))
    if not is_image or not pixels.size:
        raise invalid("image", f"an array of shape {pixels.shape} is no image")
    return Image.fromarray(_bytes_of(pixels))


def _bytes_of(pixels: NDArray[Any]) -> NDArray[np.uint8]:
    import numpy as np

    if pixels.dtype.kind == "b":
        return pixels.astype(np.uint8) * np.uint8(255)
    if pixels.dtype.kind == "f":
        return (_from_0_to_1(pixels) * 255).astype(np.uint8)
    if pixels.dtype.kind not in "iu":
        raise TypeError(f"an array of {pixels.dtype} is no image: booleans, integers or floats")
    low, high = pixels.min(), pixels.max()
    if low < 0 or high > 255:
        raise invalid("image", f"integers go from 0 to 255, these from {low} to {high}")
    return pixels.astype(np.uint8)


def _from_0_to_1(pixels: NDArray[Any]) -> NDArray[Any]:
    """Floats as they are, or stretched from their least to their greatest finite one."""
    import numpy as np

    pixels = pixels.astype(np.promote_types(pixels.dtype, np.float32))
    finite = pixels[np.isfinite(pixels)]
    low, high = (finite.min(), finite.max()) if finite.size else (0, 1)
    if low < 0 or high > 1:
        warn("log_image: floats go from 0 to 1, these from %s to %s: stretched to fit", low, high)
        if low < high:
            half = high / 2 - low / 2  # the whole may be too large for a float
            pixels = (pixels / 2 - low / 2) / half
    return np.clip(np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0), 0, 1)
