"""Images through the fluent API: every kind of array, and rows of images."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

import backends
import numpy as np
import pytest
import runwire
from numpy.typing import NDArray
from PIL import Image

from client.sessions import session


@pytest.fixture(autouse=True)
def fluent(server: backends.Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with session(server, monkeypatch):
        yield


def _pixels(run: runwire.ActiveRun, path: str = "a.png") -> list[Any]:
    return np.asarray(runwire.load_image(f"runs:/{run.run_id}/{path}")).tolist()  # type: ignore[no-any-return]


@pytest.mark.parametrize(
    ("array", "pixel"),
    [
        (np.full((2, 3), 0.5), 127),
        (np.full((2, 3), 1, dtype=np.float16), 255),
        (np.full((2, 3), 0.25, dtype=np.longdouble), 63),
        (np.full((2, 3, 1), 200, dtype=np.uint8), 200),
        (np.full((2, 3, 3), 255), (255, 255, 255)),
        (np.full((2, 3, 3), 7, dtype=">u2"), (7, 7, 7)),
        (np.full((2, 3), 100, dtype=np.int8), 100),
        (np.ones((2, 3), dtype=bool), 255),
        (np.full((2, 3, 4), np.nan), (0, 0, 0, 0)),
        (np.full((2, 3), np.inf), 255),
    ],
)
def test_array_becomes_an_image(array: NDArray[Any], pixel: object) -> None:
    with runwire.start_run() as run:
        runwire.log_image(array, "a.png")
    image = runwire.load_image(f"runs:/{run.run_id}/a.png")
    assert (image.size, image.getpixel((0, 0))) == ((3, 2), pixel)


@pytest.mark.parametrize("channels", [(), (3,), (4,)])
def test_bytes_of_an_array_come_back_as_they_were(channels: tuple[int, ...]) -> None:
    array = np.random.default_rng(1).integers(0, 256, (16, 9, *channels), dtype=np.uint8)
    with runwire.start_run() as run:
        runwire.log_image(array, "a.png")
        runwire.log_image(array[::2, ::-1], "b.tiff")
    assert _pixels(run) == array.tolist()
    assert _pixels(run, "b.tiff") == array[::2, ::-1].tolist()


@pytest.mark.parametrize(
    ("row", "pixels"),
    [
        ([-1.0, 0.0, 1.0], [0, 127, 255]),
        ([0.0, 5.0, 10.0], [0, 127, 255]),
        ([2.0, 2.0], [255, 255]),
        ([-2.0, -2.0], [0, 0]),
        ([-1e308, 1e308, np.nan], [0, 255, 0]),
        ([-np.inf, 0.0, 2.0, np.inf], [0, 0, 255, 255]),
    ],
)
def test_floats_out_of_range_are_stretched_and_a_warning_says_so(
    row: list[float], pixels: list[int], caplog: pytest.LogCaptureFixture
) -> None:
    with runwire.start_run() as run:
        runwire.log_image(np.array([row]), "a.png")
    assert _pixels(run) == [pixels]
    assert "stretched" in caplog.text


@pytest.mark.parametrize("value", [-1, 256, 300, -(2**40)])
def test_integers_out_of_range_are_refused(value: int) -> None:
    with (
        runwire.start_run(),
        pytest.raises(runwire.InvalidArgumentError, match="from 0 to 255") as caught,
    ):
        runwire.log_image(np.full((2, 2), value), "a.png")
    assert isinstance(caught.value, ValueError)


@pytest.mark.parametrize("shape", [(3,), (2, 2, 2), (2, 2, 5), (1, 2, 2, 3), (0, 4), (4, 0, 3), ()])
def test_array_of_another_shape_is_no_image(shape: tuple[int, ...]) -> None:
    with runwire.start_run(), pytest.raises(runwire.InvalidArgumentError, match="no image"):
        runwire.log_image(np.zeros(shape), "a.png")


@pytest.mark.parametrize("array", [np.zeros((2, 2), complex), np.array([["a"]]), object()])
def test_what_is_no_number_is_no_image(array: object) -> None:
    with runwire.start_run(), pytest.raises((TypeError, runwire.InvalidArgumentError)):
        runwire.log_image(array, "a.png")


def test_image_that_a_format_cannot_hold_is_refused() -> None:
    with runwire.start_run():
        for image, name in (
            (Image.new("RGBA", (1, 1)), "a.jpg"),
            (Image.new("F", (1, 1)), "a.png"),
        ):
            with pytest.raises(runwire.InvalidArgumentError, match="cannot be stored as"):
                runwire.log_image(image, name)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_picture_of_any_mode_comes_back_as_it_was(mode: str) -> None:
    image = Image.new(mode, (3, 2))
    with runwire.start_run() as run:
        runwire.log_image(image, "a.png")
    found = runwire.load_image(f"runs:/{run.run_id}/a.png")
    assert (found.mode, found.size, found.tobytes()) == (mode, (3, 2), image.tobytes())


def test_images_under_a_key_stand_in_a_row_and_none_replaces_another() -> None:
    with runwire.start_run() as run:
        for shade, step in enumerate((1, 1, 1, 20)):
            image = Image.new("L", (2, 2), shade)
            runwire.log_image(image, key="val/samples", step=step, timestamp=5)
        runwire.log_image(Image.new("L", (2, 2), 9), key="now")
    paths = [
        one.path
        for one in runwire.list_artifacts(run_id=run.run_id, artifact_path="images/val/samples")
    ]
    assert [path.rpartition("-")[0] for path in paths] == [
        *["images/val/samples/00000001-5"] * 3,
        "images/val/samples/00000020-5",
    ]
    assert [_pixels(run, path)[0][0] for path in paths] == [0, 1, 2, 3]
    (now,) = runwire.list_artifacts(run_id=run.run_id, artifact_path="images/now")
    assert now.path.startswith("images/now/00000000-1")


def test_image_is_there_when_a_synchronous_call_returns() -> None:
    with runwire.start_run() as run, runwire.Client() as client:
        runwire.log_image(Image.new("L", (2, 2)), "a.png", synchronous=True)
        data = client.artifacts.download(run.run_id, "a.png").read()
    assert Image.open(io.BytesIO(data)).size == (2, 2)


@pytest.mark.parametrize(
    "wrong",
    [
        {},
        {"artifact_file": "a.png", "key": "k"},
        {"artifact_file": "a.png", "step": 1},
        {"artifact_file": "a.png", "timestamp": 1},
        {"artifact_file": "a.txt"},
        {"artifact_file": "a"},
        {"key": ".."},
    ],
)
def test_image_needs_one_name_that_ends_as_an_image_does(wrong: dict[str, Any]) -> None:
    with runwire.start_run(), pytest.raises(runwire.InvalidArgumentError):
        runwire.log_image(Image.new("L", (2, 2)), **wrong)
