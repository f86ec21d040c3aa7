"""Live sound to answers: PCM blocks of any size and rate in, a genre every second out, in bounded memory."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.audio.problems import Problem
from earmark.audio.readers import RATES, Chunk, mix
from earmark.audio.resample import Converter
from earmark.audio.results import SILENCE, ChannelPower, Tally
from earmark.bundle import Bundle
from earmark.errors import InputError
from earmark.hearing import Hearing
from earmark.music.meter import MusicMeter
from earmark.predict import SHORTEST_SECONDS, Classifier
from earmark.prediction import Prediction, TimelinePoint
from earmark.products import energy
from earmark.windows import Windows

PAUSE_SECONDS = 2.0
"""Silence of this length parts what was heard before from what comes after, in running answers."""
SHORTNESS = 0.35
"""How certainty fades with the length of what was heard: logits are divided by ``(window / heard) ** SHORTNESS``.
Fitted by ``benchmarks/listen.py``, without labels: so that what a stretch of a song says predicts, in log likelihood,
what its 30 s say. Without it a second of music is named with 53 % on average, and its 30 s give that name 21 %."""
LARGEST_CHANNELS = 64
SMALLEST_STEP = 0.1
# Whether sound is silent is looked at in cells of this length.
_CELL_SECONDS = 0.1
# What full scale is in each kind of samples.
_SCALES = {"int16": 1 << 15, "int32": 1 << 31, "float32": 1, "float64": 1}


@dataclass(frozen=True)
class Moment:
    """What the sound is heard as at one moment: a running answer.

    Parameters
    ----------
    at
        The moment, in seconds of sound since the beginning.
    seconds
        How much sound up to that moment the answer rests on; less than a window soon after the beginning or a pause.
    label, confidence
        The most probable genre and its calibrated probability; None and 0 where there is nothing to name.
    unsure
        Whether the confidence is below the bundle's threshold, or there is nothing to name.
    probabilities
        Of every genre, falling; they sum to 1. Empty where there is nothing to name.
    problem
        Why there is nothing to name: ``silent``, or ``too-short`` (less than a second yet); None otherwise.
    """

    at: float
    seconds: float
    label: str | None
    confidence: float
    unsure: bool
    probabilities: dict[str, float]
    problem: str | None = None

    @property
    def answer(self) -> str:
        """The genre, ``unsure``, or ``nothing to hear``."""
        if self.label is None:
            return "nothing to hear"
        return "unsure" if self.unsure else self.label

    def to_dict(self, *, top_k: int | None = None) -> dict[str, Any]:
        """Plain values for JSON; of the probabilities the `top_k` highest."""
        return {
            "at": self.at,
            "seconds": self.seconds,
            "label": self.label,
            "confidence": self.confidence,
            "unsure": self.unsure,
            "probabilities": dict(list(self.probabilities.items())[:top_k]),
            "problem": self.problem,
        }


class Listener:
    """Hears sound that is still going on.

    Two kinds of answers come from the same sound. *Running answers* (:class:`Moment`) name the most recent stretch,
    up to one window, every `every` seconds; they are there from the first second on. What is shorter than a window is
    repeated until it fills one, as everywhere, and its probabilities are evened out by how much it falls short
    (:data:`SHORTNESS`). The *whole answer* of
    :meth:`finish` is the very :class:`earmark.Prediction` that :meth:`earmark.Classifier.classify` with ``full=True``
    gives for a file with the same samples, to the last bit, however the sound was cut into blocks.

    Memory is bounded (two windows of samples and the last 10,000 points of the timeline), so a listener can stay on a
    radio station for good. It belongs to one thread at a time.

    Parameters
    ----------
    bundle
        A bundle or its path; None: the one in the package; or a :class:`earmark.Classifier`, which any number of
        listeners in any threads may share.
    sample_rate
        Of the blocks, in Hz; they are resampled to the bundle's rate as they come.
    channels
        How many are interleaved in the blocks; they are mixed to mono by their mean.
    every
        Seconds of sound from one running answer to the next, at least 0.1; None: only when :meth:`now` is called.
    span
        How many seconds of recent sound running answers rest on, from 1 to the window's length; None: a window.
        Less follows a change of music faster and is right less often.

    Raises
    ------
    InputError
        If an argument makes no sense, or there is no such bundle.

    Examples
    --------
    >>> listener = Listener(sample_rate=44100, channels=2)  # doctest: +SKIP
    >>> for moment in listener.feed(block):  # doctest: +SKIP
    ...     print(moment.at, moment.answer, moment.confidence)
    >>> whole = listener.finish()  # doctest: +SKIP
    """

    def __init__(
        self,
        bundle: Classifier | Bundle | str | Path | None = None,
        *,
        sample_rate: int = 44100,
        channels: int = 1,
        every: float | None = 1.0,
        span: float | None = None,
    ) -> None:
        if not RATES[0] <= sample_rate <= RATES[1]:
            raise InputError(f"The sample rate lies between {RATES[0]} and {RATES[1]} Hz, not at {sample_rate}.")
        if not 1 <= channels <= LARGEST_CHANNELS:
            raise InputError(f"Sound has between 1 and {LARGEST_CHANNELS} channels, not {channels}.")
        if every is not None and not SMALLEST_STEP <= every < math.inf:
            raise InputError(f"Running answers come every {SMALLEST_STEP} seconds or more, not every {every}.")
        self.classifier = bundle if isinstance(bundle, Classifier) else Classifier(bundle)
        front_end = self.classifier.bundle.front_end
        self._rate, self._size = front_end.sample_rate, front_end.window_samples
        if span is not None and not SHORTEST_SECONDS <= span <= self.classifier.window_seconds:
            raise InputError(
                f"Running answers rest on {SHORTEST_SECONDS:g} to {self.classifier.window_seconds:g} seconds of "
                f"sound with this bundle, not on {span}."
            )
        self.sample_rate = sample_rate
        self.channels = channels
        self.every = every
        self._span = self._size if span is None else min(self._size, round(span * self._rate))
        self._closed = False
        self.reset()

    def __enter__(self) -> Listener:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Forget all sound and take no more; a classifier that was given stays as it is."""
        self.reset()
        self._windows = Windows(1)
        self._closed = True

    @property
    def labels(self) -> tuple[str, ...]:
        """Genres, in the bundle's order."""
        return self.classifier.labels

    @property
    def seconds(self) -> float:
        """How much sound has been heard since the beginning."""
        return self._windows.total / self._rate

    @property
    def timeline(self) -> tuple[TimelinePoint, ...]:
        """What each whole window so far was heard as: the timeline of :meth:`finish`, as far as it is certain."""
        return tuple(
            TimelinePoint(begin, length, dict(zip(self.labels, p.tolist(), strict=True)))
            for begin, length, p in self._heard.windows
        )

    def feed(self, block: NDArray[Any], *, latest: bool = False) -> list[Moment]:
        """Take sound, and give the running answers that fell due in it, in order.

        Parameters
        ----------
        block
            Samples, any number: float32 or float64 (full scale is 1), int16 or int32; shape (n,), channels
            interleaved, or (n, channels). A block may end within a frame; the next one goes on there.
        latest
            Give only the last of the answers that are due and do not work out the others: for catching up.

        Raises
        ------
        InputError
            If it is none of these kinds of array, or the listener was closed.
        """
        if self._closed:
            raise InputError("The listener was closed; make a new one, or reset() it for another song instead.")
        samples, repaired = self._mono(np.asarray(block))
        if not len(samples):
            return []
        if repaired:
            self._heard.problems.add(Problem.NOT_FINITE)
        return self._take(self._converter.feed(Chunk(samples, self.sample_rate, repaired)), latest)

    def now(self) -> Moment:
        """The running answer for the sound up to this moment."""
        at, total = self.seconds, self._windows.total
        count = min(self._span, self._quiet.heard(total))
        stretch = self._windows.recent(count)
        if not count or float(stretch.max()) - float(stretch.min()) <= 2 * SILENCE:
            return Moment(at, 0.0, None, 0.0, True, {}, str(Problem.SILENT if total else Problem.TOO_SHORT))
        seconds = count / self._rate
        if count < SHORTEST_SECONDS * self._rate:
            return Moment(at, seconds, None, 0.0, True, {}, str(Problem.TOO_SHORT))
        whole = self._named(total, stretch)
        values = evened_out(np.array(list(whole.probabilities.values())), count / self._size)
        return Moment(
            at=at,
            seconds=seconds,
            label=whole.label,
            confidence=float(values[0]),
            unsure=whole.unsure or bool(values[0] < self.classifier.bundle.unsure_below),
            probabilities=dict(zip(whole.probabilities, values.tolist(), strict=True)),
        )

    def finish(self, *, name: str = "live sound") -> Prediction:
        """The answer for all sound since the beginning; the next block begins anew.

        Parameters
        ----------
        name
            Goes into ``Prediction.path``.

        Raises
        ------
        AudioError
            If all was silent, or there was less than a second.
        """
        try:
            self._take(self._converter.finish(), latest=False, running=False)
            rest = self._windows.rest()
            if rest is not None:
                self.classifier.hear(self._heard, rest[0] / self._rate, rest[1])
            if self._tally.samples and self._tally.silent:
                self._heard.problems.add(Problem.SILENT)
            self._heard.channel_gain = self._power.gain
            return self.classifier.conclude(name, self._heard, None)
        finally:
            self.reset()

    def reset(self) -> None:
        """Forget all sound: another song begins, and time with it."""
        self._converter = Converter(self._rate)
        self._windows = Windows(self._size)
        self._heard = Hearing(meter=MusicMeter(self._rate))
        self._tally = Tally()
        self._power = ChannelPower()
        self._quiet = _Quiet(self._rate)
        self._carried = np.empty(0, np.float32)
        self._updates = 0
        # Of the stretch that was named last: where it ends, its length, and its answer.
        self._last: tuple[int, int, Prediction] | None = None

    def _mono(self, block: NDArray[Any]) -> tuple[NDArray[np.float32], int]:
        if block.dtype.name not in _SCALES or block.ndim not in (1, 2):
            raise InputError(
                "A block of sound is an array of float32, float64, int16 or int32 with one axis (interleaved) or two "
                f"(frames, channels), not of {block.dtype} with {block.ndim}."
            )
        if block.ndim == 2 and block.shape[1] != self.channels:
            raise InputError(
                f"The block has the shape {block.shape}, but the listener was made for {self.channels} channels: "
                f"(frames, {self.channels})."
            )
        scale = _SCALES[block.dtype.name]
        with np.errstate(over="ignore", invalid="ignore"):
            values = block.reshape(-1).astype(np.float32, copy=False)
            if scale != 1:
                values = values * np.float32(1 / scale)
        if len(self._carried):
            values = np.concatenate([self._carried, values])
        whole = len(values) - len(values) % self.channels
        self._carried = values[whole:].copy()
        if not whole:
            return self._carried[:0], 0
        frames = values[:whole].reshape(-1, self.channels)
        mono, repaired = mix(frames, 1)
        self._power.add(energy(frames), energy(mono))
        return mono, repaired

    def _take(self, samples: NDArray[np.float32], latest: bool, *, running: bool = True) -> list[Moment]:
        moments: list[Moment] = []
        while len(samples):
            left = self._due() - self._windows.total if running else len(samples)
            part, samples = samples[:left], samples[left:]
            for first, window in self._windows.feed(part):
                self.classifier.hear(self._heard, first / self._rate, window)
            self._tally.count(part)
            self._quiet.count(part)
            if running and self._windows.total == self._due():
                self._updates += 1
                if not latest or self._windows.total + len(samples) < self._due():
                    moments.append(self.now())
        return moments

    def _due(self) -> int:
        """The sample before which the next running answer is due."""
        if self.every is None:
            return self._windows.total + self._size
        return round((self._updates + 1) * self.every * self._rate)

    def _named(self, end: int, stretch: NDArray[np.float32]) -> Prediction:
        """What the stretch that ends at this sample would be as a track of its own."""
        if self._last is None or self._last[:2] != (end, len(stretch)):
            heard = Hearing()
            self.classifier.hear(heard, 0.0, stretch)
            self._last = end, len(stretch), self.classifier.conclude("live sound", heard, None)
        return self._last[2]


