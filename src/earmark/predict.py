"""Bundle and sound to an answer: probabilities over time, one answer for the track, an embedding."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from earmark import audio
from earmark.bundle import Bundle, load_bundle
from earmark.errors import AudioError, InputError
from earmark.spectrogram import fit_window, spectrogram

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
        Codes of :class:`earmark.audio.Problem` that did not stop use.
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
        self._seconds = self.bundle.front_end.window_samples / self.bundle.front_end.sample_rate

    @property
    def labels(self) -> tuple[str, ...]:
        """Genres, in the bundle's order."""
        return self.bundle.labels

    def classify(
        self,
        path: str | Path | BinaryIO,
        *,
        windows: int = DEFAULT_WINDOWS,
        full: bool = False,
        start: float = 0.0,
        seconds: float | None = None,
    ) -> Prediction:
        """Hear a file.

        Parameters
        ----------
        path
            A file, or an open binary file.
        windows
            How many windows to hear, spread evenly; fewer where the track is short.
        full
            Hear every consecutive window instead.
        start, seconds
            Hear only this stretch.

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
        length = None if full else self._length(path, start, seconds)
        if length is not None and length > windows * self._seconds:
            last = start + length - self._seconds
            for begin in np.linspace(start, last, windows) if windows > 1 else [(start + last) / 2]:
                self._hear(
                    heard, audio.load(path, self._rate, start=float(begin), seconds=self._seconds), float(begin)
                )
        else:
            self._hear_all(heard, path, start, seconds)
        return self._answer(str(getattr(path, "name", path)), heard)

    def classify_samples(
        self, samples: NDArray[np.float32], sample_rate: int, *, name: str = "samples"
    ) -> Prediction:
        """Hear mono samples, float32 (n,), at the bundle's sample rate; every consecutive window.

        Raises
        ------
        InputError
            If the sample rate is not the bundle's.
        AudioError
            If there are too few samples.
        """
        if sample_rate != self._rate:
            raise InputError(f"The bundle hears {self._rate} Hz, not {sample_rate} Hz; resample first.")
        heard = _Heard(declared=len(samples) / sample_rate, decoded=len(samples) / sample_rate)
        for begin, window in self._windows(iter([np.asarray(samples, dtype=np.float32)])):
            self._add(heard, window, begin)
        return self._answer(name, heard)

    @property
    def _rate(self) -> int:
        return self.bundle.front_end.sample_rate

    def _length(self, path: str | Path | BinaryIO, start: float, seconds: float | None) -> float | None:
        declared = audio.probe(path).seconds
        if declared is None:
            return None
        rest = declared - start
        return rest if seconds is None else min(rest, seconds)

    def _hear(self, heard: _Heard, sound: audio.Sound, begin: float) -> None:
        heard.take(sound)
        if len(sound.samples) >= SMALLEST_REST * self.bundle.front_end.window_samples or not heard.points:
            self._add(heard, sound.samples, begin)

    def _hear_all(self, heard: _Heard, path: str | Path | BinaryIO, start: float, seconds: float | None) -> None:
        reader = audio.Reader(path, self._rate, start=start, seconds=seconds)
        for begin, window in self._windows(reader.blocks()):
            self._add(heard, window, start + begin)
        heard.take_reader(reader)

    def _windows(self, blocks: Iterator[NDArray[np.float32]]) -> Iterator[tuple[float, NDArray[np.float32]]]:
        """Consecutive windows with their start in seconds; a long enough rest is a window of its own."""
        size = self.bundle.front_end.window_samples
        waiting: list[NDArray[np.float32]] = []
        held, begin = 0, 0
        previous: NDArray[np.float32] | None = None
        for block in blocks:
            waiting.append(block)
            held += len(block)
            while held >= size:
                joined = np.concatenate(waiting)
                yield begin / self._rate, joined[:size]
                previous = joined[:size]
                begin += size
                waiting, held = [joined[size:]], held - size
        if held and (previous is None or held >= SMALLEST_REST * size):
            rest = np.concatenate(waiting)
            if previous is not None:
                # The last full window's worth of sound, so that nothing is repeated to fill it.
                rest = np.concatenate([previous, rest])[-size:]
                begin -= size - held
            yield begin / self._rate, rest

    def _add(self, heard: _Heard, samples: NDArray[np.float32], begin: float) -> None:
        if len(samples) < SHORTEST_SECONDS * self._rate:
            return
        window = fit_window(samples, self.bundle.front_end)
        if not np.any(window):
            heard.silent += 1
            return
        picture = spectrogram(window, self.bundle.front_end)[None]
        logits, embedding = self._session.run(["logits", "embedding"], {"spectrogram": picture})
        scaled = logits[0].astype(np.float64) / self.bundle.temperature
        exponentials = np.exp(scaled - scaled.max())
        heard.points.append((begin, len(samples) / self._rate, exponentials / exponentials.sum()))
        heard.embeddings.append(embedding[0])

    def _answer(self, name: str, heard: _Heard) -> Prediction:
        if not heard.points:
            if heard.silent:
                raise AudioError(f"{name} is silent, so there is nothing to name.", audio.Problem.SILENT)
            raise AudioError(
                f"{name} has {heard.decoded:.1f} s of sound; at least {SHORTEST_SECONDS:.0f} s is needed.",
                audio.Problem.TOO_SHORT,
            )
        mean = np.mean([p for _, _, p in heard.points], axis=0)
        order = np.argsort(-mean, kind="stable")
        labels = self.labels
        return Prediction(
            path=name,
            label=labels[order[0]],
            confidence=float(mean[order[0]]),
            unsure=bool(mean[order[0]] < self.bundle.unsure_below),
            probabilities={labels[i]: float(mean[i]) for i in order},
            embedding=np.mean(heard.embeddings, axis=0, dtype=np.float64).astype(np.float32),
            timeline=tuple(
                TimelinePoint(begin, length, dict(zip(labels, map(float, p), strict=True)))
                for begin, length, p in heard.points
            ),
            heard=tuple((begin, begin + length) for begin, length, _ in heard.points),
            decoded=heard.decoded,
            declared=heard.declared,
            problems=tuple(sorted(heard.problems)),
        )
