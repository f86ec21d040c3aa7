"""The parameters that turn sound into the numbers a model sees: frozen, comparable, the key of every cache."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError

Kind = Literal["mel", "stft"]
Scale = Literal["window", "columns"]

# Raise it when the numbers change for the same parameters: it is part of every cache key.
_FORMAT = 1
# Offset and step of the columns, in frames, where none are given.
_COLUMNS: dict[str, tuple[float, float]] = {"mel": (1.664, 3.3368), "stft": (0.0, 1.0)}


@dataclass(frozen=True)
class FrontEnd:
    """The parameters that turn sound into the numbers a model sees. Travels with every store and bundle.

    Parameters
    ----------
    kind
        ``"mel"``: power in mel bands; ``"stft"``: power in the bins of the Fourier transform.
    sample_rate
        Samples per second of the sound that is put in.
    n_fft, hop_length
        Length of a frame and distance between frames, in samples. ``n_fft`` is even.
    n_mels
        Mel bands from 0 Hz to half the sample rate; always 0 for ``"stft"``, where it has no meaning.
    seconds
        Length of the window.
    frame_offset, frame_step
        Column k of the spectrogram is frame ``floor(frame_offset + frame_step * k)``, for every k whose frame the
        window has. -1, the default, stands for the kind's own: 1.664 and 3.3368 for ``"mel"``, which are the 387
        columns of ``gtzan/mel.npz``; 0 and 1, every frame, for ``"stft"``.
    top_db
        What lies further below the maximum is raised to this distance.
    scale
        The maximum, and the range that becomes 0 to 255, are taken over every frame of the window (``"window"``) or
        over the columns alone (``"columns"``: faster, for the frames between columns need no Fourier transform).

    Raises
    ------
    InputError
        If a parameter is out of its range.
    """

    kind: Kind = "mel"
    sample_rate: int = 22050
    n_fft: int = 2048
    hop_length: int = 512
    n_mels: int = 128
    seconds: float = 30.0
    frame_offset: float = -1.0
    frame_step: float = -1.0
    top_db: float = 80.0
    scale: Scale = "window"

    def __post_init__(self) -> None:
        for name, choices in (("kind", get_args(Kind)), ("scale", get_args(Scale))):
            if getattr(self, name) not in choices:
                raise InputError(f"A front end's {name} is one of {', '.join(choices)}, not {getattr(self, name)!r}.")
        if self.kind == "stft":
            self._set("n_mels", 0)
        if self.frame_offset == -1:
            self._set("frame_offset", _COLUMNS[self.kind][0])
        if self.frame_step == -1:
            self._set("frame_step", _COLUMNS[self.kind][1])
        for name, least in (("sample_rate", 1), ("n_fft", 2), ("hop_length", 1), ("n_mels", int(self.kind == "mel"))):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise InputError(f"A front end's {name} is a whole number of at least {least}, not {value!r}.")
        if self.n_fft % 2:
            raise InputError(f"A front end's n_fft is even, not {self.n_fft}.")
        for name in ("seconds", "frame_offset", "frame_step", "top_db"):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise InputError(f"A front end's {name} is a number, not {value!r}.")
            # 30 and 30.0 must give one key.
            self._set(name, float(value))
        if self.window_samples < 1:
            raise InputError(f"A front end's window of {self.seconds} s holds no sample at {self.sample_rate} Hz.")
        if self.top_db <= 0:
            raise InputError(f"A front end's top_db is above 0, not {self.top_db}.")
        if self.frame_step < 1 or not 0 <= self.frame_offset < self.n_frames:
            raise InputError(
                f"A front end's frame_step is at least 1 and its frame_offset lies in the window's {self.n_frames} "
                f"frames, not {self.frame_step} and {self.frame_offset}."
            )

    def _set(self, name: str, value: float) -> None:
        object.__setattr__(self, name, value)

    @property
    def window_samples(self) -> int:
        """Samples in the window: ``round(seconds * sample_rate)``."""
        return round(self.seconds * self.sample_rate)

    @property
    def n_frames(self) -> int:
        """Frames of the Fourier transform in the window, looked at or not."""
        return 1 + self.window_samples // self.hop_length

    @property
    def bins(self) -> int:
        """Rows of the spectrogram."""
        return self.n_mels if self.kind == "mel" else self.n_fft // 2 + 1

    @cached_property
    def frames(self) -> NDArray[np.intp]:
        """Frame of each column, rising, shape (columns,); its centre is at sample ``frame * hop_length``."""
        upper = math.ceil((self.n_frames - self.frame_offset) / self.frame_step) + 1
        frames = np.floor(self.frame_offset + self.frame_step * np.arange(upper)).astype(np.intp)
        existing: NDArray[np.intp] = frames[frames < self.n_frames]
        existing.flags.writeable = False
        return existing

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of the spectrogram: (bins, columns)."""
        return self.bins, len(self.frames)

    def to_dict(self) -> dict[str, Any]:
        """All parameters and the format's version, ready for JSON."""
        return {"format": _FORMAT, **asdict(self)}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> FrontEnd:
        """The front end that :meth:`to_dict` wrote.

        Raises
        ------
        InputError
            If a parameter is missing, unknown or out of range, or the format is not this version's.
        """
        known = {"format", *(field.name for field in fields(cls))}
        if set(values) != known:
            odd = ", ".join(sorted(known.symmetric_difference(values)))
            raise InputError(f"This is not the description of a front end: missing or unknown: {odd}.")
        if values["format"] != _FORMAT:
            raise InputError(
                f"The front end has format {values['format']!r}; this version of Earmark computes format {_FORMAT}."
            )
        return cls(**{name: value for name, value in values.items() if name != "format"})

    def key(self) -> str:
        """16 hexadecimal digits that differ whenever the numbers may: SHA-256 of the canonical JSON."""
        text = json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"), allow_nan=False)
        return hashlib.sha256(text.encode()).hexdigest()[:16]


MEL = FrontEnd()
"""The mel front end of ``gtzan/mel.npz``: 128 bands, 387 columns of a 30 s window."""

REPORT = FrontEnd(kind="stft")
"""The report's front end: every bin and frame of librosa's short-time Fourier transform, in decibels."""
