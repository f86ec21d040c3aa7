"""An MP3 decoded in two threads: the same to the bit as in one, whatever the file, and nothing is left behind."""

from __future__ import annotations

import io
import os
import random
import threading
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from earmark import audio
from earmark.audio import Recording, Tally, halves
from earmark.audio.mpeg import Chain
from earmark.audio.readers import CHUNK, Chunk, SoundfileReader
from earmark.errors import AudioError, InputError
from earmark.library import pool, worker
from earmark.music import MUSIC_FIELDS, Music
from earmark.predict import Classifier
from sounds import music

Answer = tuple[list[bytes], str]


def hear(
    path: Path, threads: int, rate: int = 22050, start: float = 0.0, seconds: float | None = None
) -> tuple[Answer, int]:
    """All that decoding tells: pieces, tally, gain, problems, errors; and how many chunks a second thread gave."""
    pieces, told, taken = [], [], 0
    try:
        with Recording(path, threads=threads) as recording:
            tally, first = Tally(full=True), recording._reader
            pieces = [p.tobytes() for p in recording.pieces(rate, start=start, seconds=seconds, tally=tally)]
            taken = first.taken if isinstance(first, halves.HalvesReader) else 0
            # Another one, if libsndfile gave up.
            reader = recording._reader
            told += [recording.info, tally, recording.channel_gain, recording.sentences()]
            told += [reader.position, reader.reached, reader.name, reader.errors]
            recording.require(tally, start)
            recording.require_end(start, seconds)
    except AudioError as error:
        told += [str(error), error.problem]
    return (pieces, repr(told)), taken


def same(path: Path, rate: int = 22050, start: float = 0.0, seconds: float | None = None) -> int:
    """Assert that one and two threads tell the same, and give how many chunks the second one gave."""
    alone, none = hear(path, 1, rate, start, seconds)
    together, taken = hear(path, 2, rate, start, seconds)
    assert none == 0
    assert together[1] == alone[1]
    assert together[0] == alone[0]
    return taken


def encode(path: Path, samples: NDArray[np.float32], rate: int, kbits: int | None, quality: int = 4) -> Path:
    """MP3 by LAME, with a header that tells the length; of variable bit rate where none is given."""
    layout = "mono" if samples.shape[1] == 1 else "stereo"
    with av.open(str(path), "w", format="mp3") as target:
        stream = target.add_stream("libmp3lame", rate=rate, layout=layout)
        context = stream.codec_context
        if kbits is None:
            context.qscale = True
            context.global_quality = 118 * quality
        else:
            context.bit_rate = 1000 * kbits
        context.open()
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = rate, 0
        resampler = av.AudioResampler(context.format, layout, rate, frame_size=context.frame_size)
        for part in [*resampler.resample(frame), *resampler.resample(None)]:
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    return path


def enough(rate: int, channels: int) -> float:
    """Seconds that are worth a second thread: eight, and three chunks."""
    return max(9.0, 3.2 * CHUNK / channels / rate)


@dataclass(frozen=True)
class Way:
    """How a file is encoded: rate, channels, kilobits per second (None: variable)."""

    rate: int
    channels: int
    kbits: int | None

    def __str__(self) -> str:
        return f"{self.rate}-{self.channels}-{self.kbits or 'vbr'}"


# MPEG-1, 2 and 2.5, the lowest and the highest bit rates of each: they take most and least from frames before.
WAYS = [
    *(Way(44100, 2, k) for k in (32, 128, 320, None)),
    *(Way(44100, 1, k) for k in (32, None)),
    Way(48000, 2, 320),
    Way(32000, 1, None),
    *(Way(24000, 2, k) for k in (8, 160)),
    *(Way(22050, c, None) for c in (1, 2)),
    Way(16000, 1, 8),
    Way(11025, 2, None),
    Way(8000, 1, 16),
]


