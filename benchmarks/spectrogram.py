"""Sound to spectrogram on one core, decoding included, against librosa; and where the time goes.

    python benchmarks/spectrogram.py [--rounds 30]

A 30 s clip (a real one where the shared data is at hand, else a made-up one) is written as WAV and FLAC at 22.05 kHz
mono and as MP3 at 44.1 kHz stereo. Each round times every way once, so that a busy machine hits all of them alike.
Times are processor time on one pinned core, which waiting for other programs does not lengthen; the table shows the
best and the median round, the ratios are of the best. Exits with 1 if a target is missed.
"""

from __future__ import annotations

import os

# Before NumPy is imported: its linear algebra reads them once.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMBA_NUM_THREADS"):
    os.environ[_name] = "1"

import argparse  # noqa: E402
import platform  # noqa: E402
import sys  # noqa: E402
import tempfile  # noqa: E402
import time  # noqa: E402
import warnings  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import replace  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import librosa  # noqa: E402
import numpy as np  # noqa: E402
import soundfile  # noqa: E402

from earmark import audio  # noqa: E402
from earmark import spectrogram as front  # noqa: E402
from earmark.audio import resample  # noqa: E402
from earmark.spectrogram import MEL, FrontEnd, fit_window, spectrogram  # noqa: E402

COLUMNS = replace(MEL, scale="columns")
TARGETS = {("WAV", "every frame"): 1.5, ("WAV", "columns alone"): 4.0}


def clip() -> tuple[np.ndarray, str]:
    """30 s at 22.05 kHz: the first real clip, or chords of decaying tones over noise."""
    shared = Path(os.environ.get("EARMARK_SHARED", Path(__file__).resolve().parents[2] / "shared"))
    real = sorted((shared / "gtzan" / "audio").glob("*/*.flac"))
    if real:
        return soundfile.read(real[0], dtype="float32", frames=MEL.window_samples)[0], real[0].name
    rng = np.random.default_rng(0)
    seconds = np.arange(MEL.window_samples) / MEL.sample_rate
    sound = 0.01 * rng.standard_normal(len(seconds))
    for pitch in rng.choice(110 * 2 ** (np.arange(36) / 12), 24):
        sound += 0.05 * np.sin(2 * np.pi * pitch * seconds) * np.exp(-3 * (seconds * pitch / 100 % 1))
    return sound.astype(np.float32), "made-up chords"


def write(folder: Path, samples: np.ndarray) -> dict[str, Path]:
    files = {"WAV": folder / "clip.wav", "FLAC": folder / "clip.flac", "MP3": folder / "clip.mp3"}
    soundfile.write(files["WAV"], samples, MEL.sample_rate, subtype="PCM_16")
    soundfile.write(files["FLAC"], samples, MEL.sample_rate, subtype="PCM_16")
    doubled = librosa.resample(samples, orig_sr=MEL.sample_rate, target_sr=2 * MEL.sample_rate)
    soundfile.write(files["MP3"], np.stack([doubled, doubled], 1) * 0.9, 2 * MEL.sample_rate)
    return files


def with_librosa(path: Path) -> object:
    samples, rate = librosa.load(path, sr=MEL.sample_rate)
    power = librosa.feature.melspectrogram(y=samples, sr=rate, n_fft=2048, hop_length=512, n_mels=128)
    return librosa.power_to_db(power, ref=np.max)


def with_earmark(path: Path, front_end: FrontEnd) -> object:
    samples = audio.load(path, front_end.sample_rate, seconds=front_end.seconds).samples
    return spectrogram(fit_window(samples, front_end), front_end)


WAYS: dict[str, Callable[[Path], object]] = {
    "librosa": with_librosa,
    "every frame": lambda path: with_earmark(path, MEL),
    "columns alone": lambda path: with_earmark(path, COLUMNS),
}


def seconds_of(work: Callable[[], object]) -> float:
    start = time.process_time()
    work()
    return time.process_time() - start


