"""What tempo, key, loudness and dynamics cost for a window of 30 s, beside the front end, on one core.

    python benchmarks/music.py [--rounds 40]

Processor time of this thread, best and median round; both ways take turns, so that a busy machine hits them alike.
"""

from __future__ import annotations

import os

# Before NumPy is imported: its linear algebra reads it once.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"

import argparse
import time
from collections.abc import Callable

import numpy as np

from earmark.music.key import pitch_classes
from earmark.music.meter import MusicMeter
from earmark.spectrogram import MEL, fit_window, spectrogram

RATE = 22050


def sound() -> np.ndarray:
    """Chords, a pulse and noise."""
    rng = np.random.default_rng(0)
    clock = np.arange(30 * RATE) / RATE
    tones = sum(np.sin(2 * np.pi * 110 * 2 ** (step / 12) * clock) for step in (0, 4, 7, 12, 16, 24))
    pulse = np.exp(-8 * (clock * 2 % 1)) * rng.normal(size=len(clock))
    return (0.05 * tones + 0.1 * pulse + 0.01 * rng.normal(size=len(clock))).astype(np.float32)


def milliseconds(work: Callable[[], object]) -> float:
    """Processor time of one call."""
    began = time.thread_time()
    work()
    return 1000 * (time.thread_time() - began)


def main() -> None:
    """Time and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    rounds = parser.parse_args().rounds
    samples, meter = sound(), MusicMeter(RATE)
    window = fit_window(samples, MEL)
    ways: dict[str, Callable[[], object]] = {
        "front end, every frame": lambda: spectrogram(window, MEL),
        "tempo, key, loudness, dynamics": lambda: meter.add(samples),
        "  of that, the key": lambda: pitch_classes(samples, RATE),
    }
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, work in ways.items():
            times[name].append(milliseconds(work))
    for name, found in times.items():
        print(f"{name:<32} {min(found):5.1f} ms best  {np.median(found):5.1f} ms median")
    first, second, _ = times.values()
    best, middle = min(second) / min(first), np.median(second) / np.median(first)
    print(f"music over front end: {best:.2f} (best), {middle:.2f} (median)")


if __name__ == "__main__":
    main()
