"""What a classifier has heard of a track so far."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from earmark.audio import Problem
from earmark.music.meter import MusicMeter

# Windows whose own answers are kept, so that sound that never ends takes bounded room: 83 hours of 30 s windows.
MOST_POINTS = 10_000


@dataclass
class Hearing:
    """What has been heard of a track so far, in bounded room.

    ``windows``: start and length in seconds and probabilities of the last :data:`MOST_POINTS` windows; ``count``,
    ``probabilities`` and ``embedding``: how many windows there were, and their sums; ``samples``: decoded;
    ``silent``: whether a stretch was left out because it was silent; ``meter``: measures the music, if it is to be;
    ``channel_gain``: what mixing to mono took from the loudness, in dB.
    """

    windows: deque[tuple[float, float, NDArray[np.float64]]] = field(
        default_factory=lambda: deque(maxlen=MOST_POINTS)
    )
    count: int = 0
    probabilities: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    embedding: NDArray[np.float64] = field(default_factory=lambda: np.zeros(1))
    problems: set[Problem] = field(default_factory=set)
    timbres: deque[NDArray[np.float32]] = field(default_factory=lambda: deque(maxlen=MOST_POINTS))
    together: deque[float] = field(default_factory=lambda: deque(maxlen=MOST_POINTS))
    samples: int = 0
    # Mean square of the loudest window; infinite where only pictures were given, which have no level.
    power: float = 0.0
    silent: bool = False
    meter: MusicMeter | None = None
    channel_gain: float = 0.0

    def add(
        self, begin: float, seconds: float, probabilities: NDArray[np.float64], embedding: NDArray[np.float32]
    ) -> None:
        """Add a window."""
        self.windows.append((begin, seconds, probabilities))
        self.count += 1
        self.probabilities = self.probabilities + probabilities
        self.embedding = self.embedding + embedding
