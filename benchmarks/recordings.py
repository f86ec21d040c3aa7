"""How well repeated recordings are found from sound, and how fast.

    python benchmarks/recordings.py [--clips N]

Every clip under ``gtzan/audio`` of the shared data (EARMARK_SHARED or ``../shared``) is altered in each of the ways
below, and originals and altered copies are searched together, as ``find_repeats`` does with any 200 clips. Printed
per alteration: recall, the lowest and the median score of the true pairs, wrong pairs found, and how near the nearest
pair of unrelated clips came to being accepted (1: it was). The thresholds in ``earmark.recordings`` are held
to this table. Then the 1000 rows of ``gtzan/mel.npz`` are searched (whose pairs had been seen when the thresholds
were set, so it is no blind test) and the pairs compared with the artists and titles that GTZAN's catalogue names.
"""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

# One core, so that the seconds mean something.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("MKL_NUM_THREADS", "1")

import av
import numpy as np
import soxr
from numpy.typing import NDArray

from earmark.audio import load
from earmark.dataset import load_dataset
from earmark.front_end import MEL
from earmark.groups import artist_key
from earmark.recordings import PROMINENCE, THRESHOLD, Repeat, find_repeats
from earmark.spectrogram import fit_window, spectrogram

Samples = NDArray[np.float32]
RATE = MEL.sample_rate
ROOT = Path(__file__).resolve().parent.parent


