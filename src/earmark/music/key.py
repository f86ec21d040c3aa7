"""Key and mode from the pitch classes that sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.music.frames import frame_length, frame_power

# Long enough to tell semitones from 110 Hz up; every second frame is looked at, which a key does not mind.
_FRAME_SECONDS = 0.37
_LOWEST, _HIGHEST = 60.0, 2000.0
# A bell over the octaves, and over that the reciprocal frequency: noise has as many peaks in every hertz, and must
# not speak for the pitch classes at the upper end. Together they centre on 260 Hz.
_MIDDLE, _OCTAVES = 700.0, 1.2
# Peaks this far below the loudest of their frame are no notes.
_PEAK_FLOOR = 1e-4
# How often each degree of the scale sounds in segments of the Kostka-Payne corpus (Temperley, *Music and
# Probability*, 2007, p. 85), major and minor, from the tonic up.
_MAJOR = (0.748, 0.060, 0.488, 0.082, 0.670, 0.460, 0.096, 0.715, 0.104, 0.366, 0.057, 0.400)
_MINOR = (0.712, 0.084, 0.474, 0.618, 0.049, 0.460, 0.105, 0.747, 0.404, 0.067, 0.133, 0.330)
# Overtones of a note and how they fall off (Gomez, *Tonal Description of Music Audio Signals*, 2006, section 3.2).
_OVERTONES, _FALL = 4, 0.6
_MAJOR_NAMES = ("C", "Db", "D", "Eb", "E", "F", "F#", "G", "Ab", "A", "Bb", "B")
_MINOR_NAMES = ("C", "C#", "D", "Eb", "E", "F", "F#", "G", "G#", "A", "Bb", "B")
KEYS = tuple(f"{name} major" for name in _MAJOR_NAMES) + tuple(f"{name} minor" for name in _MINOR_NAMES)
# Pitch classes as even as those of noise differ by about this much, as a vector; music by 0.1 and more.
_FLAT = 0.03
# Turns correlations into shares; a fifth's worth of difference is 50 to 1.
_SHARPNESS = 20.0


@dataclass(frozen=True)
class Key:
    """The answer about a key.

    Parameters
    ----------
    name
        One of :data:`KEYS`: ``"A minor"``.
    confidence
        0..1: its share among the 24 keys.
    """

    name: str
    confidence: float


def pitch_classes(samples: NDArray[np.float32], sample_rate: int) -> NDArray[np.float64]:
    """How much each pitch class sounds, from C up, (12,), summing to 1; all zeros where no pitch is found.

    Peaks of the spectrum from 60 Hz to 2 kHz, placed between the bins by a parabola through the decibels; each frame
    counts alike. The tuning is taken from the peaks themselves: the mean of their distances to the nearest semitone,
    on the circle.
    """
    n_fft = frame_length(_FRAME_SECONDS, sample_rate)
    sparse = len(samples) > 8 * n_fft
    bin_hertz = sample_rate / n_fft
    first, last = int(_LOWEST / bin_hertz), min(n_fft // 2 - 1, int(_HIGHEST / bin_hertz))
    # With the neighbours of the outermost bins.
    power = frame_power(samples, n_fft, 2 * n_fft if sparse else n_fft, slice(first - 1, last + 1))
    before, middle, after = power[:, :-2], power[:, 1:-1], power[:, 2:]
    loudest = middle.max(axis=1, keepdims=True)
    peaks = (middle > before) & (middle >= after) & (middle > _PEAK_FLOOR * loudest)
    rows, columns = np.nonzero(peaks)
    if not len(rows):
        return np.zeros(12)
    tiny = np.float32(1e-30)
    a, b, c = (np.log(part[rows, columns] + tiny).astype(np.float64) for part in (before, middle, after))
    bend = np.minimum(a - 2 * b + c, -1e-9)
    hertz = (first + columns + np.clip(0.5 * (a - c) / bend, -0.5, 0.5)) * bin_hertz
    weight = np.sqrt(middle[rows, columns] / loudest[rows, 0]) / hertz
    weight *= np.exp(-0.5 * (np.log2(hertz / _MIDDLE) / _OCTAVES) ** 2)
    # Semitones above C, where A is 440 Hz.
    pitch = 12 * np.log2(hertz / 440) + 9
    tuning = float(np.angle(np.sum(weight * np.exp(2j * np.pi * pitch)))) / (2 * np.pi)
    found = np.bincount(np.rint(pitch - tuning).astype(np.intp) % 12, weight, minlength=12)
    result: NDArray[np.float64] = found / found.sum()
    return result


def _profiles() -> NDArray[np.float64]:
    """(24, 12): what the notes of each key and their overtones add up to, centred, of length 1."""
    overtones = np.zeros(12)
    for number in range(1, _OVERTONES + 1):
        overtones[round(12 * np.log2(number)) % 12] += _FALL ** (number - 1)
    rows = []
    for degrees in (_MAJOR, _MINOR):
        sounding = sum(share * np.roll(overtones, degree) for degree, share in enumerate(degrees))
        rows += [np.roll(np.asarray(sounding), tonic) for tonic in range(12)]
    table = np.array(rows)
    table -= table.mean(axis=1, keepdims=True)
    return np.asarray(table / np.linalg.norm(table, axis=1, keepdims=True))


_PROFILES = _profiles()


def key_of(classes: NDArray[np.float64]) -> Key | None:
    """The key whose profile goes best with the pitch classes, (12,); None where none stands out from the others.

    Krumhansl and Schmuckler's method (Krumhansl, *Cognitive Foundations of Musical Pitch*, 1990): the largest
    correlation, here with Temperley's profiles and the overtones of their notes.
    """
    centred = classes - classes.mean()
    length = float(np.linalg.norm(centred))
    if length < 1e-9:
        return None
    scores = _PROFILES @ (centred / np.hypot(length, _FLAT))
    shares = np.exp(_SHARPNESS * (scores - scores.max()))
    best = int(np.argmax(shares))
    return Key(KEYS[best], float(shares[best] / shares.sum()))
