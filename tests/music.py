"""Small made-up music for tests: notes with overtones and drum hits, another piece for every seed."""

from __future__ import annotations

import functools

import numpy as np

RATE = 22050


@functools.lru_cache(maxsize=64)
def piece(seed: int, seconds: float = 30.0) -> np.ndarray:
    """Mono float32 (n,), peak 0.5: a chord of two notes and a drum hit every 0.15 to 0.6 s."""
    random = np.random.default_rng(seed)
    samples = np.zeros(int(seconds * RATE), np.float32)
    at = 0
    while at < len(samples):
        length = int(random.uniform(0.15, 0.6) * RATE)
        time = np.arange(min(2 * length, len(samples) - at)) / RATE
        sound = random.normal(size=len(time)) * np.exp(-time * random.uniform(20, 60)) * random.uniform(0, 0.5)
        for pitch in random.integers(40, 84, size=2):
            frequency = 440 * 2 ** ((pitch - 69) / 12)
            for overtone in range(1, 5):
                sound += np.sin(2 * np.pi * overtone * frequency * time) * np.exp(-3 * time) / overtone
        samples[at : at + len(time)] += sound
        at += length
    samples *= 0.5 / np.abs(samples).max()
    samples.flags.writeable = False
    return samples
