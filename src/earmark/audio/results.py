"""What decoding gives: facts about a file, its sound, and the sum of a pass over it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from earmark.audio.problems import Problem
from earmark.products import energy

SILENCE: Final = 1e-4
"""A sound that nowhere departs from its middle by more than this (-80 dB of full scale) is silent."""
# Channels that cancel out leave no mono sound to speak of.
_MOST_GAIN: Final = 20.0


@dataclass(frozen=True)
class AudioInfo:
    """What a file says about itself.

    Parameters
    ----------
    path
        None for a file object.
    sample_rate
        In Hz.
    channels
        How many there are before mixing to mono.
    seconds
        Length that the container declares; None where it does not (MP3 without a Xing header, bare AAC, streams that
        were never finished); :meth:`Recording.measure` then finds out.
    container, codec
        Short names: "mp4", "aac".
    reader
        Which library decodes it.
    """

    path: Path | None
    sample_rate: int
    channels: int
    seconds: float | None
    container: str
    codec: str
    reader: Literal["soundfile", "av"]


@dataclass(frozen=True, eq=False)
class Sound:
    """Decoded sound.

    Parameters
    ----------
    samples
        (n,) float32 mono, full scale is 1.
    sample_rate
        In Hz.
    declared
        Length of the whole file in seconds as its container states it; None if it does not.
    decoded
        Seconds in `samples`.
    problems
        What was found that does not stop use.
    """

    samples: NDArray[np.float32]
    sample_rate: int
    declared: float | None
    decoded: float
    problems: tuple[Problem, ...]


@dataclass
class Tally:
    """What one pass over a stretch has given so far.

    ``full``: whether ``low``, ``high`` (the smallest and largest sample) and ``energy`` (the sum of squares) take all
    samples into account, or stop where the sound is known not to be silent; ``samples``: how many; ``repaired``:
    values that were no numbers; ``ended``: the end of the file was reached; ``whole``: the pass began at the
    beginning and reached the end.
    """

    full: bool = False
    samples: int = 0
    low: float = math.inf
    high: float = -math.inf
    energy: float = 0.0
    repaired: int = 0
    ended: bool = False
    whole: bool = False

    def count(self, piece: NDArray[np.float32]) -> None:
        self.samples += len(piece)
        if self.full or self.silent:
            self.low = min(self.low, float(piece.min()))
            self.high = max(self.high, float(piece.max()))
        if self.full:
            self.energy += energy(piece)

    @property
    def silent(self) -> bool:
        """Nothing louder than :data:`SILENCE` so far."""
        return self.high - self.low <= 2 * SILENCE


@dataclass
class ChannelPower:
    """What mixing to mono has taken away: sums of squares of all channels, and of their mean."""

    channels: float = 0.0
    mono: float = 0.0

    def add(self, channels: float, mono: float) -> None:
        """Add the sums over a piece; sums that are no numbers are left out."""
        if math.isfinite(channels) and math.isfinite(mono):
            self.channels += channels
            self.mono += mono

    @property
    def gain(self) -> float:
        """Power of the channels together over that of their mean, in dB, to a hundredth.

        0 for mono and for silence, 3.01 for two equal channels, more the less they have in common, 20 at most.
        """
        if not self.channels or not self.mono:
            return 0.0
        return round(min(_MOST_GAIN, 10 * math.log10(self.channels / self.mono)), 2)


@dataclass(frozen=True)
class Check:
    """What decoding a file from end to end has shown.

    Parameters
    ----------
    path
        None for a file object.
    info
        None if it cannot be opened.
    usable
        Whether :func:`load` would give its sound.
    seconds
        Decoded.
    problems, sentences
        What is wrong, as codes and in words.
    peak, rms
        Largest absolute sample and root of the mean square of the mono mix, full scale is 1.
    """

    path: Path | None
    info: AudioInfo | None
    usable: bool
    seconds: float
    problems: tuple[Problem, ...]
    sentences: tuple[str, ...]
    peak: float
    rms: float

    @property
    def ok(self) -> bool:
        """Nothing is wrong."""
        return not self.problems
