"""The front end of networks that take sound itself, or log-mel frames of their own kind, and no picture.

As :class:`earmark.front_end.FrontEnd` it is frozen, comparable, the key of every cache, and travels in the bundle.
One window is cut into segments as long as the network hears at once; the network's vectors of them are averaged.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.front_end import FrontEnd

MelScale = Literal["htk", "kaldi", "slaney"]
Logarithm = Literal["natural", "log10", "decibel"]

# Raise it when the numbers change for the same parameters: it is part of every cache key.
_FORMAT = 1
WAVEFORM, LOG_MEL = "waveform", "log-mel"
SPECTROGRAM, SOUND = "spectrogram", "sound"
"""What the input of a bundle's graph is called: uint8 as a :class:`FrontEnd` makes it, or float32 as the other."""


@dataclass(frozen=True)
class LogMel:
    """Logarithmic power in mel bands, as the feature extractors of ``transformers`` compute it.

    Parameters
    ----------
    frame_length, n_fft, hop_length
        In samples; a frame is followed by zeros up to ``n_fft``, which is even and no shorter.
    n_mels, low, high
        Bands, and the frequencies in Hz that they cover.
    scale
        ``"htk"`` and ``"slaney"`` have triangles in Hz; ``"kaldi"`` is HTK's scale with triangles in mel.
    area
        Whether bands have equal area (Slaney's normalisation) in place of equal height.
    centred
        Frames are centred on multiples of the hop, with the sound mirrored at both ends; else only whole frames
        are taken.
    symmetric
        A symmetric Hann window in place of a periodic one.
    preemphasis, without_mean
        What is done to each frame before the window: first its mean is taken away, then ``x[t] - p x[t-1]``.
    floor, logarithm
        Power is raised to the floor, then its logarithm taken (``"decibel"``: ``10 log10``).
    frames
        Frames that are kept, or filled up to with zeros.
    below_maximum
        Values further below the segment's maximum are raised to this distance; 0: none are.
    mean, deviation
        The result is ``(x - mean) / deviation``.
    """

    frame_length: int
    n_fft: int
    hop_length: int
    n_mels: int
    low: float
    high: float
    frames: int
    scale: MelScale = "htk"
    area: bool = False
    centred: bool = True
    symmetric: bool = False
    preemphasis: float = 0.0
    without_mean: bool = False
    floor: float = 1e-10
    logarithm: Logarithm = "natural"
    below_maximum: float = 0.0
    mean: float = 0.0
    deviation: float = 1.0

    def __post_init__(self) -> None:
        for name, choices in (("scale", get_args(MelScale)), ("logarithm", get_args(Logarithm))):
            if getattr(self, name) not in choices:
                raise InputError(f"A log-mel {name} is one of {', '.join(choices)}, not {getattr(self, name)!r}.")
        for name in ("frame_length", "n_fft", "hop_length", "n_mels", "frames"):
            _whole(self, name)
        numbers = ("low", "high", "preemphasis", "floor", "below_maximum", "mean", "deviation")
        for name in numbers:
            _number(self, name)
        if self.n_fft % 2 or self.n_fft < self.frame_length:
            raise InputError(f"n_fft is even and at least a frame of {self.frame_length}, not {self.n_fft}.")
        if not 0 <= self.low < self.high:
            raise InputError(f"Mel bands go from 0 Hz or more upwards, not from {self.low} to {self.high}.")
        if self.floor <= 0 or self.deviation <= 0 or self.below_maximum < 0:
            raise InputError("A log-mel floor and deviation are above 0, and below_maximum is not negative.")


