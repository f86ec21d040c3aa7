"""Sound comes in as it was written: all formats, rates, blocks and stretches, held to librosa."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark import audio
from earmark.audio import Problem, Recording, readers
from earmark.errors import AudioError, InputError
from earmark.products import energy
from sounds import KINDS, RATE, Kind, by_name, make, music, spectrum_peak, tone


@pytest.fixture(scope="module")
def tones(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    folder = tmp_path_factory.mktemp("tones")
    return {
        k: make(folder, k, np.stack([tone(2, k.rate or RATE)] * 2, 1), k.rate or RATE, name=str(i))
        for i, k in enumerate(KINDS)
    }


@pytest.fixture(scope="module")
def pieces(tmp_path_factory: pytest.TempPathFactory) -> dict[Kind, Path]:
    """3.3 s of music in the kinds that differ in how they are read and sought in."""
    folder = tmp_path_factory.mktemp("music")
    kinds = [
        by_name("wav", "PCM_16"),
        by_name("flac", "PCM_16"),
        by_name("ogg", "VORBIS"),
        by_name("ogg", "libopus"),
        by_name("mp3", "MPEG"),
        by_name("mp4", "aac"),
        by_name("mp4", "alac"),
        by_name("asf"),
        by_name("wavpack"),
    ]
    return {k: make(folder, k, music(3.3, k.rate or RATE), k.rate or RATE, name=str(i)) for i, k in enumerate(kinds)}


@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.id)
def test_a_tone_keeps_pitch_level_and_length(kind: Kind, tones: dict[Kind, Path]) -> None:
    path = tones[kind]
    info = audio.probe(path)
    assert (info.path, info.container, info.channels) == (path, kind.container, 2)
    assert info.sample_rate == (kind.rate or RATE)
    sound = audio.load(path, 22050)
    assert sound.problems == ()
    assert sound.samples.dtype == np.float32
    assert sound.samples.ndim == 1
    frequency, level = spectrum_peak(sound.samples, 22050)
    assert frequency == pytest.approx(1000, abs=0.05)
    assert level == pytest.approx(0.5, rel=kind.level)
    assert sound.decoded == len(sound.samples) / 22050 == pytest.approx(2, abs=0.001 if kind.exact else 0.06)
    if info.seconds is not None:
        assert info.seconds == pytest.approx(2, abs=0.06)
    checked = audio.check(path)
    assert checked.ok
    assert checked.usable
    assert checked.sentences == ()
    assert checked.peak == pytest.approx(0.5, abs=0.2)
    assert checked.rms == pytest.approx(0.5 / np.sqrt(2), rel=0.04)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 32000, 44100, 48000, 96000])
@pytest.mark.parametrize("to", [8000, 22050, 44100, 48000])
def test_rates(tmp_path: Path, rate: int, to: int) -> None:
    path = make(tmp_path, by_name("wav", "FLOAT"), tone(1, rate), rate)
    sound = audio.load(path, to)
    assert len(sound.samples) == to
    frequency, level = spectrum_peak(sound.samples, to)
    assert frequency == pytest.approx(1000, abs=0.02)
    assert level == pytest.approx(0.5, rel=1e-3)


def test_nothing_folds_back_when_the_rate_goes_down(tmp_path: Path) -> None:
    path = make(tmp_path, by_name("wav", "FLOAT"), tone(1, 44100, frequency=15000))
    middle = audio.load(path, 22050).samples[2000:-2000]
    assert np.abs(middle).max() < 1e-4


def test_mono_is_the_mean_of_the_channels(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    for channels in (1, 2, 3, 6, 8, 20):
        samples = rng.uniform(-0.9, 0.9, (50_000, channels)).astype(np.float32)
        soundfile.write(tmp_path / "x.wav", samples, 44100, subtype="FLOAT")
        ours = audio.load(tmp_path / "x.wav", 44100).samples
        np.testing.assert_allclose(ours, samples.mean(axis=1), atol=2e-7)
    samples = music(1, 48000, channels=6)
    path = make(tmp_path, by_name("wavpack"), samples, 48000)
    assert audio.probe(path).channels == 6
    np.testing.assert_allclose(audio.load(path, 48000).samples, samples.mean(axis=1), atol=1e-3)


def test_integers_of_every_width_come_out_exactly(tmp_path: Path) -> None:
    """Both readers scale the same way: the most negative integer is -1."""
    values = np.array([-32768, -1, 0, 1, 32767] * 3000, np.int16)
    soundfile.write(tmp_path / "x.wav", values, 44100, subtype="PCM_16")
    np.testing.assert_array_equal(audio.load(tmp_path / "x.wav", 44100).samples, values / np.float32(32768))
    path = make(tmp_path, by_name("mp4", "alac"), values / np.float32(32768))
    np.testing.assert_array_equal(audio.load(path, 44100).samples, values / np.float32(32768))


@pytest.mark.parametrize("rate", [None, 22050, 48000])
def test_blocks_join_to_the_same_samples_whatever_their_size(pieces: dict[Kind, Path], rate: int | None) -> None:
    for path in pieces.values():
        to = rate or audio.probe(path).sample_rate
        whole = audio.load(path, to).samples
        for size in (0.013, 0.5, 1.0, 100.0):
            parts = list(audio.blocks(path, rate, block_seconds=size))
            assert {len(p) for p in parts[:-1]} <= {round(size * to)}
            assert 0 < len(parts[-1]) <= round(size * to)
            np.testing.assert_array_equal(np.concatenate(parts), whole)


@pytest.mark.parametrize("rate", [11025, 22050, 44100, 48000])
def test_a_stretch_equals_that_of_the_whole(pieces: dict[Kind, Path], rate: int) -> None:
    for kind, path in pieces.items():
        whole = audio.load(path, rate).samples
        for start, seconds in ((0.0, 0.7), (0.031, 0.5), (1.234567, 1.0), (2.9, 0.2), (2.5, 60.0), (1.7, None)):
            part = audio.load(path, rate, start=start, seconds=seconds).samples
            first = round(start * rate)
            expected = whole[first : None if seconds is None else first + round(seconds * rate)]
            assert len(part) == len(expected), (kind.id, start, seconds)
            # Lossy decoders that start in the middle agree with themselves but for rounding and dither.
            close = 1e-6 if kind.container in ("wav", "flac", "wavpack") or "alac" in kind.codec else 2e-3
            assert np.abs(part - expected).max() < close, (kind.id, start, seconds)


def test_a_stretch_of_many_in_one_open_file(pieces: dict[Kind, Path]) -> None:
    """Forwards, backwards and again: the reader may be left anywhere."""
    for path in pieces.values():
        with Recording(path) as recording:
            whole = recording.load(22050).samples
            for start in (2.0, 0.5, 2.0, 0.0, 1.0):
                part = recording.load(22050, start=start, seconds=0.5).samples
                first = round(start * 22050)
                assert np.abs(part - whole[first : first + len(part)]).max() < 2e-3
            again = recording.load(22050).samples
        np.testing.assert_allclose(again, whole, atol=1e-6)
        assert recording.problems == ()


@pytest.mark.parametrize("kind", [k for k in KINDS if k.writer == "av"], ids=lambda k: k.id)
def test_ffmpeg_begins_at_the_sample(tmp_path: Path, kind: Kind) -> None:
    """Also where the container tells the time in milliseconds only, or the rounding of its clock adds up."""
    rate = kind.rate or RATE
    path = make(tmp_path, kind, music(6, rate, 1), rate)
    whole = audio.load(path, rate).samples
    for start in (1.234567, 2.0, 3.71, 5.2):
        part = audio.load(path, rate, start=start, seconds=0.5).samples[1000:-1000]
        first = round(start * rate) + 1000
        errors = [float(np.square(part - whole[first + by : first + by + len(part)]).mean()) for by in range(-50, 51)]
        assert int(np.argmin(errors)) == 50
        # AC-3 decoders add noise of their own; MP2 comes in 16 bit and may round the last one differently.
        assert "ac3" in kind.container or errors[50] < 2**-30


@pytest.mark.parametrize("name", ["mp3", "flac"])
@pytest.mark.parametrize("rate", [22050, 44100, 48000])
def test_librosa_gives_the_same_samples(tmp_path: Path, name: str, rate: int) -> None:
    path = make(tmp_path, by_name(name, writer="soundfile"), music(4, rate), rate)
    theirs = librosa.load(path, sr=22050)[0]
    ours = audio.load(path, 22050).samples
    assert len(ours) == len(theirs)
    assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.shared
def test_librosa_gives_the_same_samples_of_real_music(shared: Path) -> None:
    files = [*sorted((shared / "music").glob("*.mp3"))[::3], *sorted((shared / "gtzan/audio").glob("*/*.flac"))[::20]]
    assert len(files) >= 8
    for path in files:
        theirs = librosa.load(path, sr=22050)[0]
        ours = audio.load(path, 22050).samples
        assert len(ours) == len(theirs)
        assert np.abs(ours - theirs).max() < 1e-4


@pytest.mark.parametrize("container", ["wav", "flac", "mp3", "mp4", "asf"])
def test_file_objects(pieces: dict[Kind, Path], container: str) -> None:
    path = next(p for k, p in pieces.items() if k.container == container)
    data = path.read_bytes()
    whole = audio.load(path, 22050)
    stream = io.BytesIO(data)
    stream.seek(100)
    sound = audio.load(stream, 22050)
    np.testing.assert_array_equal(sound.samples, whole.samples)
    assert sound.problems == ()
    assert not stream.closed
    assert audio.probe(stream).path is None
    assert audio.check(stream).ok
    with open(path, "rb") as file:
        np.testing.assert_array_equal(np.concatenate(list(audio.blocks(file, 22050))), whole.samples)
        assert not file.closed


def test_file_objects_that_cannot_be_used() -> None:
    closed = io.BytesIO(b"x")
    closed.close()
    for stream in (closed, io.BytesIO(b"")):
        with pytest.raises(AudioError):
            audio.load(stream)
    assert audio.check(io.BytesIO(b"")).problems == (Problem.EMPTY,)


def test_many_files_leave_no_descriptor_open(pieces: dict[Kind, Path], tmp_path: Path) -> None:
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("descriptors are not listed here")
    bad = tmp_path / "bad.flac"
    bad.write_bytes(b"fLaC" + bytes(100))
    audio.check(bad)
    before = len(list(descriptors.iterdir()))
    for path in [*pieces.values(), bad] * 3:
        audio.check(path)
    blocks = audio.blocks(next(iter(pieces.values())))
    next(blocks)
    blocks.close()  # type: ignore[attr-defined]
    assert len(list(descriptors.iterdir())) == before


def test_the_name_does_not_matter(pieces: dict[Kind, Path], tmp_path: Path) -> None:
    for path in pieces.values():
        bare = tmp_path / "sound"
        bare.write_bytes(path.read_bytes())
        sound = audio.load(bare, 22050)
        assert sound.problems == ()
        np.testing.assert_array_equal(sound.samples, audio.load(path, 22050).samples)
    odd = tmp_path / "ein Lied\nmit \udcff % {} 日本.FLAC"
    odd.write_bytes(next(p for k, p in pieces.items() if k.container == "flac").read_bytes())
    assert audio.check(odd).ok


def test_id3_tags_in_front_of_what_should_not_have_them(pieces: dict[Kind, Path], tmp_path: Path) -> None:
    tag = b"ID3\x04\x00\x00\x00\x00\x07\x76" + bytes(0x3F6)
    for kind, path in pieces.items():
        if kind.container in ("flac", "mp3", "mp4"):
            tagged = tmp_path / f"tagged{kind.suffix}"
            for count in (1, 2):
                tagged.write_bytes(tag * count + path.read_bytes())
                sound = audio.load(tagged, 22050)
                assert sound.problems == ()
                assert np.abs(sound.samples - audio.load(path, 22050).samples).max() < 1e-3


@pytest.mark.parametrize(
    "arguments",
    [
        {"start": -1.0},
        {"start": float("nan")},
        {"start": float("inf")},
        {"seconds": 0.0},
        {"seconds": float("nan")},
        {"sample_rate": 0},
        {"sample_rate": 10**9},
        {"block_seconds": 0.0},
        {"block_seconds": float("nan")},
        {"block_seconds": float("inf")},
    ],
    ids=str,
)
def test_arguments_that_make_no_sense(pieces: dict[Kind, Path], arguments: dict[str, float]) -> None:
    with pytest.raises(InputError):
        list(audio.blocks(next(iter(pieces.values())), **arguments))  # type: ignore[arg-type]


def test_a_start_behind_the_end(pieces: dict[Kind, Path]) -> None:
    for path in pieces.values():
        for start in (4.0, 1e6, 1e15):
            with pytest.raises(AudioError) as caught:
                audio.load(path, start=start)
            assert caught.value.problem == Problem.TOO_SHORT
            assert "3.3" in str(caught.value)


def test_find_audio(tmp_path: Path) -> None:
    names = ["b/two.MP3", "b/ONE.Flac", "a/three.m4a", "ten.wav", "b/c/d/deep.oGg", "b/x.mp3.part", "a/._three.m4a"]
    names += ["notes.txt", "cover.jpg", "film.mkv", "mp3", ".hidden.wav"]
    for name in names:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "folder.wav").mkdir()
    (tmp_path / "b/loop").symlink_to(tmp_path)
    (tmp_path / "b/self").symlink_to("self")
    (tmp_path / "broken.wav").symlink_to("nowhere")
    (tmp_path / "z.wav").symlink_to("ten.wav")
    found = [p.relative_to(tmp_path).as_posix() for p in audio.find_audio(tmp_path)]
    assert found == [
        ".hidden.wav", "a/three.m4a", "b/ONE.Flac", "b/c/d/deep.oGg", "b/two.MP3", "broken.wav", "ten.wav", "z.wav",
    ]  # fmt: skip
    assert list(audio.find_audio(tmp_path / "folder.wav")) == []
    for bad in (tmp_path / "ten.wav", tmp_path / "nowhere"):
        with pytest.raises(InputError, match="not a folder"):
            list(audio.find_audio(bad))


def test_folders_that_cannot_be_read_are_told(tmp_path: Path) -> None:
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        pytest.skip("root reads everything")
    (tmp_path / "closed").mkdir()
    (tmp_path / "x.wav").write_bytes(b"")
    (tmp_path / "closed").chmod(0)
    errors: list[OSError] = []
    try:
        assert [p.name for p in audio.find_audio(tmp_path, on_error=errors.append)] == ["x.wav"]
    finally:
        (tmp_path / "closed").chmod(0o700)
    assert len(errors) == 1


QUIET = """
import os, sys
from earmark.audio import quiet_decoders
with quiet_decoders():
    os.write(2, b"from C\\n")
    print("from Python", file=sys.stderr)
