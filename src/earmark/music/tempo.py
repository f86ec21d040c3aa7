"""Tempo and pulse from the periodicity of the onset envelope."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

SLOWEST, FASTEST = 40.0, 240.0
LONGEST_LAG = 6.0
# Below this many seconds a slow beat has not come round often enough to be believed.
SHORTEST_SECONDS = 4.0
# Where people tap: a bell over the octaves around 120 (Ellis 2007; after Moelants and McKinney 2004).
_CENTRE, _OCTAVES = 120.0, 1.0
# Weight of a period's multiples, and of its half or third, which speaks for a faster pulse.
_MULTIPLES = (1.0, 1 / 2, 1 / 3, 1 / 4)
_PARTS = 0.5
_MOST = 3.0
_SMOOTH_SECONDS = 0.028
_LOCAL_SECONDS = 1.0
_STEPS_PER_OCTAVE = 240
# Rivals within this share of the tempo, or of a simple multiple, are the same answer.
_SAME = 0.06


@dataclass(frozen=True)
class Tempo:
    """The answer about a pulse.

    Parameters
    ----------
    bpm
        Beats per minute, 40 to 240; of tempos an octave apart, the one that more people would tap.
    confidence
        0..1: geometric mean of `strength` and of how far it stands out from tempos that are no simple multiple of it.
        It does not tell whether people would rather tap half or twice as fast.
    strength
        0..1: how much of the envelope comes again after one beat.
    """

    bpm: float
    confidence: float
    strength: float


def periodicity(envelope: NDArray[np.float32], rate: float) -> NDArray[np.float64] | None:
    """Autocorrelation of an onset envelope, for lags from 0 to 6 s (or the half of the sound).

    Parameters
    ----------
    envelope
        (n,), 0 or more.
    rate
        Values per second.

    Returns
    -------
    (lags,), 1 at lag 0; None for sound in which nothing begins, or that is shorter than 4 s.
    """
    count = len(envelope)
    if count < SHORTEST_SECONDS * rate:
        return None
    values = np.asarray(envelope, np.float64)
    values = _smooth(values, _SMOOTH_SECONDS * rate)
    # The slow swell of the music is no beat.
    values = values - _running_mean(values, round(_LOCAL_SECONDS * rate))
    size = 1 << (2 * count - 1).bit_length()
    spectrum = np.fft.rfft(values, size)
    found = np.fft.irfft(spectrum.real**2 + spectrum.imag**2, size)
    lags = min(count // 2, round(LONGEST_LAG * rate)) + 1
    # A rise of a thousandth of a decibel in a frame is rounding, not music.
    if found[0] / count < 1e-6:
        return None
    found = found[:lags] / (count - np.arange(lags)) * count
    result: NDArray[np.float64] = found / found[0]
    return result


def tempo_of(correlation: NDArray[np.float64], rate: float) -> Tempo | None:
    """The tempo that an autocorrelation speaks for; None where nothing comes again.

    Parameters
    ----------
    correlation
        Of :func:`periodicity`, or the mean of several.
    rate
        Lags per second.
    """
    octaves = np.log2(FASTEST / SLOWEST)
    tempos = SLOWEST * 2 ** np.linspace(0, octaves, round(octaves * _STEPS_PER_OCTAVE) + 1)
    periods = 60 * rate / tempos
    lags = np.arange(len(correlation))
    evidence = sum(
        weight * np.interp(number * periods, lags, correlation, right=0.0)
        for number, weight in enumerate(_MULTIPLES, start=1)
    ) - _PARTS * np.max([np.interp(periods / part, lags, correlation) for part in (2, 3)], axis=0).clip(0)
    # A period that does not itself come again is none, whatever its multiples say.
    evidence = np.minimum(evidence, _MOST * np.interp(periods, lags, correlation))
    scores = np.maximum(0, evidence) * np.exp(-0.5 * (np.log2(tempos / _CENTRE) / _OCTAVES) ** 2)
    best = int(np.argmax(scores))
    if scores[best] <= 0:
        return None
    period = _refine(correlation, periods[best])
    strength = float(np.clip(np.interp(period, lags, correlation), 0, 1))
    ratio = tempos / tempos[best]
    ratio = np.maximum(ratio, 1 / ratio)
    related = np.min([np.abs(ratio / multiple - 1) for multiple in (1, 1.5, 2, 3, 4)], axis=0) < _SAME
    rival = float(np.max(scores, where=~related, initial=0.0))
    outstanding = 1 - rival / float(scores[best])
    return Tempo(float(60 * rate / period), float(np.sqrt(outstanding * strength)), strength)


def _refine(correlation: NDArray[np.float64], period: float) -> float:
    """The period from the peak near it, then from the peaks near its multiples, which tell it more finely."""
    least = 0.3 * np.interp(period, np.arange(len(correlation)), correlation)
    for multiple in (1, 2, 4, 8):
        middle = round(multiple * period)
        first, last = max(1, middle - 2), middle + 2
        if last > len(correlation) - 2:
            break
        place = first + int(np.argmax(correlation[first : last + 1]))
        before, here, after = correlation[place - 1 : place + 2]
        bend = before - 2 * here + after
        if bend >= 0 or here < least:
            break
        period = (place + 0.5 * float(np.clip((before - after) / bend, -1, 1))) / multiple
    return period


def _smooth(values: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
    reach = max(1, round(3 * deviation))
    bell = np.exp(-0.5 * (np.arange(-reach, reach + 1) / deviation) ** 2)
    return np.convolve(np.pad(values, reach, mode="edge"), bell / bell.sum(), "valid")


def _running_mean(values: NDArray[np.float64], width: int) -> NDArray[np.float64]:
    total = np.concatenate([[0.0], np.cumsum(values)])
    place = np.arange(len(values))
    first, last = np.maximum(0, place - width // 2), np.minimum(len(values), place + width // 2 + 1)
    return np.asarray((total[last] - total[first]) / (last - first))