@dataclass(frozen=True)
class SoundFrontEnd:
    """How sound becomes the numbers of a network that takes no picture.

    Parameters
    ----------
    sample_rate
        Samples per second of the sound that is put in.
    seconds
        Length of the window.
    segment
        Samples that the network looks at at once; no more than the window has.
    normalise
        For sound itself: each segment is shifted and scaled to mean 0 and variance 1
        (``(x - mean) / sqrt(variance + 1e-7)``).
    mel
        The log-mel frames that the network takes; None: it takes sound itself.

    Raises
    ------
    InputError
        If a parameter is out of its range.
    """

    sample_rate: int
    seconds: float
    segment: int
    normalise: bool = False
    mel: LogMel | None = None

    def __post_init__(self) -> None:
        _whole(self, "sample_rate")
        _whole(self, "segment")
        _number(self, "seconds")
        if not isinstance(self.normalise, bool):
            raise InputError(f"A front end's normalise is yes or no, not {self.normalise!r}.")
        if self.window_samples < self.segment:
            raise InputError(
                f"A window of {self.seconds:g} s is shorter than the {self.segment / self.sample_rate:.2f} s that "
                "the network hears at once."
            )
        if self.mel is not None and self.segment < self.mel.frame_length:
            raise InputError(f"A segment of {self.segment} samples holds no frame of {self.mel.frame_length}.")

    @property
    def kind(self) -> str:
        """``"waveform"`` or ``"log-mel"``."""
        return LOG_MEL if self.mel is not None else WAVEFORM

    @property
    def window_samples(self) -> int:
        """Samples in the window: ``round(seconds * sample_rate)``."""
        return round(self.seconds * self.sample_rate)

    @property
    def starts(self) -> NDArray[np.int64]:
        """First sample of each segment, (segments,): as few as cover the window, evenly spread."""
        count = math.ceil(self.window_samples / self.segment)
        return np.rint(np.linspace(0, self.window_samples - self.segment, count)).astype(np.int64)

    @property
    def shape(self) -> tuple[int, ...]:
        """(segments, samples), or (segments, frames, bands)."""
        count = len(self.starts)
        return (count, self.segment) if self.mel is None else (count, self.mel.frames, self.mel.n_mels)

    @property
    def picture(self) -> FrontEnd:
        """The front end for drawing the same window: for people, prints and timbre, not for the network."""
        scale = self.sample_rate / 22050
        return FrontEnd(
            sample_rate=self.sample_rate, n_fft=2 * round(1024 * scale), hop_length=max(1, round(512 * scale)),
            seconds=self.seconds,
        )  # fmt: skip

    def to_dict(self) -> dict[str, Any]:
        """All parameters, the kind and the format's version, ready for JSON."""
        return {"format": _FORMAT, "kind": self.kind, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> SoundFrontEnd:
        """The front end that :meth:`to_dict` wrote.

        Raises
        ------
        InputError
            If a parameter is missing, unknown or out of range, or the format is not this version's.
        """
        rest = {name: value for name, value in values.items() if name not in ("format", "kind")}
        if values.get("format") != _FORMAT:
            raise InputError(
                f"The front end has format {values.get('format')!r}; this version of Earmark computes {_FORMAT}."
            )
        if set(rest) != {field.name for field in fields(cls)}:
            odd = ", ".join(sorted({field.name for field in fields(cls)}.symmetric_difference(rest)))
            raise InputError(f"This is not the description of a front end: missing or unknown: {odd}.")
        mel = rest["mel"]
        if mel is not None:
            known = {field.name for field in fields(LogMel)}
            if not isinstance(mel, Mapping) or set(mel) != known:
                raise InputError("This is not the description of a front end: its mel bands are not described so.")
            rest["mel"] = LogMel(**mel)
        found = cls(**rest)
        if found.kind != values.get("kind"):
            raise InputError(f"The front end calls itself {values.get('kind')!r}, and its parameters do not.")
        return found

    def key(self) -> str:
        """16 hexadecimal digits that differ whenever the numbers may: SHA-256 of the canonical JSON."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


AnyFrontEnd = FrontEnd | SoundFrontEnd


def read_front_end(values: Mapping[str, Any]) -> AnyFrontEnd:
    """The front end that ``to_dict`` of either kind wrote; errors as there."""
    if values.get("kind") in (WAVEFORM, LOG_MEL):
        return SoundFrontEnd.from_dict(values)
    return FrontEnd.from_dict(values)


def graph_input(front_end: AnyFrontEnd) -> tuple[str, str, tuple[int, ...]]:
    """Name, ONNX type and shape (without the number of windows) of the input that a network of it takes."""
    if isinstance(front_end, SoundFrontEnd):
        return SOUND, "tensor(float)", front_end.shape
    return SPECTROGRAM, "tensor(uint8)", front_end.shape


def picture_front_end(front_end: AnyFrontEnd) -> FrontEnd:
    """The front end that draws what a network looks at or, where it looks at nothing, the window that it hears."""
    return front_end.picture if isinstance(front_end, SoundFrontEnd) else front_end


def _whole(owner: object, name: str) -> None:
    value = getattr(owner, name)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise InputError(f"A front end's {name} is a whole number of at least 1, not {value!r}.")


def _number(owner: object, name: str) -> None:
    value = getattr(owner, name)
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise InputError(f"A front end's {name} is a number, not {value!r}.")
    # 30 and 30.0 must give one key.
    object.__setattr__(owner, name, float(value))