def evened_out(probabilities: NDArray[np.float64], share: float) -> NDArray[np.float64]:
    """What probabilities, (n,), of a stretch are worth that is only this share (above 0, at most 1) of a window."""
    if share >= 1:
        return probabilities
    powers = np.maximum(probabilities, np.finfo(np.float64).tiny) ** (share**SHORTNESS)
    evened: NDArray[np.float64] = powers / powers.sum()
    return evened


class _Quiet:
    """Finds pauses, cell by cell, so that it does not matter how the sound was cut."""

    def __init__(self, rate: int) -> None:
        self._size = max(1, round(_CELL_SECONDS * rate))
        self._needed = max(1, math.ceil(PAUSE_SECONDS * rate / self._size))
        self._low, self._high = math.inf, -math.inf
        self._filled = self._cells = self._run = 0
        self._since = 0

    def count(self, samples: NDArray[np.float32]) -> None:
        while len(samples):
            part, samples = samples[: self._size - self._filled], samples[self._size - self._filled :]
            self._low = min(self._low, float(part.min()))
            self._high = max(self._high, float(part.max()))
            self._filled += len(part)
            if self._filled == self._size:
                self._next_cell()

    def _next_cell(self) -> None:
        if self._high - self._low <= 2 * SILENCE:
            self._run += 1
        else:
            if self._run >= self._needed:
                self._since = self._cells * self._size
            self._run = 0
        self._cells += 1
        self._filled, self._low, self._high = 0, math.inf, -math.inf

    def heard(self, total: int) -> int:
        """Samples since the last pause, `total` having been counted; 0 within a pause."""
        return 0 if self._run >= self._needed else total - self._since
