"""Sounds that are no music, made on the spot: what a genre classifier should not name.

Every kind is a function of a generator, so that the same seed gives the same sound. The kinds are split into two
halves: rules are chosen and thresholds looked at on the development half alone, and what is reported of a rule is the
other half. The split is by kind, never by example, so that a rule is judged by sounds unlike those it was chosen on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
Half = Literal["development", "test"]
Maker = Callable[[np.random.Generator, "NDArray[Any]"], "NDArray[Any]"]

RATE = 22050
SECONDS = 30.0
# Peak level of a sound: about what recorded music has.
PEAK = 0.5
# Three of a kind already show whether it is told from music; ten give the shares their steps of a tenth.
EXAMPLES = 10


@dataclass(frozen=True)
class Kind:
    """One kind of sound.

    Parameters
    ----------
    name
        In words, for tables.
    half
        Whether rules may be chosen by it, or are reported by it.
    make
        From a generator and the times of the samples in seconds (n,) to samples (n,) of any level.
    """

    name: str
    half: Half
    make: Maker

    def examples(
        self, count: int = EXAMPLES, *, seconds: float = SECONDS, rate: int = RATE, seed: int = 0
    ) -> Iterator[Samples]:
        """Sounds of this kind, float32 (n,) at `rate`, each from a seed of its own.

        Parameters
        ----------
        count
            How many.
        seconds, rate
            Length of each, and samples per second.
        seed
            Another one gives other sounds.
        """
        times = np.arange(round(seconds * rate)) / rate
        for number in range(count):
            # The name is part of the seed: a kind that is added changes no other.
            generator = np.random.default_rng([seed, number, *self.name.encode()])
            sound = self.make(generator, times)
            level = PEAK if self.name != NEAR_SILENCE else 10 ** (-generator.uniform(60, 80) / 20)
            yield (level * sound / np.abs(sound).max()).astype(np.float32)


NEAR_SILENCE = "near-silence"


def coloured_noise(generator: np.random.Generator, count: int, exponent: float, rate: int = RATE) -> NDArray[Any]:
    """Noise whose power falls with frequency: ``f ** -exponent``, 0 for white, 1 for pink, 2 for brown.

    Below 20 Hz the power stays level, so that it does not end as a slow drift.

    Parameters
    ----------
    count
        Samples, returned as (count,) of unit variance.
    """
    frequencies = np.fft.rfftfreq(count, 1 / rate)
    shape = np.maximum(frequencies, 20.0) ** (-exponent / 2)
    spectrum = shape * (generator.standard_normal(len(shape)) + 1j * generator.standard_normal(len(shape)))
    spectrum[0] = 0
    sound = np.fft.irfft(spectrum, count)
    return np.asarray(sound / sound.std())


def _noise(low: float, high: float) -> Maker:
    return lambda generator, t: coloured_noise(generator, len(t), generator.uniform(low, high), _rate(t))


def _rate(t: NDArray[Any]) -> int:
    return round(1 / float(t[1] - t[0]))


def _tone(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    return np.sin(2 * np.pi * _pitch(generator, 80, 6000) * t)


def _rich_tone(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    """A tone with harmonics, as of a horn or a test organ."""
    pitch, fall = _pitch(generator, 80, 1000), generator.uniform(0.5, 2)
    return sum((np.sin(2 * np.pi * pitch * k * t) / k**fall for k in range(1, 9)), np.zeros_like(t))


def _chord(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    root = _pitch(generator, 110, 440)
    steps = ((0, 4, 7), (0, 3, 7), (0, 4, 7, 10), (0, 5, 7), (0, 3, 6))[generator.integers(5)]
    parts = [np.sin(2 * np.pi * root * 2 ** (s / 12) * k * t) / k for s in steps for k in (1, 2, 3)]
    return np.asarray(np.sum(parts, axis=0))


def _two_tones(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    """Keys of a telephone."""
    low, high = (697, 770, 852, 941), (1209, 1336, 1477)
    sound = np.zeros_like(t)
    step = generator.uniform(0.2, 0.6)
    for number in range(int(t[-1] / step) + 1):
        on = slice(*np.searchsorted(t, (number * step, (number + 0.5) * step)))
        first, second = generator.choice(low), generator.choice(high)
        sound[on] = np.sin(2 * np.pi * first * t[on]) + np.sin(2 * np.pi * second * t[on])
    return sound


def _sweep(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    low, high = _pitch(generator, 40, 200), _pitch(generator, 3000, 10000)
    period = generator.uniform(2, 30)
    place = (t % period) / period
    growth = np.log(high / low)
    return np.asarray(np.sin(2 * np.pi * low * period / growth * np.exp(growth * place)))


def _siren(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    middle, speed = _pitch(generator, 500, 1200), generator.uniform(0.2, 4)
    phase = 2 * np.pi * middle * t - 0.3 * middle / speed * np.cos(2 * np.pi * speed * t)
    return np.sin(phase) + 0.3 * np.sin(2 * phase)


def _hum(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    mains = generator.choice([50.0, 60.0])
    sound = 0.02 * coloured_noise(generator, len(t), 1.0, _rate(t))
    for k in range(1, 20):
        sound += generator.uniform(0.1, 1) / k * np.sin(2 * np.pi * mains * k * t + generator.uniform(0, 6.3))
    return sound


def _bursts(
    generator: np.random.Generator, t: NDArray[Any], begins: NDArray[Any], decay: float, pitch: float
) -> NDArray[Any]:
    """Decaying bursts at the given times, of noise (pitch 0) or of a tone."""
    rate = _rate(t)
    length = min(len(t), int(8 / decay * rate) + 1)
    local = np.arange(length) / rate
    sound = np.zeros(len(t) + length)
    for begin in begins:
        body = np.sin(2 * np.pi * pitch * local) if pitch else generator.standard_normal(length)
        first = int(begin * rate)
        sound[first : first + length] += generator.uniform(0.6, 1) * body * np.exp(-decay * local)
    return sound[: len(t)]


def _clicks(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    """Crackle of a record's empty groove: clicks at random times over faint hiss."""
    begins = np.sort(generator.uniform(0, t[-1], int(generator.uniform(2, 30) * t[-1])))
    return _bursts(generator, t, begins, 400, 0) + 0.01 * generator.standard_normal(len(t))


