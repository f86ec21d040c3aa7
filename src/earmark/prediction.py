"""The answer for one track, as plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.music import Music


@dataclass(frozen=True)
class TimelinePoint:
    """What one window was heard as.

    Parameters
    ----------
    start, seconds
        Where the window begins in the track, and how long it is, in seconds.
    probabilities
        Calibrated, for every genre, in the bundle's order.
    """

    start: float
    seconds: float
    probabilities: dict[str, float]


@dataclass(frozen=True)
class Prediction:
    """The answer for one track.

    Parameters
    ----------
    path
        What was heard, as it was named.
    label, confidence
        The most probable genre and its calibrated probability.
    unsure
        Whether the answer is not to be relied on; `doubt` says why.
    probabilities
        Of every genre, falling; they sum to 1.
    embedding
        float32 (d,): mean over the windows.
    timeline
        One point per window.
    heard
        Start and end of each window, in seconds.
    decoded, declared
        Seconds that were decoded, and that the file says it has (None: it does not say).
    problems
        Codes of :class:`earmark.audio.Problem` found in what was decoded that did not stop use.
    doubt
        Why it is unsure: "between genres" (the confidence is below the bundle's threshold), "unlike anything it has
        learnt" (see :mod:`earmark.novelty`) or "hardly any sound"; None where it is sure.
    music
        Tempo, key, loudness and dynamics of the windows that were heard.
    """

    path: str
    label: str
    confidence: float
    unsure: bool
    probabilities: dict[str, float]
    embedding: NDArray[np.float32] = field(repr=False)
    timeline: tuple[TimelinePoint, ...]
    heard: tuple[tuple[float, float], ...]
    decoded: float
    declared: float | None
    problems: tuple[str, ...] = ()
    doubt: str | None = None
    music: Music = field(default_factory=Music)

    @property
    def answer(self) -> str:
        """The genre, or ``unsure``."""
        return "unsure" if self.unsure else self.label

    def to_dict(self, *, top_k: int | None = None, timeline: bool = False, embedding: bool = False) -> dict[str, Any]:
        """Plain values for JSON.

        Parameters
        ----------
        top_k
            Only that many of the most probable genres.
        timeline, embedding
            Whether to add them.
        """
        row: dict[str, Any] = {
            "path": self.path,
            "label": self.label,
            "confidence": self.confidence,
            "unsure": self.unsure,
            "doubt": self.doubt,
            "probabilities": dict(list(self.probabilities.items())[:top_k]),
            "heard": [list(window) for window in self.heard],
            "decoded": self.decoded,
            "declared": self.declared,
            "problems": list(self.problems),
            **self.music.to_dict(),
        }
        if timeline:
            row["timeline"] = [
                {"start": point.start, "seconds": point.seconds, "probabilities": point.probabilities}
                for point in self.timeline
            ]
        if embedding:
            row["embedding"] = [float(value) for value in self.embedding]
        return row