def shares(path: Path, front_end: FrontEnd, rounds: int) -> dict[str, float]:
    """Best seconds of each part, by wrapping the parts in stopwatches."""
    spent: dict[str, float] = {}

    def watched(name: str, work: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*arguments: Any, **options: Any) -> Any:
            start = time.process_time()
            try:
                return work(*arguments, **options)
            finally:
                spent[name] = spent.get(name, 0.0) + time.process_time() - start

        return timed

    parts = (
        (front, "_transform"),
        (front, "_bands"),
        (front, "_power"),
        (resample.Converter, "feed"),
        (resample.Converter, "finish"),
    )
    kept = [(owner, name, getattr(owner, name)) for owner, name in parts]
    best: dict[str, float] = {}
    try:
        for owner, name, work in kept:
            setattr(owner, name, watched(name, work))
        for _ in range(rounds):
            spent.clear()
            start = time.process_time()
            samples = fit_window(
                audio.load(path, front_end.sample_rate, seconds=front_end.seconds).samples, front_end
            )
            loaded = time.process_time()
            spectrogram(samples, front_end)
            drawn = time.process_time()
            converting = spent.get("feed", 0.0) + spent.get("finish", 0.0)
            times = {
                "decode": loaded - start - converting,
                "resample": converting,
                "window": spent["_power"] - spent["_transform"] - spent["_bands"],
                "FFT": spent["_transform"],
                "mel": spent["_bands"],
                "dB, 8 bit": drawn - loaded - spent["_power"],
            }
            best = {name: min(value, best.get(name, value)) for name, value in times.items()}
    finally:
        for owner, name, work in kept:
            setattr(owner, name, work)
    return best


def main() -> int:
    parser = argparse.ArgumentParser(description="Time sound to spectrogram against librosa, on one core.")
    parser.add_argument("--rounds", type=int, default=30)
    rounds = parser.parse_args().rounds
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    warnings.filterwarnings("ignore", category=FutureWarning)
    samples, name = clip()
    print(f"{name}, 30 s; {platform.machine()}, Python {platform.python_version()}, NumPy {np.__version__}, "
          f"librosa {librosa.__version__}; one core, {rounds} rounds, milliseconds: best (median)\n")  # fmt: skip
    missed = []
    with tempfile.TemporaryDirectory() as folder:
        files = write(Path(folder), samples)
        print(f"{'':6}" + "".join(f"{way:>22}" for way in WAYS) + f"{'ratios':>16}")
        for kind, path in files.items():
            times: dict[str, list[float]] = {way: [] for way in WAYS}
            for work in WAYS.values():
                work(path)
            for _ in range(rounds):
                for way, work in WAYS.items():
                    times[way].append(1e3 * seconds_of(lambda work=work, path=path: work(path)))  # type: ignore[misc]
            best = {way: min(values) for way, values in times.items()}
            ratios = {way: best["librosa"] / best[way] for way in list(WAYS)[1:]}
            cells = "".join(f"{best[way]:13.1f} ({np.median(values):5.1f})" + " " for way, values in times.items())
            print(f"{kind:6}{cells}{'   '.join(f'{ratio:5.1f} x' for ratio in ratios.values()):>18}")
            for way, ratio in ratios.items():
                least = TARGETS.get((kind, way))
                if least and ratio < least:
                    missed.append(f"{kind}, {way}: {ratio:.1f} x instead of {least:g} x")
        print("\nWhere the time goes, milliseconds (share):")
        for kind, path in files.items():
            for way, front_end in (("every frame", MEL), ("columns alone", COLUMNS)):
                parts = shares(path, front_end, rounds)
                total = sum(parts.values())
                shown = (f"{part} {1e3 * value:.1f} ({value / total:.0%})" for part, value in parts.items())
                print(f"{kind:5} {way:14}", *shown)
    for line in missed:
        print(f"Missed: {line}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