def _metronome(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    begins = np.arange(0, t[-1], 60 / generator.uniform(50, 180))
    return _bursts(generator, t, begins, generator.uniform(40, 150), _pitch(generator, 800, 3000))


def _steps(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    """Knocks at uneven times: footsteps, typing."""
    begins = np.cumsum(generator.gamma(8, generator.uniform(0.2, 0.7) / 8, int(t[-1] * 6)))
    return _bursts(generator, t, begins[begins < t[-1]], generator.uniform(20, 90), 0)


def _waves(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    """Surf or wind: noise that swells and falls over seconds."""
    swell = np.zeros_like(t)
    for _ in range(4):
        period, begin = generator.uniform(3, 12), generator.uniform(0, 6)
        swell += generator.uniform(0.3, 1) * np.sin(2 * np.pi * t / period + begin)
    return coloured_noise(generator, len(t), generator.uniform(0.5, 2), _rate(t)) * 10 ** (swell / 3)


def _crowd(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    """Babble: many voices, each a buzz with moving formants switched on and off at the rate of syllables."""
    rate = _rate(t)
    sound = np.zeros_like(t)
    # Envelopes move slowly: points 20 ms apart are enough.
    points = np.arange(0, t[-1] + 0.04, 0.02)
    for _ in range(int(generator.integers(8, 25))):
        pitch = generator.uniform(90, 250) * (1 + 0.1 * np.sin(2 * np.pi * generator.uniform(0.1, 0.5) * t))
        phase = 2 * np.pi * np.cumsum(pitch) / rate
        loud = np.convolve(generator.uniform(0, 1, len(points)) ** 3, np.hanning(9), "same")
        envelope = np.interp(t, points, loud)
        for formant in generator.uniform((300, 900, 2200), (800, 1900, 3000)):
            harmonic = round(formant / 160)
            sound += envelope * np.sin(harmonic * phase + generator.uniform(0, 6))
    return np.asarray(sound + 0.3 * sound.std() * coloured_noise(generator, len(t), 1.0, rate))


def _applause(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    begins = generator.uniform(0, t[-1], int(generator.uniform(100, 400) * t[-1]))
    return _bursts(generator, t, begins, generator.uniform(100, 300), 0)


def _engine(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    speed = generator.uniform(15, 60) * (1 + 0.05 * np.sin(2 * np.pi * generator.uniform(0.05, 0.3) * t))
    phase = 2 * np.pi * np.cumsum(speed) / _rate(t)
    parts = [generator.uniform(0.2, 1) / k**0.7 * np.sin(k * phase) for k in range(1, 30)]
    rough = coloured_noise(generator, len(t), 1.0, _rate(t)) * (1 + 0.5 * np.sin(phase))
    return np.asarray(np.sum(parts, axis=0) + generator.uniform(0.1, 0.6) * rough)


def _birds(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    sound = 0.02 * coloured_noise(generator, len(t), 1.0, _rate(t))
    rate = _rate(t)
    for begin in np.sort(generator.uniform(0, max(t[-1] - 0.5, 0.1), int(t[-1] * generator.uniform(1, 4)))):
        local = np.arange(int(generator.uniform(0.05, 0.3) * rate)) / rate
        low, rise = generator.uniform(2000, 5000), generator.uniform(-8000, 8000)
        call = np.sin(2 * np.pi * (low * local + 0.5 * rise * local**2)) * np.hanning(len(local))
        first = int(begin * rate)
        sound[first : first + len(call)] += call[: len(sound) - first]
    return sound


def _pitch(generator: np.random.Generator, low: float, high: float) -> float:
    return float(np.exp(generator.uniform(np.log(low), np.log(high))))


def _square(generator: np.random.Generator, t: NDArray[Any]) -> NDArray[Any]:
    """Beeping of a clock or a lorry."""
    pitch, period = _pitch(generator, 800, 3500), generator.uniform(0.3, 1.5)
    return np.sign(np.sin(2 * np.pi * pitch * t)) * ((t % period) < generator.uniform(0.3, 0.6) * period)


KINDS: tuple[Kind, ...] = (
    Kind("white noise", "development", _noise(-0.2, 0.2)),
    Kind("single tone", "development", _tone),
    Kind("mains hum", "development", _hum),
    Kind("crackle", "development", _clicks),
    Kind("telephone keys", "development", _two_tones),
    Kind("surf and wind", "development", _waves),
    Kind("engine", "development", _engine),
    Kind("footsteps", "development", _steps),
    Kind("pink noise", "test", _noise(0.8, 1.2)),
    Kind("brown noise", "test", _noise(1.8, 2.2)),
    Kind("held note", "test", _rich_tone),
    Kind("held chord", "test", _chord),
    Kind("sweep", "test", _sweep),
    Kind("siren", "test", _siren),
    Kind("metronome", "test", _metronome),
    Kind("beeping", "test", _square),
    Kind("crowd", "test", _crowd),
    Kind("applause", "test", _applause),
    Kind("birds", "test", _birds),
    Kind(NEAR_SILENCE, "test", _noise(0.0, 2.0)),
)
