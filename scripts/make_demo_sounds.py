"""Synthesise a few short pieces to try the commands on: no recording of anybody's music is needed.

python scripts/make_demo_sounds.py FOLDER
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

RATE = 22050
SECONDS = 30
Samples = NDArray[np.float64]


def tone(frequency: float, seconds: float, partials: int, decay: float) -> Samples:
    """A plucked tone with falling partials."""
    t = np.arange(int(seconds * RATE)) / RATE
    return np.exp(-decay * t) * sum(np.sin(2 * np.pi * frequency * k * t) / k for k in range(1, partials + 1))


def place(track: Samples, sound: Samples, at: float, gain: float) -> None:
    """Mix a sound into a track."""
    first = int(at * RATE)
    sound = sound[: max(0, len(track) - first)]
    track[first : first + len(sound)] += gain * sound


def beat(tempo: float, generator: np.random.Generator) -> Samples:
    """Bass drum, snare and hi-hat."""
    track = np.zeros(SECONDS * RATE)
    t = np.arange(RATE // 4) / RATE
    kick = np.sin(2 * np.pi * (45 * t + 30 * (1 - np.exp(-30 * t)) / 30)) * np.exp(-12 * t)
    noise = generator.standard_normal(len(t))
    step = 60 / tempo / 2
    for number in range(int(SECONDS / step)):
        place(track, noise * np.exp(-80 * t), number * step, 0.12)
        if number % 4 == 0:
            place(track, kick, number * step, 0.9)
        if number % 4 == 2:
            place(track, noise * np.exp(-22 * t), number * step, 0.4)
    return track


def chords(tempo: float, partials: int, decay: float) -> Samples:
    """A I-vi-IV-V progression, arpeggiated."""
    track = np.zeros(SECONDS * RATE)
    step = 60 / tempo / 2
    roots = (0, -3, 5, 7)
    for number in range(int(SECONDS / step)):
        root = roots[number // 8 % 4]
        semitone = root + (0, 4, 7, 12)[number % 4]
        place(track, tone(220 * 2 ** (semitone / 12), 4 * step, partials, decay), number * step, 0.2)
    return track


def main() -> None:
    """Write the pieces as WAV files."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(0)
    t = np.arange(SECONDS * RATE) / RATE
    pieces = {
        "four-on-the-floor.wav": beat(124, generator) + chords(124, 12, 6.0),
        "slow-strings.wav": chords(60, 3, 0.8),
        "distorted-riff.wav": np.tanh(8 * chords(150, 20, 3.0)) + 0.5 * beat(150, generator),
        "noise.wav": generator.standard_normal(len(t)),
        "single-tone.wav": np.sin(2 * np.pi * 440 * t),
    }
    for name, samples in pieces.items():
        soundfile.write(folder / name, 0.8 * samples / np.abs(samples).max(), RATE, subtype="PCM_16")


if __name__ == "__main__":
    main()