@pytest.fixture(scope="module")
def song(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """20 s of stereo with a variable bit rate."""
    return encode(tmp_path_factory.mktemp("song") / "song.mp3", music(20, 44100), 44100, None)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_both_ways_give_the_same_samples(tmp_path: Path, way: Way) -> None:
    seconds = enough(way.rate, way.channels)
    path = encode(tmp_path / "song.mp3", music(seconds, way.rate, way.channels), way.rate, way.kbits)
    taken = [same(path), same(path, 48000, start=0.05 * seconds)]
    same(path, way.rate, start=0.21 * seconds, seconds=0.7 * seconds)
    # In MPEG-2 the last filter of a decoder for mono may be at another turn, and at 8 kbit/s there are too few bits.
    if way.rate >= 32000 or (way.channels == 2 and way.kbits != 8):
        assert min(taken) > 0


@pytest.mark.shared
def test_real_songs_are_the_same_and_all_come_from_two_threads(shared: Path) -> None:
    for path in sorted((shared / "music").glob("*.mp3")):
        assert same(path) > 0
        assert same(path, 44100, start=2.3, seconds=23) > 0


def test_long_sound_goes_from_reader_to_reader(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Memory stays bounded, so several pairs of halves follow one another."""
    monkeypatch.setattr(halves, "_MOST_CHUNKS", 4)
    path = encode(tmp_path / "long.mp3", np.concatenate([music(20, 44100)] * 2), 44100, 64)
    # 14 chunks in three to four pairs.
    assert same(path) >= 6
    assert same(path, start=3, seconds=34) >= 5


def test_stretches_of_one_recording_are_the_same_in_any_order(song: Path) -> None:
    rng = random.Random(5)
    with Recording(song) as alone, Recording(song, threads=2) as together:
        for _ in range(8):
            start, seconds = rng.uniform(0, 9), rng.uniform(1, 14)
            count = rng.choice([1, 2, 3, 99])
            for one, two in zip(
                _some(alone, start, seconds, count), _some(together, start, seconds, count), strict=True
            ):
                np.testing.assert_array_equal(one, two)
        assert alone.channel_gain == together.channel_gain
        assert isinstance(together._reader, halves.HalvesReader) and together._reader.taken > 0


def _some(recording: Recording, start: float, seconds: float, count: int) -> list[NDArray[np.float32]]:
    """The first pieces of a stretch, which is then abandoned."""
    pieces = recording.pieces(22050, start=start, seconds=seconds)
    taken = [piece.copy() for _, piece in zip(range(count), pieces, strict=False)]
    pieces.close()
    return taken


# Damage


def damage(data: bytearray, how: str, rng: random.Random) -> None:
    """Spoil the bytes behind the first frames."""
    place = rng.randrange(2000, len(data) - 4000)
    if how == "flipped":
        for _ in range(rng.choice((1, 5, 100))):
            data[rng.randrange(2000, len(data))] ^= 1 << rng.randrange(8)
    elif how == "flipped late":
        data[rng.randrange(len(data) * 11 // 20, len(data))] ^= 1 << rng.randrange(8)
    elif how == "silenced":
        data[place : place + 700] = bytes(700)
    elif how == "repeated":
        other = rng.randrange(2000, len(data) - 4000)
        data[place : place + 1500] = data[other : other + 1500]
    elif how == "shortened":
        del data[place : place + rng.choice((1, 100, 1900))]
    elif how == "tag inside":
        data[place:place] = b"ID3\x03\0\0\0\0\x01\0" + bytes(128)
    elif how == "cut":
        del data[rng.randrange(len(data) * 3 // 10, len(data)) :]


@pytest.mark.parametrize("how", ["flipped", "flipped late", "silenced", "repeated", "shortened", "tag inside", "cut"])
def test_damaged_files_are_the_same(tmp_path: Path, song: Path, how: str) -> None:
    rng = random.Random(how)
    whole = song.read_bytes()
    for number in range(4):
        data = bytearray(whole)
        damage(data, how, rng)
        path = tmp_path / f"{number}.mp3"
        path.write_bytes(data)
        same(path, rng.choice((22050, 44100)), start=rng.choice((0.0, 1.1)), seconds=rng.choice((None, 17.0)))


def test_a_damaged_second_half_falls_back_after_some_of_it_was_used(tmp_path: Path, song: Path) -> None:
    data = bytearray(song.read_bytes())
    at = len(data) * 9 // 10
    data[at : at + 3000] = bytes(3000)
    path = tmp_path / "damaged.mp3"
    path.write_bytes(data)
    assert same(path) > 0


def test_silence_at_the_cut_proves_nothing(tmp_path: Path) -> None:
    samples = music(20, 44100)
    samples[5 * 44100 : 14 * 44100] = 0
    assert same(encode(tmp_path / "quiet.mp3", samples, 44100, 128)) == 0


@pytest.mark.parametrize("after", [0, 1, 2, 3, 4])
def test_a_second_thread_that_fails_is_forgotten(monkeypatch: pytest.MonkeyPatch, song: Path, after: int) -> None:
    read, calls = SoundfileReader.read, 0

    def failing(self: SoundfileReader, frames: int, weigh: bool = True) -> Chunk | None:
        nonlocal calls
        if threading.current_thread() is not threading.main_thread():
            calls += 1
            if calls > after:
                raise MemoryError
        return read(self, frames, weigh)

    alone, _ = hear(song, 1)
    monkeypatch.setattr(SoundfileReader, "read", failing)
    together, taken = hear(song, 2)
    assert together == alone
    # The first two reads are for comparison.
    assert calls > after and taken == max(0, after - 2)


def test_a_file_that_was_replaced_is_not_mixed_with_the_old_one(tmp_path: Path, song: Path) -> None:
    path, other = tmp_path / "song.mp3", tmp_path / "other.mp3"
    path.write_bytes(song.read_bytes())
    encode(other, music(20, 44100, seed=7), 44100, None)
    alone = audio.load(path, threads=1).samples
    with Recording(path, threads=2) as recording:
        other.replace(path)
        np.testing.assert_array_equal(recording.load().samples, alone)
        assert isinstance(recording._reader, halves.HalvesReader) and recording._reader.taken == 0


def test_no_thread_to_be_had(monkeypatch: pytest.MonkeyPatch, song: Path) -> None:
    alone = audio.load(song, threads=1).samples

    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    np.testing.assert_array_equal(audio.load(song, threads=2).samples, alone)


# The chain of frames


def test_a_chain_holds_for_whole_songs_in_any_portions(song: Path) -> None:
    data = song.read_bytes()
    for portion in (100, 5000, len(data)):
        chain = Chain(3000)
        end = 3000 + 20_000
        while end < len(data):
            end = min(len(data), end + portion)
            if chain.place < end:
                chain.follow(data[chain.place : end])
        assert chain.full and not chain.broken
        assert len(data) - 8 < chain.place <= len(data)


def test_a_chain_breaks_at_bits_that_a_frame_does_not_own(song: Path) -> None:
    data = bytearray(song.read_bytes())
    chain = Chain(3000)
    chain.follow(bytes(data[3000:60_000]))
    at = chain.place
    assert chain.full
    # The nine bits behind the header say how far back the bits of the frame begin.
    before = data[at + 4] << 1 | data[at + 5] >> 7
    for taken, broken in ((before, False), (0, False), (511, before != 511)):
        data[at + 4], data[at + 5] = taken >> 1, (taken & 1) << 7 | data[at + 5] & 0x7F
        follower = Chain(at - 20_000)
        # Of frames as long as these at a high bit rate, no more than 511 bytes are kept.
        follower.follow(bytes(data[at - 20_000 : at + 8]))
        assert follower.broken is (broken and follower.place <= at)
    data[at] = 0
    follower = Chain(at - 20_000)
    follower.follow(bytes(data[at - 20_000 : at + 8]))
    assert follower.broken and follower.place == at


def test_layers_one_and_two_and_noise_are_no_chain(tmp_path: Path) -> None:
    noise = Chain(0)
    noise.follow(random.Random(1).randbytes(20_000))
    assert noise.broken and not noise.full


# What is read by one thread


def test_other_files_are_read_by_one_thread(tmp_path: Path, song: Path) -> None:
    soundfile.write(tmp_path / "song.flac", music(20, 44100), 44100)
    with open(song, "rb") as file:
        for source in (tmp_path / "song.flac", io.BytesIO(song.read_bytes()), file):
            before = threading.active_count()
            with Recording(source, threads=2) as recording:
                assert not isinstance(recording._reader, halves.HalvesReader)
                next(recording.pieces(22050))
                assert threading.active_count() == before
    short = encode(tmp_path / "short.mp3", music(7, 44100), 44100, 128)
    assert same(short) == 0
    assert same(song, start=3, seconds=7) == 0


def test_threads_are_counted(monkeypatch: pytest.MonkeyPatch, song: Path) -> None:
    with pytest.raises(InputError, match="At least one thread"):
        Recording(song, threads=0)
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3}, raising=False)
    assert halves.default_threads() == 1
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3, 5, 7}, raising=False)
    assert halves.default_threads() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert halves.default_threads() == 1


def test_who_hears_one_file_alone_gets_two_threads(monkeypatch: pytest.MonkeyPatch, song: Path) -> None:
    for processors, workers, threads in ((1, 1, 1), (2, 1, 2), (2, 2, 1), (4, 2, 2), (4, 3, 1)):
        monkeypatch.setattr(pool, "default_jobs", lambda count=processors: count)
        assert pool.threads_beside(workers) == threads
    asked: list[int] = []
    opened = Recording.__init__

    def note(self: Recording, source: audio.Source, *, threads: int = 1) -> None:
        asked.append(threads)
        opened(self, source, threads=threads)

    monkeypatch.setattr(Recording, "__init__", note)
    classifier = Classifier()
    outcomes = [worker.hear(classifier, worker.Task(str(song), 0, threads=threads)) for threads in (1, 2)]
    assert outcomes[0] == outcomes[1] and outcomes[0].row is not None
    assert asked == [1, 2]
    assert worker.Task(str(song)).threads == 1


def test_the_genre_does_not_depend_on_whether_the_music_is_measured(song: Path) -> None:
    classifier = Classifier()
    full, genre = (worker.hear(classifier, worker.Task(str(song), 0, music=music)) for music in (True, False))
    assert full.row is not None and genre.row is not None and genre.embedding == full.embedding
    measured = Music(**{name: full.row[name] for name in MUSIC_FIELDS})
    assert measured.loudness is not None and measured.tempo is not None
    assert genre.row == full.row | Music().to_dict()
    assert measured.to_dict() != Music().to_dict()


# Nothing stays behind


def left() -> tuple[int, int]:
    """Threads, and open descriptors where they can be counted."""
    folder = Path("/proc/self/fd")
    return threading.active_count(), len(list(folder.iterdir())) if folder.is_dir() else 0


@pytest.mark.parametrize("pieces", [1, 2, 3, 4, 5])
def test_nothing_is_left_when_a_pass_is_abandoned(song: Path, pieces: int) -> None:
    before = left()
    with Recording(song, threads=2) as recording:
        passing = recording.pieces(22050)
        for _ in range(pieces):
            next(passing)
        passing.close()
        assert threading.active_count() == before[0]
    assert left() == before
    recording = Recording(song, threads=2)
    passing = recording.pieces(22050)
    next(passing)
    recording.close()
    assert left() == before
    recording.close()


def test_nothing_is_left_after_an_exception_or_the_end(song: Path) -> None:
    before = left()
    with pytest.raises(ZeroDivisionError), Recording(song, threads=2) as recording:
        for _ in recording.pieces(22050):
            1 / 0  # noqa: B018
    assert left() == before
    assert audio.load(song, threads=2).decoded == pytest.approx(20, abs=0.1)
    assert left() == before