def encoded(codec: str, container: str, bit_rate: int, rate: int = RATE) -> Callable[..., Samples]:
    """Through a lossy codec and back, in memory."""

    def apply(samples: Samples, *_: object) -> Samples:
        file = io.BytesIO()
        sound = soxr.resample(samples, RATE, rate) if rate != RATE else samples
        with av.open(file, "w", format=container) as out:
            stream = out.add_stream(codec, rate=rate, layout="mono")
            stream.bit_rate = bit_rate
            stream.codec_context.open()
            wanted = av.AudioResampler(stream.codec_context.format.name, "mono", rate)
            queue = av.AudioFifo()
            whole = np.clip(sound * 32767, -32768, 32767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
            frame.sample_rate = rate
            queue.write(frame)
            done = 0
            while (piece := queue.read(stream.codec_context.frame_size or 1024, partial=True)) is not None:
                piece.pts = done
                done += piece.samples
                for converted in wanted.resample(piece):
                    out.mux(stream.encode(converted))
            out.mux(stream.encode(None))
        file.seek(0)
        return load(file, RATE).samples

    return apply


def noisy(decibels: float) -> Callable[..., Samples]:
    def apply(samples: Samples, random: np.random.Generator, *_: object) -> Samples:
        noise = random.standard_normal(len(samples))
        level = np.sqrt(np.mean(samples**2) / 10 ** (decibels / 10))
        return (samples + level * noise).astype(np.float32)

    return apply


def cut(least: float, most: float, seconds: float | None = None) -> Callable[..., Samples]:
    """Begin between `least` and `most` seconds in, and keep `seconds` or all the rest."""

    def apply(samples: Samples, random: np.random.Generator, *_: object) -> Samples:
        first = int(random.uniform(least, most) * RATE)
        return samples[first : None if seconds is None else first + int(seconds * RATE)]

    return apply


def followed(least: float, most: float) -> Callable[..., Samples]:
    """Begin between `least` and `most` seconds in, and go on with a clip of other music."""

    def apply(samples: Samples, random: np.random.Generator, other: Samples) -> Samples:
        return np.concatenate([samples[int(random.uniform(least, most) * RATE) :], other])

    return apply


def faster(percent: float) -> Callable[..., Samples]:
    def apply(samples: Samples, *_: object) -> Samples:
        return soxr.resample(samples, RATE * (1 + percent / 100), RATE)

    return apply


def low_passed(samples: Samples, *_: object) -> Samples:
    return soxr.resample(soxr.resample(samples, RATE, 8000), 8000, RATE)


def everything(samples: Samples, random: np.random.Generator, *_: object) -> Samples:
    there = encoded("libmp3lame", "mp3", 48_000)(cut(3, 8)(samples, random))
    return np.clip(0.3 * noisy(20)(there, random), -1, 1)


ALTERATIONS: dict[str, Callable[..., Samples]] = {
    "MP3 64 kbit/s": encoded("libmp3lame", "mp3", 64_000),
    "MP3 32 kbit/s": encoded("libmp3lame", "mp3", 32_000),
    "Opus 48 kbit/s": encoded("libopus", "ogg", 48_000, 48_000),
    "Opus 16 kbit/s": encoded("libopus", "ogg", 16_000, 48_000),
    "AAC 48 kbit/s": encoded("aac", "adts", 48_000),
    "20 dB quieter": lambda samples, *_: 0.1 * samples,
    "10 dB louder, clipped": lambda samples, *_: np.clip(3.16 * samples, -1, 1),
    "noise at 20 dB": noisy(20),
    "noise at 10 dB": noisy(10),
    "nothing above 4 kHz": low_passed,
    "shifted 2 to 5 s": cut(2, 5),
    "shifted 8 to 12 s": cut(8, 12),
    "shifted 14 to 16 s": cut(14, 16),
    "10 s of the middle": cut(5, 12, 10.0),
    "6 s of the middle": cut(5, 12, 6.0),
    "8 to 12 s, then other music": followed(18, 22),
    "5 to 7 s, then other music": followed(23, 25),
    "1 % faster": faster(1),
    "2 % faster": faster(2),
    "3 % faster": faster(3),
    "MP3, shift, noise, gain": everything,
}


def clips(folder: Path, count: int | None) -> Iterator[tuple[str, Samples]]:
    paths = sorted(folder.glob("*/*.flac"))
    for path in paths[:: max(1, len(paths) // count)] if count else paths:
        yield path.stem, load(path, RATE).samples


def altered_copies(folder: Path, count: int | None) -> None:
    sounds = dict(clips(folder, count))
    ids, n = list(sounds), len(sounds)
    others = [sounds[ids[(row + n // 3) % n]] for row in range(n)]
    originals = np.stack([spectrogram(fit_window(sound, MEL), MEL) for sound in sounds.values()])
    # What the originals already share with each other is no mistake.
    known = {(pair.first, pair.second) for pair in find_repeats(originals, MEL)}
    print(f"{n} clips; {len(known)} pairs of originals that share a recording are left out of the count")
    print(f"{'altered copy':<28} {'recall':>7} {'lowest':>7} {'median':>7} {'wrong':>6} {'nearest':>8}")
    nearest = 0.0
    total = wrong_total = 0
    for name, alter in ALTERATIONS.items():
        random = np.random.default_rng(0)
        copies = [alter(sound, random, other) for sound, other in zip(sounds.values(), others, strict=True)]
        both = np.concatenate([originals, [spectrogram(fit_window(copy, MEL), MEL) for copy in copies]])
        pairs = find_repeats(both, MEL, threshold=0.0, prominence=0.0)
        true = {pair.first: pair for pair in pairs if pair.second == pair.first + n}
        unrelated = [p for p in pairs if not _related(p, n, known, borrowed="other music" in name)]
        scores = [true[row].score if row in true else 0.0 for row in range(n)]
        found = [row for row in true if _certainty(true[row]) >= 1]
        wrong = [pair for pair in unrelated if _certainty(pair) >= 1]
        near = max(map(_certainty, unrelated), default=0.0)
        nearest = max(nearest, near)
        total, wrong_total = total + 2 * n * (2 * n - 1) // 2 - n, wrong_total + len(wrong)
        print(
            f"{name:<28} {len(found) / n:>7.1%} {min(scores):>7.3f} {np.median(scores):>7.3f} {len(wrong):>6} "
            f"{near:>8.2f}",
            flush=True,
        )
    print(f"wrong pairs: {wrong_total} of {total:,} unrelated ones. Accepted is a score of {THRESHOLD} together with")
    print(f"a prominence of {PROMINENCE}; the nearest unrelated pair lacks one of them, having {nearest:.2f} of it.")


def _certainty(pair: Repeat) -> float:
    """How far a pair reaches, 1 being accepted."""
    return min(pair.score / THRESHOLD, pair.prominence / PROMINENCE)


def _related(pair: Repeat, n: int, known: set[tuple[int, int]], *, borrowed: bool) -> bool:
    first, second = pair.first % n, pair.second % n
    near = {0, n // 3, n - n // 3} if borrowed else {0}
    # Two copies that borrowed from each other's neighbours share that music too.
    if borrowed and pair.first >= n and abs(first - second) in {n // 3, n - n // 3}:
        return True
    return abs(first - second) in near or (min(first, second), max(first, second)) in known


def real_repeats(path: Path) -> None:
    dataset = load_dataset(path)
    assert dataset.spectrograms is not None
    started, cpu = time.perf_counter(), time.process_time()
    pairs = find_repeats(dataset.spectrograms, MEL)
    seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"\n{path}: {len(dataset)} clips, {len(pairs)} pairs, {seconds:.1f} s ({cpu:.1f} s of one core)")
    agreeing, named = 0, 0
    for pair in pairs:
        first, second = dataset.clips[pair.first], dataset.clips[pair.second]
        if first.artist and first.title and second.artist and second.title:
            named += 1
            same = artist_key(first.artist) == artist_key(second.artist) and _alike(first.title, second.title)
            agreeing += same
            if not same:
                print(
                    f"  {first.id} ({first.artist}: {first.title}) and {second.id} ({second.artist}: {second.title})"
                )
                print(f"    score {pair.score:.3f}, prominence {pair.prominence:.1f}, speed {pair.speed}")
    print(f"  {agreeing} of {named} pairs with known titles agree in artist and title (the others are listed above)")
    by_name: dict[tuple[str | None, str], list[int]] = {}
    for row, clip in enumerate(dataset.clips):
        if clip.artist and clip.title:
            by_name.setdefault((artist_key(clip.artist), _title(clip.title)), []).append(row)
    named_pairs = {(a, b) for rows in by_name.values() for a in rows for b in rows if a < b}
    found = {(pair.first, pair.second) for pair in pairs}
    print(
        f"  of {len(named_pairs)} pairs with equal artist and title {len(named_pairs & found)} share sound, "
        "these do not:"
    )
    for a, b in sorted(named_pairs - found):
        print(f"    {dataset.ids[a]} {dataset.ids[b]}: {dataset.clips[a].artist}: {dataset.clips[a].title}")


def _title(title: str) -> str:
    return "".join(c for c in title.casefold() if c.isalnum())


def _alike(first: str, second: str) -> bool:
    one, other = _title(first), _title(second)
    return one.startswith(other) or other.startswith(one)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--clips", type=int, help="use only so many of the clips")
    count = parser.parse_args().clips
    folder = Path(os.environ.get("EARMARK_SHARED", ROOT.parent / "shared")) / "gtzan"
    if not (folder / "audio").is_dir():
        sys.exit(f"the real data is not at {folder}: set EARMARK_SHARED to its parent folder")
    altered_copies(folder / "audio", count)
    real_repeats(folder / "mel.npz")


if __name__ == "__main__":
    main()
