"""`earmark spectrogram`: real files in, pictures out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner, Result

from earmark.cli.spectrogram import register
from earmark.drawing import MAGMA, draw
from earmark.errors import EarmarkError
from earmark.spectrogram import MEL, REPORT, fit_window, spectrogram
from test_drawing import decode

RATE = 22050


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """The command in an empty folder."""
    app = typer.Typer()
    app.callback()(lambda: None)
    register(app)
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: object) -> Result:
        return CliRunner().invoke(app, ["spectrogram", *map(str, arguments)])

    return invoke


def sound(path: str, seconds: float = 31.0, seed: int = 0) -> np.ndarray:
    samples = (0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)
    samples[: 5 * RATE] *= np.linspace(0, 1, len(samples[: 5 * RATE]), dtype=np.float32)
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return samples


def test_a_file_is_drawn_beside_nothing_but_its_name(run, tmp_path: Path) -> None:
    samples = sound("song.wav")
    result = run("song.wav")
    assert result.exit_code == 0
    assert "song.png: song.wav, 0 to 30 s, mel, 128 bins x 387 columns, drawn 256x256" in result.output
    expected = draw(spectrogram(samples[: MEL.window_samples], MEL))
    assert np.array_equal(decode(Path("song.png").read_bytes()), expected)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["song.png", "song.wav"]


def test_the_options_reach_the_picture(run) -> None:
    samples = sound("song.wav")
    assert run("song.wav", "-o", "a.png", "--kind", "stft", "--size", "natural").exit_code == 0
    picture = decode(Path("a.png").read_bytes())
    assert np.array_equal(picture, MAGMA[spectrogram(samples[: REPORT.window_samples], REPORT)[::-1]])
    assert run("song.wav", "-o", "b.png", "--size", "300x100", "--start", "1", "--seconds", "2").exit_code == 0
    assert decode(Path("b.png").read_bytes()).shape == (100, 300, 3)


def test_a_short_sound_is_repeated_and_says_so(run) -> None:
    samples = sound("short.wav", 2.0)
    result = run("short.wav")
    assert "0 to 2 s, repeated to fill 30 s" in result.output
    expected = draw(spectrogram(fit_window(samples, MEL), MEL))
    assert np.array_equal(decode(Path("short.png").read_bytes()), expected)


def test_many_files_go_into_a_folder_and_a_bad_one_costs_one(run) -> None:
    sound("a.wav", 1.0, 1)
    sound("b.wav", 1.0, 2)
    Path("c.mp3").write_text("no sound")
    result = run("a.wav", "b.wav", "c.mp3", "missing.wav", "-o", "pictures")
    assert result.exit_code == 1
    assert sorted(path.name for path in Path("pictures").iterdir()) == ["a.png", "b.png"]
    assert "c.mp3 is not a sound file" in result.output
    assert "missing.wav does not exist" in result.output
    assert "2 of 4 files could not be drawn" in result.output


def test_one_bad_file_is_an_error(run) -> None:
    result = run("missing.wav")
    assert isinstance(result.exception, EarmarkError)
    sound("song.wav", 2.0)
    result = run("song.wav", "--start", "5")
    assert isinstance(result.exception, EarmarkError)
    assert "song.wav" in str(result.exception)
    assert not list(Path().glob("*.png"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["song.wav", "--size", "big"], "--size big"),
        (["song.wav", "--size", "0x10"], "--size 0x10"),
        (["song.wav", "--size", "10x100000"], "up to 10000"),
        (["song.wav", "-o", "song.jpg"], "not the name of a PNG"),
        (["song.wav", "other.wav", "-o", "one.png"], "Name a folder"),
        (["song.wav", "other.wav", "-o", "other.wav"], "Name a folder"),
        (["song.wav", "deep/song.wav"], "would both be drawn into song.png"),
        (["sound.png"], "is the sound itself"),
    ],
)
def test_what_cannot_work_is_refused_before_anything_is_drawn(run, arguments: list[str], words: str) -> None:
    for name in ("song.wav", "other.wav"):
        sound(name, 1.0)
    Path("sound.png").write_bytes(Path("song.wav").read_bytes())
    before = {path: path.read_bytes() for path in Path().iterdir()}
    result = run(*arguments)
    assert isinstance(result.exception, EarmarkError)
    assert words in str(result.exception)
    assert {path: path.read_bytes() for path in Path().iterdir()} == before


@pytest.mark.shared
def test_real_songs_are_drawn(run, shared: Path) -> None:
    files = sorted((shared / "music").glob("*.mp3"))[:2]
    result = run(*files, "-o", "pictures")
    assert result.exit_code == 0
    for path in files:
        picture = decode(Path("pictures", f"{path.stem}.png").read_bytes())
        assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000
