"""Sound files with something wrong: told from good ones, used as far as they go, and never a crash or a hang."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark import audio
from earmark.audio import Check, Problem, Recording
from earmark.audio.mpeg import breaks_off
from earmark.audio.readers import mix
from earmark.errors import AudioError
from sounds import KINDS, RATE, Kind, by_name, make, music, spectrum_peak, tone, write

MP3, FLAC, WAV = by_name("mp3"), by_name("flac"), by_name("wav")
AAC, ADTS, OGG = by_name("mp4", "aac"), by_name("adts"), by_name("ogg", "vorbis")


def kinds(*without: str) -> pytest.MarkDecorator:
    chosen = [k for k in KINDS if k.container not in without]
    return pytest.mark.parametrize("kind", chosen, ids=[k.id for k in chosen])


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """2.5 s in every kind."""
    folder = tmp_path_factory.mktemp("kinds")
    return {k.id: make(folder, k, music(2.5, k.rate or RATE, 1), k.rate or RATE, name=k.id) for k in KINDS}


def problem_of(source: object) -> str:
    """The problem that stops :func:`load`; :func:`check` must agree."""
    with pytest.raises(AudioError) as caught:
        audio.load(source)  # type: ignore[arg-type]
    found = audio.check(source)  # type: ignore[arg-type]
    assert not found.usable
    assert caught.value.problem in found.problems
    assert str(caught.value) in found.sentences
    return caught.value.problem


def lag(part: np.ndarray, whole: np.ndarray) -> int:
    """By how many samples `part` comes later than `whole`, by their correlation."""
    size = len(part) + len(whole)
    both = np.fft.irfft(np.fft.rfft(part, size) * np.conj(np.fft.rfft(whole, size)), size)
    at = int(both.argmax())
    return at if at < len(part) else at - size


# Good files have nothing wrong


@kinds()
def test_whole_files_are_whole(files: dict[str, Path], kind: Kind) -> None:
    found = audio.check(files[kind.id])
    assert found.ok and found.usable and found.sentences == ()
    assert found.seconds == pytest.approx(2.5, abs=0.06)
    assert 0.3 < found.peak < 1 and 0.05 < found.rms < 0.5


@pytest.mark.shared
def test_real_files_have_nothing_wrong(shared: Path) -> None:
    songs = sorted((shared / "music").glob("*.mp3"))
    clips = sorted((shared / "gtzan" / "audio").glob("*/*.flac"))
    assert len(songs) == 14 and len(clips) == 100
    for path in songs + clips[::5]:
        found = audio.check(path)
        assert found.ok, found
        assert found.info is not None and found.info.seconds == found.seconds


@kinds()
def test_seeking_finds_the_place(tmp_path: Path, kind: Kind) -> None:
    rate = kind.rate or RATE
    path = make(tmp_path, kind, music(4, rate, 1, seed=1), rate)
    whole = audio.load(path, rate).samples
    with Recording(path) as recording:
        for start in (1.27, 2.5, 0.3, 2.0):
            part = recording.load(rate, start=start, seconds=1).samples
            assert len(part) == rate
            first = round(start * rate)
            # Some containers tell the time in milliseconds only, and some encoders leave noise to the decoder's dice.
            assert abs(lag(part, whole[first : first + rate])) <= 0.0025 * rate
            if kind.writer == "soundfile" and kind.codec != "OPUS":
                np.testing.assert_allclose(part, whole[first : first + rate], atol=2e-5)


def test_ogg_is_found_again_and_again(tmp_path: Path) -> None:
    """libsndfile alone misses one place in ten by up to a second once it has been elsewhere in the file."""
    path = make(tmp_path, OGG, music(20, RATE, 1))
    whole = audio.load(path, RATE).samples
    rng = np.random.default_rng(0)
    with Recording(path) as recording:
        for start in rng.uniform(0, 19, 30):
            part = recording.load(RATE, start=start, seconds=0.5).samples
            first = round(start * RATE)
            np.testing.assert_allclose(part, whole[first : first + len(part)], atol=2e-5)


def test_memory_does_not_grow_with_the_file(tmp_path: Path) -> None:
    path = tmp_path / "long.flac"
    with soundfile.SoundFile(path, "w", 8000, 1, format="FLAC") as target:
        for _ in range(20):
            target.write(tone(60, 8000))
    next(audio.blocks(path, 22050))
    tracemalloc.start()
    try:
        seconds = sum(len(b) for b in audio.blocks(path, 22050)) / 22050
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert seconds == 1200
    assert peak < 8e6


def test_threads_do_not_disturb_each_other(files: dict[str, Path]) -> None:
    paths = [files[k.id] for k in (MP3, AAC, FLAC, OGG, WAV)] * 4
    alone = {p: audio.load(p).samples for p in paths}
    with ThreadPoolExecutor(8) as pool:
        for path, samples in zip(paths, pool.map(lambda p: audio.load(p).samples, paths), strict=True):
            np.testing.assert_array_equal(samples, alone[path])


# Files that are none


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    assert problem_of(tmp_path / "none.mp3") == "missing"
    assert problem_of(tmp_path / "none" / "none.mp3") == "missing"
    (tmp_path / "broken.mp3").symlink_to("nowhere.mp3")
    assert problem_of(tmp_path / "broken.mp3") == "missing"
    assert problem_of(tmp_path) == "unreadable"
    os.mkfifo(tmp_path / "fifo.mp3")
    assert problem_of(tmp_path / "fifo.mp3") == "unreadable"
    assert problem_of("/dev/zero") == "unreadable"
    (tmp_path / "loop.mp3").symlink_to("loop.mp3")
    assert problem_of(tmp_path / "loop.mp3") == "unreadable"
    assert problem_of(tmp_path / ("x" * 300 + ".mp3")) == "unreadable"
    assert problem_of("nul\0.mp3") == "unreadable"


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.mp3")
        assert problem_of(tmp_path / "socket.mp3") == "unreadable"


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads everything")
def test_no_permission(tmp_path: Path) -> None:
    path = make(tmp_path, WAV, tone(1))
    path.chmod(0)
    assert problem_of(path) == "unreadable"


@pytest.mark.parametrize(
    ("content", "looks"),
    [
        (b"\xff\xd8\xff\xe0\x00\x10JFIF" + bytes(2000), "a JPEG image"),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), "a PNG image"),
        (b"%PDF-1.7\n" * 50, "a PDF document"),
        (b"PK\x03\x04" + bytes(300), "a ZIP archive"),
        (b"Once upon a time there was no sound.\n" * 100, "text"),
        ("Schöne Grüße, 世界\n".encode() * 100, "text"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "a web page"),
        (b"#EXTM3U\nsound.mp3\n", "a playlist"),
        (b"ffconcat version 1.0\nfile sound.mp3\n", "text"),
        (bytes(5000), "zeros only"),
        (b"\x00", "zeros only"),
        (b"MThd" + bytes(50), "a MIDI file"),
    ],
    ids=lambda v: v if isinstance(v, str) else "",
)
def test_what_is_no_sound(tmp_path: Path, content: bytes, looks: str) -> None:
    # A playlist that names a real sound beside it: FFmpeg left to itself would follow it.
    make(tmp_path, MP3, tone(1))
    path = tmp_path / "other.mp3"
    path.write_bytes(content)
    assert problem_of(path) == "not-audio"
    with pytest.raises(AudioError, match=looks):
        audio.probe(path)


def test_empty_files(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp3"
    path.touch()
    assert problem_of(path) == "empty"
    for kind in (WAV, FLAC, by_name("aiff"), by_name("au")):
        nothing = make(tmp_path, kind, np.zeros((0, 2), np.float32))
        assert problem_of(nothing) == "empty"


def test_the_damaged_clip_of_gtzan(tmp_path: Path) -> None:
    """jazz.00054 of the common WAV edition: a header of garbage, then what may be samples."""
    good = make(tmp_path, WAV, music(30, 22050, 1), 22050).read_bytes()
    path = tmp_path / "jazz.00054.wav"
    path.write_bytes(np.random.default_rng(54).bytes(44) + good[44:])
    assert problem_of(path) == "not-audio"
    # The same with the name of the container left, but nothing sensible behind it.
    path.write_bytes(good[:12] + np.random.default_rng(54).bytes(200) + good[212:])
    found = audio.check(path)
    assert not found.usable
    assert "libsndfile says" in found.sentences[-1] and "FFmpeg says" in found.sentences[-1]


# Files with something missing or wrong


@kinds("mpegts")
def test_cut_files_are_told_from_whole_ones(tmp_path: Path, kind: Kind) -> None:
    rate = kind.rate or RATE
    data = make(tmp_path, kind, music(6, rate, 1), rate).read_bytes()
    cut = tmp_path / f"cut{kind.suffix}"
    for tenth in range(1, 10):
        cut.write_bytes(data[: len(data) * tenth // 10 + 13])
        found = audio.check(cut)
        # Of some formats the first tenth is not enough to tell anything but that it cannot be decoded.
        assert Problem.TRUNCATED in found.problems or (tenth == 1 and not found.usable), (tenth, found)
        assert found.seconds <= 0.6 * tenth + 0.5
        # What is there is given, except where the index stands at the end, or the reader needs it.
        if kind.container not in ("mp4", "caf") and tenth > 3:
            assert found.usable
            assert found.seconds >= 0.6 * tenth - 1.3


# Frames alone tell no length, so what is there is all there is.
ENDLESS = ("mpegts", "adts", "ac3", "eac3")


@kinds(*ENDLESS)
def test_what_is_cut_off_is_refused_unless_hardly_anything_is_missing(tmp_path: Path, kind: Kind) -> None:
    if kind.codec == "mp2":
        pytest.skip("it has no header that tells its length")
    rate = kind.rate or RATE
    data = make(tmp_path, kind, music(20, rate, 1), rate).read_bytes()
    path = tmp_path / f"cut{kind.suffix}"

    def ending(share: float, **stretch: float) -> str:
        path.write_bytes(data[: round(len(data) * share)])
        try:
            with Recording(path) as recording:
                for _ in recording.pieces(22050, **stretch):
                    pass
                recording.require_end(**stretch)
        except AudioError as error:
            assert kind.container == "caf" or str(error).endswith("et it again.")
            return error.problem
        return "whole"

    assert ending(1.0) == "whole"
    assert {ending(tenth / 10) for tenth in range(1, 10)} <= {"truncated", "damaged"}
    # The index stands at the end, an Ogg file does not tell how much is missing, and so does not AVI.
    # A frame of True Audio is a second long.
    if kind.container not in ("mp4", "ogg", "avi", "tta"):
        assert ending(0.98) == "whole"
    if kind.container != "mp4" and kind.codec != "ALAC_16":
        assert ending(0.7, start=2, seconds=5) == "whole", "a stretch that is there"
    if kind.container not in ("mp4", "ogg") and kind.codec != "ALAC_16":
        assert ending(0.7, start=8, seconds=8) == "truncated"


def test_a_cut_wma_says_how_long_it_was(tmp_path: Path) -> None:
    whole = make(tmp_path, by_name("asf"), music(20, RATE, 1))
    cut = tmp_path / "cut.wma"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size // 3])
    assert audio.probe(cut).seconds == pytest.approx(audio.probe(whole).seconds, abs=0.2)


@pytest.mark.parametrize("kind", [by_name(name) for name in ENDLESS] + [by_name("mp3", "mp2")], ids=lambda k: k.id)
def test_what_tells_no_length_is_never_too_short(tmp_path: Path, kind: Kind) -> None:
    data = make(tmp_path, kind, music(20, RATE, 1)).read_bytes()
    path = tmp_path / f"cut{kind.suffix}"
    for tenth in (3, 6, 9):
        path.write_bytes(data[: len(data) * tenth // 10 + 13])
        with Recording(path) as recording:
            assert recording.info.seconds is None
            assert sum(len(piece) for piece in recording.pieces(22050)) == pytest.approx(22050 * 2 * tenth, rel=0.1)
            recording.require_end()


def test_a_variable_bit_rate_without_a_header_is_no_cut(tmp_path: Path) -> None:
    """Its first frames are silent and small, so that a length guessed from their bit rate is many times too long."""
    quiet = np.concatenate([np.zeros((4 * RATE, 2), np.float32), music(16)])
    path = tmp_path / "vbr.mp3"
    with av.open(str(path), "w", options={"write_xing": "0"}) as target:
        options = {"global_quality": str(2 * 118)}
        stream = target.add_stream("libmp3lame", rate=RATE, layout="stereo", options=options)
        stream.codec_context.qscale = True
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(quiet.T), format="fltp", layout="stereo")
        frame.sample_rate = RATE
        queue = av.AudioFifo()
        queue.write(frame)
        while (part := queue.read(1152)) is not None:
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    with av.open(str(path)) as container:
        assert (container.duration or 0) > 60 * av.time_base, "FFmpeg's guess is far too long"
    with Recording(path) as recording:
        assert recording.info.seconds is None
        assert recording.measure() == pytest.approx(20, abs=0.2)
        for _ in recording.pieces(22050):
            pass
        recording.require_end()
        assert recording.problems == ()


def test_a_stretch_that_is_missing(files: dict[str, Path], tmp_path: Path) -> None:
    cut = tmp_path / "cut.mp3"
    cut.write_bytes(files[MP3.id].read_bytes()[:12_000])
    with pytest.raises(AudioError, match=r"promises 2\.5") as caught:
        audio.load(cut, start=2)
    assert caught.value.problem == Problem.TRUNCATED


@pytest.mark.parametrize("kind", [FLAC, MP3, OGG, ADTS, AAC, by_name("mp3", "mp2")], ids=lambda k: k.id)
def test_damage_in_the_middle_costs_only_the_middle(tmp_path: Path, kind: Kind) -> None:
    data = bytearray(make(tmp_path, kind, music(10, RATE, 1)).read_bytes())
    whole = audio.load(tmp_path / f"sound{kind.suffix}").samples
    middle = len(data) // 2
    data[middle : middle + 4000] = np.random.default_rng(3).bytes(4000)
    path = tmp_path / f"damaged{kind.suffix}"
    path.write_bytes(data)
    sound = audio.load(path)
    assert Problem.DAMAGED in sound.problems
    assert Problem.TRUNCATED not in sound.problems
    assert 8.5 < sound.decoded < 10.1
    assert lag(sound.samples[: 4 * 22050], whole[: 4 * 22050]) == 0
    np.testing.assert_allclose(sound.samples[: 3 * 22050], whole[: 3 * 22050], atol=0.02)
    # The last seconds are there, too, moved by what is missing.
    last, end = sound.samples[-2 * 22050 : -22050], whole[-3 * 22050 :]
    moved = -lag(last, end)
    assert np.corrcoef(last, end[moved : moved + len(last)])[0, 1] > 0.98
    assert np.isfinite(sound.samples).all()


def test_headers_that_promise_hours_allocate_nothing(tmp_path: Path) -> None:
    wav = bytearray(make(tmp_path, WAV, tone(2)).read_bytes())
    wav[40:44] = struct.pack("<I", 2_000_000_000)
    flac = bytearray(make(tmp_path, FLAC, tone(2)).read_bytes())
    flac[21] |= 0x0F
    flac[22:26] = b"\xff" * 4
    for name, data in (("huge.wav", wav), ("huge.flac", flac)):
        path = tmp_path / name
        path.write_bytes(data)
        tracemalloc.start()
        try:
            found, sound = audio.check(path), audio.load(path)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        # The 64 MiB are room that load keeps free and never touches.
        assert peak < 80e6
        assert found.problems == sound.problems == (Problem.TRUNCATED,)
        assert found.info is not None and found.info.seconds is not None
        assert found.info.seconds > 3600
        assert found.seconds == pytest.approx(2)


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF, 0x7FFFF000])
def test_lengths_left_open_by_streaming_writers_are_no_promise(tmp_path: Path, length: int) -> None:
    wav = bytearray(make(tmp_path, WAV, tone(2)).read_bytes())
    wav[40:44] = struct.pack("<I", length)
    path = tmp_path / "streamed.wav"
    path.write_bytes(wav)
    found = audio.check(path)
    assert found.ok
    assert found.info is not None and found.info.seconds is None
    assert found.seconds == pytest.approx(2)
    with Recording(path) as recording:
        assert recording.measure() == pytest.approx(2, abs=0.01)


def test_flac_without_a_length(tmp_path: Path) -> None:
    flac = bytearray(make(tmp_path, FLAC, tone(2)).read_bytes())
    flac[21] &= 0xF0
    flac[22:26] = bytes(4)
    path = tmp_path / "piped.flac"
    path.write_bytes(flac)
    found = audio.check(path)
    assert found.ok
    assert found.seconds == pytest.approx(2)


@pytest.mark.parametrize("rate", [1, 4_000_000_000])
def test_a_senseless_rate_is_refused(tmp_path: Path, rate: int) -> None:
    wav = bytearray(make(tmp_path, WAV, tone(2)).read_bytes())
    wav[24:28] = struct.pack("<I", rate)
    path = tmp_path / "rate.wav"
    path.write_bytes(wav)
    assert problem_of(path) == "damaged"


def test_silence(tmp_path: Path) -> None:
    for level in (0.0, 0.5):
        path = make(tmp_path, WAV, np.full(22050, level, np.float32), 22050)
        assert problem_of(path) == "silent"
    out_of_phase = make(tmp_path, WAV, np.stack([tone(1), -tone(1)], 1))
    assert problem_of(out_of_phase) == "silent"
    quiet = make(tmp_path, WAV, tone(1, level=3e-4))
    assert audio.load(quiet).problems == ()
    # A silent stretch of a file with sound is noted and does not stop anything.
    path = make(tmp_path, WAV, np.concatenate([np.zeros(2 * RATE, np.float32), tone(2)]))
    assert audio.load(path, seconds=1).problems == (Problem.SILENT,)
    assert audio.load(path, start=2.5).problems == ()
    assert audio.check(path).ok


@pytest.mark.parametrize("axis", [0, 1])
def test_mix_repairs_what_is_no_number(axis: int) -> None:
    block = np.array([[0.5, 0.5], [np.nan, 0.5], [np.inf, -np.inf], [1e30, 0.25]], np.float32)
    mono, repaired = mix(block if axis else np.ascontiguousarray(block.T), axis)
    np.testing.assert_array_equal(mono, np.array([0.5, 0.25, 0, 0.125], np.float32))
    assert repaired == 4


def test_samples_that_are_no_numbers(tmp_path: Path) -> None:
    kind = replace(WAV, codec="FLOAT")
    samples = np.stack([tone(1), tone(1)], 1)
    samples[1000:1010, 0] = np.nan
    samples[2000, 1] = np.inf
    samples[3000] = 3e38
    path = make(tmp_path, kind, samples)
    sound = audio.load(path, RATE)
    assert sound.problems == (Problem.NOT_FINITE,)
    assert np.abs(sound.samples).max() < 0.6
    np.testing.assert_allclose(sound.samples[1000:1010], samples[1000:1010, 1] / 2, atol=1e-6)
    assert np.isfinite(audio.load(path, 16000).samples).all()
    assert audio.check(path).problems == (Problem.NOT_FINITE,)
    assert problem_of(make(tmp_path, kind, np.full(RATE, np.nan, np.float32))) == "not-finite"


def test_names_that_lie(tmp_path: Path) -> None:
    for kind, suffix in ((AAC, ".mp3"), (MP3, ".wav"), (WAV, ".FLAC"), (FLAC, ".ogg"), (OGG, ".m4a")):
        path = write(tmp_path / f"lie{suffix}", tone(1), kind)
        sound = audio.load(path)
        assert sound.problems == (Problem.WRONG_SUFFIX,)
        assert spectrum_peak(sound.samples, 22050)[0] == pytest.approx(1000, abs=0.1)
        (sentence,) = audio.check(path).sentences
        assert f"ends in {suffix}, but the content is " in sentence
    # A name that promises nothing, and suffixes on which libsndfile and soundfile have ideas of their own.
    for suffix in ("", ".bin", ".raw", ".RAW", ".gsm", ".vox", ".txt"):
        path = write(tmp_path / f"none{suffix}", tone(1), MP3)
        assert audio.check(path).ok


def without_xing(path: Path, seconds: float, variable: bool = False) -> Path:
    """An MP3 whose first frame is sound, the first half of it nearly silent."""
    samples = music(seconds, RATE, 1)[:, 0]
    samples[: len(samples) // 2] *= 1e-3
    with av.open(str(path), "w", format="mp3", options={"write_xing": "0"}) as target:
        options = {"flags": "+qscale", "global_quality": "400"} if variable else {}
        stream = target.add_stream("libmp3lame", rate=RATE, layout="mono", options=options)
        frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
        frame.sample_rate, frame.pts = RATE, 0
        target.mux(stream.encode(frame))
        target.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("variable", [False, True])
def test_mp3_without_a_header_is_decoded_to_its_end(tmp_path: Path, variable: bool) -> None:
    path = without_xing(tmp_path / "bare.mp3", 10, variable)
    found = audio.check(path)
    assert found.ok
    assert found.seconds == pytest.approx(10, abs=0.1)
    assert found.info is not None and found.info.seconds is None
    with Recording(path) as recording:
        assert recording.measure() == pytest.approx(10, abs=0.1)
        assert recording.load(seconds=1, start=8).decoded == 1


def test_files_put_one_behind_the_other_are_decoded_to_their_end(files: dict[str, Path], tmp_path: Path) -> None:
    for kind in (MP3, OGG, ADTS):
        second = make(tmp_path, kind, music(2.5, RATE, 1, seed=5))
        path = tmp_path / f"joined{kind.suffix}"
        path.write_bytes(files[kind.id].read_bytes() + second.read_bytes())
        found = audio.check(path)
        assert found.seconds == pytest.approx(5, abs=0.15), kind
        assert found.problems == ()


def test_tags_and_junk_around_the_sound(files: dict[str, Path], tmp_path: Path) -> None:
    id3 = b"ID3\x04\x00\x00" + bytes([0, 2, 0, 0]) + bytes(2 << 14)
    id3v1 = b"TAG" + b"x" * 125
    ape = b"x" * 500 + b"APETAGEX" + struct.pack("<IIII", 2000, 532, 1, 0) + bytes(8)
    mp3, flac = files[MP3.id].read_bytes(), files[FLAC.id].read_bytes()
    cases = {
        "front.mp3": id3 + mp3,
        "twice.mp3": id3 + id3 + mp3,
        "junk.mp3": b"\x00" * 700 + b"rubbish" * 90 + mp3,
        "behind.mp3": mp3 + ape + id3v1,
        "front.flac": id3 + flac,
        "behind.flac": flac + id3v1,
        "front.aac": id3 + files[ADTS.id].read_bytes(),
        "front.wav": id3 + files[WAV.id].read_bytes(),
        "front.m4a": id3 + files[AAC.id].read_bytes(),
        "front.ogg": id3 + files[OGG.id].read_bytes(),
    }
    for name, data in cases.items():
        path = tmp_path / name
        path.write_bytes(data)
        found = audio.check(path)
        assert found.ok, (name, found)
        assert found.seconds == pytest.approx(2.5, abs=0.08), name


@pytest.mark.parametrize("kind", [MP3, FLAC, AAC, WAV], ids=lambda k: k.id)
def test_a_disk_that_fails_is_not_taken_for_the_end(files: dict[str, Path], kind: Kind) -> None:
    class Pulled(io.BytesIO):
        reads = 0

        def read(self, size: int | None = -1, /) -> bytes:
            self.reads += 1
            if self.reads > 6:
                raise OSError(5, "Input/output error")
            return super().read(size)

    with pytest.raises(AudioError, match="Input/output error") as caught:
        audio.load(Pulled(files[kind.id].read_bytes()))
    assert caught.value.problem == Problem.UNREADABLE


@kinds()
def test_file_objects_give_the_same_as_paths(files: dict[str, Path], kind: Kind) -> None:
    data = io.BytesIO(files[kind.id].read_bytes())
    data.seek(7)
    np.testing.assert_array_equal(audio.load(data).samples, audio.load(files[kind.id]).samples)
    assert audio.probe(data).path is None
    assert audio.check(data).ok
    assert not data.closed


def test_file_objects_that_cannot_be_read(files: dict[str, Path]) -> None:
    closed = io.BytesIO(b"x")
    closed.close()
    with open(files[WAV.id], encoding="latin-1") as text:
        assert problem_of(text) == "unreadable"
    assert problem_of(closed) == "unreadable"
    read, written = os.pipe()
    with os.fdopen(read, "rb") as pipe, os.fdopen(written, "wb"):
        assert problem_of(pipe) == "unreadable"
    # Somebody else's buffered file: what it reads afterwards is what it would have read.
    with open(files[MP3.id], "rb") as mine:
        mine.read(10)
        audio.load(mine, seconds=1)
        mine.seek(0)
        assert mine.read() == files[MP3.id].read_bytes()


# Whatever the bytes


def try_all(data: bytes) -> Check:
    """No crash, no hang, nothing but AudioError, and only numbers come out."""
    found = audio.check(io.BytesIO(data))
    assert np.isfinite([found.peak, found.rms, found.seconds]).all()
    assert len(found.problems) == len(found.sentences)
    assert found.usable or found.problems
    for start in (0.0, 1.0):
        try:
            sound = audio.load(io.BytesIO(data), 22050, start=start, seconds=0.5)
        except AudioError as error:
            assert error.problem in set(Problem)
        else:
            assert np.isfinite(sound.samples).all()
    return found


@given(
    st.binary(max_size=3000), st.sampled_from([b"", b"RIFF....WAVEfmt ", b"fLaC", b"OggS", b"ID3", b"\xff\xfb\x90"])
)
@settings(max_examples=60, deadline=None)
def test_random_bytes(data: bytes, start: bytes) -> None:
    try_all(start + data)


@pytest.mark.parametrize("seed", range(5))
def test_long_random_bytes_are_no_sound(seed: int) -> None:
    data = io.BytesIO(np.random.default_rng(seed).bytes(400_000))
    assert problem_of(data) == "not-audio"


@kinds()
def test_flipped_bits_and_lost_bytes(files: dict[str, Path], kind: Kind) -> None:
    data = files[kind.id].read_bytes()
    rng = np.random.default_rng(len(data))
    for case in range(8):
        broken = bytearray(data)
        reach = len(data) if case % 2 else min(len(data), 600)
        for at in rng.integers(0, reach, 1 + 5 * case):
            broken[at] ^= 1 << int(rng.integers(8))
        if case > 4:
            at, size = int(rng.integers(reach)), int(rng.integers(1, 300))
            broken[at : at + size] = rng.bytes(size) if case > 5 else b""
        with audio.quiet_decoders():
            try_all(bytes(broken))


@given(data=st.data())
@settings(max_examples=40, deadline=None)
def test_any_beginning_of_any_file(files: dict[str, Path], data: st.DataObject) -> None:
    content = files[data.draw(st.sampled_from(KINDS)).id].read_bytes()
    with audio.quiet_decoders():
        try_all(content[: data.draw(st.integers(0, min(len(content), 6000)))])


def test_every_problem_has_a_sentence() -> None:
    for problem in Problem:
        assert audio.explain(problem).endswith(".")
        assert audio.explain(problem.value) == audio.explain(problem)


def run(code: str, path: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)


def test_ordinary_files_do_not_import_ffmpeg(files: dict[str, Path]) -> None:
    code = "import sys; from earmark import audio; audio.load(sys.argv[1]); print('av' in sys.modules)"
    assert run(code, files[MP3.id]).stdout.strip() == "False"
    assert run(code, files[AAC.id]).stdout.strip() == "True"


def test_decoders_can_be_kept_from_writing_to_the_terminal(files: dict[str, Path], tmp_path: Path) -> None:
    data = bytearray(files[MP3.id].read_bytes())
    data[20_000:23_000] = bytes(3000)
    path = tmp_path / "noisy.mp3"
    path.write_bytes(data)
    code = """
import sys
from earmark import audio
with audio.quiet_decoders():
    print(*audio.check(sys.argv[1]).problems)
    print("heard", file=sys.stderr)
print("after", file=sys.stderr)
"""
    done = run(code, path)
    assert done.stdout.strip() == "damaged"
    assert done.stderr == "heard\nafter\n"


@pytest.mark.parametrize("kind", [k for k in KINDS if k.container == "adts"], ids=lambda k: k.id)
def test_a_cut_anywhere_in_a_frame_is_told(tmp_path: Path, kind: Kind) -> None:
    """Also within the next header, as far as its sync word is there; at the end of a frame nothing is missing."""
    data = make(tmp_path, kind, music(2, RATE, 1)).read_bytes()
    ends = [0]
    while len(data) - ends[-1] >= 7:
        at = ends[-1]
        ends.append(at + ((data[at + 3] & 3) << 11 | data[at + 4] << 3 | data[at + 5] >> 5))
    assert ends[-1] == len(data)
    for more in range(9):
        found = breaks_off(data[: ends[-5] + more])
        assert found == (more >= 2), more
