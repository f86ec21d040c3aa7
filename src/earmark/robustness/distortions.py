"""What happens to sound on its way to a listener, as functions on samples.

Every function takes mono samples, float32 (n,), with their rate, and gives samples at the same rate; nothing is
random but the noise, whose generator is handed in. :mod:`earmark.robustness.codecs` has the encoders.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import soxr
from numpy.typing import NDArray

from earmark.errors import InputError

Samples = NDArray[np.float32]


def gain(samples: Samples, decibels: float) -> Samples:
    """Louder or softer, as a volume control does it: nothing is clipped, floating point has the room."""
    return samples * np.float32(10 ** (decibels / 20))


def clip(samples: Samples, decibels: float) -> Samples:
    """Louder by so much, and cut off at full scale: what a file of 16 bits does to a gain that is too high.

    Parameters
    ----------
    decibels
        By how much the loudest sample would stand above full scale.
    """
    peak = float(np.abs(samples).max(initial=0.0))
    if not peak:
        return samples
    loud = samples * np.float32(10 ** (decibels / 20) / peak)
    return np.asarray(np.clip(loud, -1.0, 1.0), np.float32)


def add_noise(samples: Samples, decibels: float, generator: np.random.Generator) -> Samples:
    """White noise under the sound.

    Parameters
    ----------
    decibels
        The signal-to-noise ratio, over the whole sound. It is exact: the noise is scaled to its own power.
    """
    noise = generator.standard_normal(len(samples), dtype=np.float32)
    power, own = float(np.mean(samples.astype(np.float64) ** 2)), float(np.mean(noise.astype(np.float64) ** 2))
    return samples + noise * np.float32(np.sqrt(power / own) * 10 ** (-decibels / 20))


def tilt(samples: Samples, rate: int, decibels: float, *, low: float = 20.0, high: float = 11025.0) -> Samples:
    """An equaliser that is a straight line over the octaves: bass down and treble up, or the other way.

    Parameters
    ----------
    decibels
        Gain at `high` against the middle, whose own is 0 dB; at `low` it is the opposite. Beyond, it stays level.
    low, high
        Ends of the line in Hz.
    """
    if not 0 < low < high:
        raise InputError(f"A tilt needs two frequencies, the lower first, not {low:g} and {high:g} Hz.")

    def response(frequencies: NDArray[Any]) -> NDArray[np.float64]:
        octaves = np.log(np.clip(frequencies, low, high) / low) / np.log(high / low)
        return np.asarray(10 ** (decibels * (2 * octaves - 1) / 20))

    return _filtered(samples, rate, response)


def low_pass(samples: Samples, rate: int, cutoff: float) -> Samples:
    """Nothing above `cutoff` Hz: a brick wall, softened over a twentieth of it below, so that it does not ring."""

    def response(frequencies: NDArray[Any]) -> NDArray[np.float64]:
        place = np.clip((frequencies - cutoff) / (cutoff / 20) + 0.5, -0.5, 0.5)
        return np.asarray(0.5 - 0.5 * np.sin(np.pi * place))

    return _filtered(samples, rate, response)


def speed(samples: Samples, rate: int, factor: float) -> Samples:
    """Played faster, as by a turntable: tempo and pitch both times `factor`, the length divided by it."""
    if not 0.1 <= factor <= 10:
        raise InputError(f"A speed is between a tenth and ten times, not {factor:g}.")
    # Whole rates are all that is needed: at 22 050 Hz the factor is right to 0.003 %.
    changed: Samples = soxr.resample(samples, round(rate * factor), rate, quality="HQ")
    return changed


def stretch(samples: Samples, start: float, share: float) -> Samples:
    """A part of the sound: from `start` on, and so much, both as shares of its length."""
    first = round(start * len(samples))
    return samples[first : first + max(1, round(share * len(samples)))]


def _filtered(samples: Samples, rate: int, response: Callable[[NDArray[Any]], NDArray[np.float64]]) -> Samples:
    """Zero-phase filtering by a real gain for each frequency in Hz."""
    # Silence up to a power of two: the transform is quick whatever the length, and the end does not ring into the
    # beginning.
    size = 1 << (len(samples) + rate // 2).bit_length()
    spectrum = np.fft.rfft(samples.astype(np.float64), size) * response(np.fft.rfftfreq(size, 1 / rate))
    changed: Samples = np.fft.irfft(spectrum, size)[: len(samples)].astype(np.float32)
    return changed
