"""Drawing against Pillow, torch and matplotlib where they are installed, and PNG against its standard."""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.drawing import MAGMA, draw, png, resize_matrix, write_png
from earmark.errors import InputError

sizes = st.integers(1, 400)


def levels(bins: int, columns: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (bins, columns), np.uint8)


# --- colours -----------------------------------------------------------------------------------------------------


def test_the_colours_are_matplotlibs_magma() -> None:
    matplotlib = pytest.importorskip("matplotlib")
    expected = matplotlib.colormaps["magma"](np.arange(256), bytes=True)[:, :3]
    assert np.array_equal(MAGMA, expected)


def test_louder_is_lighter() -> None:
    assert MAGMA.shape == (256, 3)
    lightness = MAGMA @ np.array([0.2126, 0.7152, 0.0722])
    assert (np.diff(lightness) > -1).all()
    assert lightness[0] < 2
    assert lightness[-1] > 240
    with pytest.raises(ValueError, match="read-only"):
        MAGMA[0, 0] = 1


# --- resizing ----------------------------------------------------------------------------------------------------


@settings(deadline=None, max_examples=40)
@given(n_in=sizes, n_out=sizes)
def test_each_row_is_a_mean_and_the_matrix_is_symmetric(n_in: int, n_out: int) -> None:
    matrix = resize_matrix(n_in, n_out)
    assert matrix.shape == (n_out, n_in)
    assert matrix.dtype == np.float32
    assert (matrix >= 0).all()
    np.testing.assert_allclose(matrix.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_allclose(matrix, matrix[::-1, ::-1], atol=1e-6)


def test_the_same_size_is_the_identity() -> None:
    assert np.array_equal(resize_matrix(256, 256), np.eye(256, dtype=np.float32))


def test_a_slope_stays_a_slope_inside() -> None:
    resized = resize_matrix(100, 256) @ np.arange(100, dtype=np.float32)
    np.testing.assert_allclose(np.diff(resized[5:-5]), 100 / 256, rtol=1e-4)


@settings(deadline=None, max_examples=40)
@given(n_in=sizes, n_out=sizes)
def test_resizing_is_pillows(n_in: int, n_out: int) -> None:
    image = pytest.importorskip("PIL.Image")
    values = np.random.default_rng(n_in).random((1, n_in), np.float32)
    expected = np.asarray(image.fromarray(values).resize((n_out, 1), image.Resampling.BILINEAR))[0]
    np.testing.assert_allclose(resize_matrix(n_in, n_out) @ values[0], expected, atol=1e-5)


@pytest.mark.parametrize("shape", [(128, 387), (1025, 1292), (64, 64), (256, 100)])
def test_resizing_is_torchs(shape: tuple[int, int]) -> None:
    torch = pytest.importorskip("torch")
    values = np.random.default_rng(0).random(shape, np.float32)
    expected = torch.nn.functional.interpolate(
        torch.from_numpy(values)[None, None], (256, 256), mode="bilinear", antialias=True, align_corners=False
    )[0, 0]
    ours = resize_matrix(shape[0], 256) @ values @ resize_matrix(shape[1], 256).T
    np.testing.assert_allclose(ours, expected.numpy(), atol=2e-6)


def test_a_picture_without_pixels_is_refused() -> None:
    for n_in, n_out in ((0, 5), (5, 0)):
        with pytest.raises(InputError, match="at least one pixel"):
            resize_matrix(n_in, n_out)


# --- drawing -----------------------------------------------------------------------------------------------------


def test_low_frequencies_are_at_the_bottom_and_time_goes_right() -> None:
    spectrum = np.zeros((128, 387), np.uint8)
    spectrum[:10] = 255
    picture = draw(spectrum)
    assert picture.shape == (256, 256, 3)
    assert picture.dtype == np.uint8
    assert (picture[-15:] == MAGMA[255]).all()
    assert (picture[:100] == MAGMA[0]).all()
    spectrum = np.zeros((128, 387), np.uint8)
    spectrum[:, :50] = 255
    picture = draw(spectrum)
    assert (picture[:, :30] == MAGMA[255]).all()
    assert (picture[:, 40:] == MAGMA[0]).all()


def test_natural_size_is_the_colour_table_itself() -> None:
    spectrum = levels(20, 30)
    assert np.array_equal(draw(spectrum, None), MAGMA[spectrum[::-1]])
    assert np.array_equal(draw(spectrum, (20, 30)), draw(spectrum, None))


@pytest.mark.parametrize("shape", [(128, 387), (1025, 1292), (100, 100)])
def test_a_drawing_is_pillows_to_a_level(shape: tuple[int, int]) -> None:
    image = pytest.importorskip("PIL.Image")
    spectrum = levels(*shape)
    expected = image.fromarray(MAGMA[spectrum[::-1]]).resize((256, 256), image.Resampling.BILINEAR)
    assert np.abs(draw(spectrum).astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("bad", [np.zeros((4, 4)), np.zeros(4, np.uint8), np.zeros((0, 4), np.uint8)])
def test_what_is_no_spectrogram_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="8 bits"):
        draw(bad)


# --- PNG ---------------------------------------------------------------------------------------------------------


def decode(data: bytes) -> np.ndarray:
    """A PNG reader for what we write: checks each chunk's length and sum; knows no filters."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    chunks, position = {}, 8
    while position < len(data):
        (length,) = struct.unpack(">I", data[position : position + 4])
        name, body = data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        (checksum,) = struct.unpack(">I", data[position + 8 + length : position + 12 + length])
        assert checksum == zlib.crc32(name + body)
        chunks[name] = body
        position += 12 + length
    assert list(chunks) == [b"IHDR", b"IDAT", b"IEND"]
    width, height, depth, colour, *rest = struct.unpack(">IIBBBBB", chunks[b"IHDR"])
    assert (depth, rest) == (8, [0, 0, 0])
    lines = np.frombuffer(zlib.decompress(chunks[b"IDAT"]), np.uint8).reshape(height, -1)
    assert not lines[:, 0].any()
    return lines[:, 1:].reshape((height, width, 3) if colour == 2 else (height, width))


@settings(deadline=None, max_examples=30)
@given(height=st.integers(1, 40), width=st.integers(1, 40), colour=st.booleans(), seed=st.integers(0, 9))
def test_a_png_holds_the_picture(height: int, width: int, colour: bool, seed: int) -> None:
    shape = (height, width, 3) if colour else (height, width)
    picture = np.random.default_rng(seed).integers(0, 256, shape, np.uint8)
    assert np.array_equal(decode(png(picture)), picture)


def test_another_reader_reads_the_png(tmp_path: Path) -> None:
    image = pytest.importorskip("PIL.Image")
    picture = draw(levels(128, 387))
    write_png(tmp_path / "new" / "picture.png", picture)
    with image.open(tmp_path / "new" / "picture.png") as read:
        assert read.mode == "RGB"
        assert np.array_equal(np.asarray(read), picture)
    with image.open(io.BytesIO(png(picture[..., 0]))) as read:
        assert read.mode == "L"
        assert np.array_equal(np.asarray(read), picture[..., 0])


def test_the_same_picture_gives_the_same_bytes() -> None:
    picture = draw(levels(50, 60))
    assert png(picture) == png(picture.copy())


@pytest.mark.parametrize(
    "bad", [np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros(4, np.uint8), np.zeros((0, 4, 3), np.uint8)]
)
def test_what_is_no_picture_is_refused(bad: np.ndarray) -> None:
    with pytest.raises(InputError, match="A PNG is made of"):
        png(bad)


def test_a_picture_that_cannot_be_written_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(InputError, match="cannot be written"):
        write_png(tmp_path / "file" / "picture.png", draw(levels(5, 5)))
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
