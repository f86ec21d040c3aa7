"""Bundle and sound to an answer: probabilities over time, one answer for the track, an embedding."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.audio import Problem, Recording, Source
from earmark.bundle import Bundle, load_bundle
from earmark.errors import AudioError, InputError
from earmark.metrics import apply_temperature
from earmark.sound_front_end import graph_input
from earmark.sound_input import network_input
from earmark.spectrogram import fit_window, spectrogram

OnWindow = Callable[[float, NDArray[np.uint8]], None]

DEFAULT_WINDOWS = 3
# Shorter sound says nothing of a genre; it would be repeated dozens of times to fill a window.
SHORTEST_SECONDS = 1.0
# A last stretch shorter than this share of a window is heard as part of the window before it.
SMALLEST_REST = 0.5


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
        Whether the confidence is below the bundle's threshold.
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
            "probabilities": dict(list(self.probabilities.items())[:top_k]),
            "heard": [list(window) for window in self.heard],
            "decoded": self.decoded,
            "declared": self.declared,
            "problems": list(self.problems),
        }
        if timeline:
            row["timeline"] = [
                {"start": point.start, "seconds": point.seconds, "probabilities": point.probabilities}
                for point in self.timeline
            ]
        if embedding:
            row["embedding"] = [float(value) for value in self.embedding]
        return row


class Classifier:
    """A loaded bundle, ready to hear.

    Parameters
    ----------
    bundle
        A bundle or its path; None: the one that ships with the package.
    threads
        For ONNX Runtime.
    """

    def __init__(self, bundle: Bundle | str | Path | None = None, *, threads: int = 1) -> None:
        self.bundle = bundle if isinstance(bundle, Bundle) else load_bundle(bundle or packaged_bundle())
        self._session = self.bundle.session(threads=threads)
        self._rate = self.bundle.front_end.sample_rate
        self._size = self.bundle.front_end.window_samples
        self._input = graph_input(self.bundle.hearing)[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """Genres, in the bundle's order."""
        return self.bundle.labels

    @property
    def window_seconds(self) -> float:
        """How long a window is."""
        return self._size / self._rate

    def classify(
        self,
        path: Source,
        *,
        windows: int = DEFAULT_WINDOWS,
        full: bool = False,
        start: float = 0.0,
        seconds: float | None = None,
        on_window: OnWindow | None = None,
    ) -> Prediction:
        """Hear a file.

        Parameters
        ----------
        path
            A file, or an open binary file.
        windows
            How many windows to hear, spread evenly; a track that is no longer than they are is heard whole.
        full
            Hear every consecutive window instead.
        start, seconds
            Hear only this stretch.
        on_window
            Called for each window with its start in seconds and its spectrogram, uint8 (bins, columns).

        Raises
        ------
        AudioError
            If the file cannot be used.
        InputError
            If the options make no sense.
        """
        if windows < 1:
            raise InputError(f"At least one window must be heard, not {windows}.")
        if start < 0 or (seconds is not None and seconds <= 0):
            raise InputError("The stretch to hear must begin at 0 or later and last longer than 0 seconds.")
        heard = _Heard()
        with Recording(path) as recording:
            declared = recording.info.seconds
            # Counting packets takes a twentieth of the time of hearing all because the length is not known.
            length = math.inf if full else max(0.0, recording.measure() - start)
            if seconds is not None:
                length = min(length, seconds)
            if full or length <= windows * self.window_seconds:
                stretches: Iterable[tuple[float, NDArray[np.float32]]] = self._consecutive(
                    recording.blocks(self._rate, start=start, seconds=seconds), start
                )
            else:
                stretches = self._spread(recording, windows, start, length)
            for begin, samples in stretches:
                self._hear(heard, begin, samples, on_window)
            heard.problems.update(recording.problems)
        name = os.fspath(path) if isinstance(path, str | os.PathLike) else getattr(path, "name", "upload")
        return self._answer(str(name), heard, declared)

    def classify_samples(
        self, samples: NDArray[np.float32], sample_rate: int, *, name: str = "samples"
    ) -> Prediction:
        """Hear mono samples, float32 (n,), at the bundle's sample rate: every consecutive window.

        Raises
        ------
        InputError
            If the sample rate is not the bundle's.
        AudioError
            If there are too few samples, or all are silent.
        """
        if sample_rate != self._rate:
            raise InputError(f"The bundle hears {self._rate} Hz, not {sample_rate} Hz; resample first.")
        heard = _Heard()
        for begin, window in self._consecutive(iter([np.asarray(samples, dtype=np.float32)]), 0.0):
            self._hear(heard, begin, window)
        return self._answer(name, heard, len(samples) / sample_rate)

    def window_probabilities(self, inputs: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Calibrated probabilities (n, labels) and embeddings (n, d) of windows as the bundle's `hearing` makes them.

        For networks that look at pictures, they are spectrograms, uint8 (n, bins, columns).
        """
        logits, embeddings = self._session.run(["logits", "embedding"], {self._input: inputs})
        return apply_temperature(logits, self.bundle.temperature), embeddings

    def _spread(
        self, recording: Recording, windows: int, start: float, length: float
    ) -> Iterator[tuple[float, NDArray[np.float32]]]:
        last = start + length - self.window_seconds
        begins = np.linspace(start, last, windows) if windows > 1 else [(start + last) / 2]
        for begin in map(float, begins):
            pieces = list(recording.blocks(self._rate, start=begin, seconds=self.window_seconds))
            if pieces:
                yield begin, np.concatenate(pieces)[: self._size]

    def _consecutive(
        self, blocks: Iterable[NDArray[np.float32]], start: float
    ) -> Iterator[tuple[float, NDArray[np.float32]]]:
        """Windows one after another; of a rest that is long enough, the window that ends where the sound ends."""
        size, begin = self._size, 0
        held = np.empty(0, dtype=np.float32)
        before = held
        for block in blocks:
            held = np.concatenate([held, block])
            while len(held) >= size:
                before, held = held[:size], held[size:]
                yield start + begin / self._rate, before
                begin += size
        if len(before) and len(held) >= SMALLEST_REST * size:
            yield start + (begin + len(held) - size) / self._rate, np.concatenate([before, held])[-size:]
        elif len(held) and not len(before):
            yield start, held

    def _hear(
        self, heard: _Heard, begin: float, samples: NDArray[np.float32], on_window: OnWindow | None = None
    ) -> None:
        heard.samples += len(samples)
        if len(samples) < SHORTEST_SECONDS * self._rate:
            return
        if not np.any(samples):
            heard.silent = True
            return
        drawn, hearing = self.bundle.front_end, self.bundle.hearing
        numbers = network_input(samples, hearing)
        if on_window is not None:
            # For whoever looks on, there is a picture of every window, also of one that the network only hears.
            on_window(begin, numbers if drawn is hearing else spectrogram(fit_window(samples, drawn), drawn))
        probabilities, embeddings = self.window_probabilities(numbers[None])
        heard.windows.append((begin, len(samples) / self._rate, probabilities[0], embeddings[0]))

    def _answer(self, name: str, heard: _Heard, declared: float | None) -> Prediction:
        decoded = heard.samples / self._rate
        if not heard.windows:
            if heard.silent:
                raise AudioError(f"{name} is silent where it was heard, so there is nothing to name.", Problem.SILENT)
            raise AudioError(
                f"{name} gave {decoded:.1f} s of sound; at least {SHORTEST_SECONDS:.0f} s is needed.",
                Problem.TOO_SHORT,
            )
        mean = np.mean([p for _, _, p, _ in heard.windows], axis=0)
        embedding: NDArray[np.float32] = np.mean([e for _, _, _, e in heard.windows], axis=0).astype(np.float32)
        order = np.argsort(-mean, kind="stable")
        return Prediction(
            path=name,
            label=self.labels[order[0]],
            confidence=float(mean[order[0]]),
            unsure=bool(mean[order[0]] < self.bundle.unsure_below),
            probabilities={self.labels[i]: float(mean[i]) for i in order},
            embedding=embedding,
            timeline=tuple(
                TimelinePoint(begin, length, dict(zip(self.labels, p.tolist(), strict=True)))
                for begin, length, p, _ in heard.windows
            ),
            heard=tuple((begin, begin + length) for begin, length, _, _ in heard.windows),
            decoded=decoded,
            declared=declared,
            problems=tuple(sorted(str(problem) for problem in heard.problems)),
        )


@dataclass
class _Heard:
    """What has been heard of a track so far."""

    windows: list[tuple[float, float, NDArray[np.float64], NDArray[np.float32]]] = field(default_factory=list)
    problems: set[Problem] = field(default_factory=set)
    samples: int = 0
    silent: bool = False


def packaged_bundle() -> Path:
    """Where the bundle lies that ships with the package."""
    return Path(str(resources.files("earmark") / "data" / "gtzan.earmark"))


def classify(path: Source, *, bundle: Bundle | str | Path | None = None, **options: Any) -> Prediction:
    """Hear one file; see :meth:`Classifier.classify` for the options. For many files make one Classifier."""
    return Classifier(bundle).classify(path, **options)
