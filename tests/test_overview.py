"""The picture of a whole track: every sound where it is in time and pitch, whatever the length; WAV from anything."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from earmark.drawing import MAGMA, png
from earmark.errors import AudioError, InputError
from earmark.library.convert import write_wav
from earmark.library.overview import BINS, MOST_COLUMNS, RATE, Overview, _Columns, overview
from music import piece
from sounds import by_name, make, tone


def levels_of(drawn: Overview) -> np.ndarray:
    """(bins, columns) of the palette's numbers, low frequencies first."""
    with Image.open(io.BytesIO(drawn.png)) as image:
        assert image.mode == "P"
        return np.asarray(image)[::-1]


@pytest.mark.parametrize("seconds", [5.0, 40.0, 120.0])
def test_a_sound_is_where_it_is(seconds: float, tmp_path: Path) -> None:
    """A tone in the third fifth of silence: the columns of that fifth are bright in the tone's band, no others."""
    samples = np.zeros(round(seconds * RATE), np.float32)
    begin, end = round(0.4 * len(samples)), round(0.6 * len(samples))
    samples[begin:end] = tone((end - begin) / RATE, RATE, 1000.0)
    soundfile.write(tmp_path / "tone.wav", samples, RATE)
    drawn = overview(tmp_path / "tone.wav")
    levels = levels_of(drawn)
    assert levels.shape == (BINS, drawn.columns)
    assert MOST_COLUMNS / 2 <= drawn.columns <= MOST_COLUMNS or seconds < 20
    span = drawn.seconds / drawn.columns
    assert drawn.seconds == pytest.approx(seconds, abs=2 * span)
    bright = np.flatnonzero(levels.max(axis=0) > 200)
    assert bright[0] * span == pytest.approx(begin / RATE, abs=2 * span + 0.05)
    assert (bright[-1] + 1) * span == pytest.approx(end / RATE, abs=2 * span + 0.05)
    assert len(bright) == bright[-1] - bright[0] + 1
    # 1 kHz is in the middle of Slaney's linear part: 15 of 37 of the scale's steps up.
    assert set(levels[:, bright[1:-1]].argmax(axis=0)) <= {37, 38, 39, 40}
    assert levels[:, : bright[0] - 3].max(initial=0) == 0


def test_a_stretch_is_drawn_alone(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "piece.wav", piece(0, 20.0), RATE)
    part = overview(tmp_path / "piece.wav", start=5, seconds=10)
    assert part.start == 5
    assert part.seconds == pytest.approx(10, abs=0.05)
    soundfile.write(tmp_path / "cut.wav", piece(0, 20.0)[5 * RATE : 15 * RATE], RATE)
    assert overview(tmp_path / "cut.wav").png == part.png
    with pytest.raises(AudioError, match="no sound to draw"):
        overview(tmp_path / "piece.wav", start=100)


@given(st.lists(st.integers(1, 200_000), min_size=1, max_size=12))
@settings(max_examples=8, deadline=None)
def test_how_the_sound_comes_in_does_not_matter(sizes: list[int]) -> None:
    samples = np.tile(piece(1, 10.0), 5)
    whole, parts = _Columns(), _Columns()
    whole.add(samples)
    at = 0
    for size in [*sizes, len(samples)]:
        if at < len(samples):
            parts.add(samples[at : at + size])
            at += size
    assert np.abs(whole.levels().astype(int)[:, :600] - parts.levels().astype(int)[:, :600]).mean() < 3
    assert whole.span == parts.span


def test_a_palette_shows_the_same_colours() -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    with Image.open(io.BytesIO(png(levels, palette=True))) as image:
        assert (np.asarray(image.convert("RGB")) == MAGMA[levels]).all()
    with pytest.raises(InputError, match="colours already"):
        png(MAGMA[levels], palette=True)


def test_anything_becomes_wav(tmp_path: Path) -> None:
    source = make(tmp_path, by_name("mp4", "alac"), piece(2, 3.0), 44100)
    assert write_wav(str(source), str(tmp_path / "out.wav")) == pytest.approx(3.0 * RATE / 44100, abs=0.01)
    samples, rate = soundfile.read(tmp_path / "out.wav")
    assert rate == 44100
    assert np.abs(samples - piece(2, 3.0)[: len(samples)]).max() < 1e-3
    assert write_wav(str(source), str(tmp_path / "short.wav"), longest=0.5) == pytest.approx(0.5)
    soundfile.write(tmp_path / "none.wav", np.zeros(0, np.float32), RATE)
    with pytest.raises(AudioError):
        write_wav(str(tmp_path / "none.wav"), str(tmp_path / "never.wav"))
    assert not (tmp_path / "never.wav").exists()
