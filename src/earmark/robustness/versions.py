"""The versions of a clip that a model is tried on: what each does to the sound, with the name that tables give it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.robustness import codecs, distortions

Samples = NDArray[np.float32]
Change = Callable[[Samples, int, np.random.Generator], Samples]

CLEAN = "clean"
# Parts of a sound are windows of it where it is long enough for two of them, and else these shares of it.
FIRST, MIDDLE = "first part", "middle part"
_PART = 0.5


@dataclass(frozen=True)
class Version:
    """One way in which sound is changed.

    Parameters
    ----------
    name
        Short and unique.
    detail
        What is done, in a sentence's part.
    change
        From samples, their rate and a generator to samples of the same rate.
    """

    name: str
    detail: str
    change: Change


def part(samples: Samples, window: int, start: str) -> Samples:
    """The first or the middle of a sound: a whole window where there are two of them, else half of the sound."""
    share = window / len(samples) if len(samples) >= 2 * window else _PART
    return distortions.stretch(samples, 0.0 if start == FIRST else (1 - share) / 2, share)


def versions(window: int) -> tuple[Version, ...]:
    """All versions, the unchanged sound first.

    Parameters
    ----------
    window
        Samples in the window of the model, for the parts.
    """
    d = distortions
    return (
        Version(CLEAN, "as it is", lambda x, rate, _: x),
        Version("gain −12 dB", "softer", lambda x, rate, _: d.gain(x, -12)),
        Version("gain +12 dB", "louder, with the room for it", lambda x, rate, _: d.gain(x, 12)),
        Version("clipped 12 dB", "its peak 12 dB over full scale, cut off there", lambda x, rate, _: d.clip(x, 12)),
        Version("MP3 64 kbit/s", "44.1 kHz, two channels, and back", lambda x, rate, _: codecs.mp3(x, rate, 64)),
        Version("Opus 24 kbit/s", "48 kHz, one channel, and back", lambda x, rate, _: codecs.opus(x, rate, 24)),
        Version("up to 8 kHz", "nothing above", lambda x, rate, _: d.low_pass(x, rate, 8000)),
        Version("up to 4 kHz", "nothing above, as on a telephone", lambda x, rate, _: d.low_pass(x, rate, 4000)),
        Version("noise, 20 dB", "white, at 20 dB signal to noise", lambda x, rate, g: d.add_noise(x, 20, g)),
        Version("bright, +6 dB", "−6 dB at 20 Hz to +6 dB at 11 kHz", lambda x, rate, _: d.tilt(x, rate, 6)),
        Version("dull, −6 dB", "+6 dB at 20 Hz to −6 dB at 11 kHz", lambda x, rate, _: d.tilt(x, rate, -6)),
        Version("speed −4 %", "tempo and pitch", lambda x, rate, _: d.speed(x, rate, 0.96)),
        Version("speed +4 %", "tempo and pitch", lambda x, rate, _: d.speed(x, rate, 1.04)),
        Version(FIRST, "half of it, or a window of long sound", lambda x, rate, _: part(x, window, FIRST)),
        Version(MIDDLE, "half of it, or a window of long sound", lambda x, rate, _: part(x, window, MIDDLE)),
    )