os.write(2, b"from C afterwards\\n")
"""


def test_quiet_decoders_keep_only_c_libraries_quiet() -> None:
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=True)
    assert done.stderr.splitlines() == ["from Python", "from C afterwards"]


def test_nothing_heavy_is_imported() -> None:
    code = "import sys, earmark.audio; print(*sorted({m.split('.')[0] for m in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"av", "torch", "librosa", "scipy", "pydantic", "matplotlib", "onnxruntime"} & set(loaded)


@settings(max_examples=40, deadline=None)
@given(n=st.integers(0, 20_000), seed=st.integers(0, 99), channels=st.sampled_from([1, 2, 3]))
def test_mixing_gives_the_mean_and_the_energy_of_all_channels(n: int, seed: int, channels: int) -> None:
    block = np.random.default_rng(seed).uniform(-1, 1, (n, channels)).astype(np.float32)
    assert energy(block) == pytest.approx(float(np.square(block.astype(float)).sum()), rel=1e-5)
    if n:
        mono, repaired = readers.mix(block, 1)
        assert repaired == 0
        if channels == 2:
            np.testing.assert_array_equal(mono, (block[:, 0] + block[:, 1]) * np.float32(0.5))
        np.testing.assert_allclose(mono, block.astype(float).mean(axis=1), atol=1e-6)
