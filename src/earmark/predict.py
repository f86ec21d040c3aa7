"""Bundle and sound to an answer: probabilities over time, one answer for the track, an embedding."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Iterator
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.audio import Problem, Recording, Source
from earmark.audio.halves import default_threads
from earmark.bundle import Bundle, load_bundle
from earmark.doubt import Doubt
from earmark.errors import AudioError, InputError
from earmark.features import MUSICAL, mfcc_statistics
from earmark.hearing import Hearing
from earmark.metrics import apply_temperature
from earmark.music import Music
from earmark.music.meter import MusicMeter
from earmark.musical_features import musical_features
from earmark.noise import togetherness
from earmark.novelty import FAINT
from earmark.prediction import Prediction, TimelinePoint
from earmark.products import energy
from earmark.sound_front_end import graph_input
from earmark.sound_input import network_input
from earmark.spectrogram import fit_window, spectrogram
from earmark.windows import Windows

OnWindow = Callable[[float, NDArray[np.uint8]], None]

DEFAULT_WINDOWS = 3
# Shorter sound says nothing of a genre; it would be repeated dozens of times to fill a window.
SHORTEST_SECONDS = 1.0
_END_SECONDS = 0.5


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
        self._musical = any(taken.name == MUSICAL for taken in self._session.get_inputs())

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
        threads: int = 1,
        music: bool = True,
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
        threads
            How many threads may decode (see :class:`~earmark.audio.Recording`); the answer is the same.
        music
            Measure tempo, key and loudness, too, which takes a tenth of the time; the genre does not depend on it.
        on_window
            Called for each window with its start in seconds and its spectrogram, uint8 (bins, columns).

        Raises
        ------
        AudioError
            If the file cannot be used, or more than a twentieth of what is to be heard is missing at its end.
        InputError
            If the options make no sense.
        """
        if windows < 1:
            raise InputError(f"At least one window must be heard, not {windows}.")
        if start < 0 or (seconds is not None and seconds <= 0):
            raise InputError("The stretch to hear must begin at 0 or later and last longer than 0 seconds.")
        heard = Hearing(meter=MusicMeter(self._rate) if music else None)
        with Recording(path, threads=threads) as recording:
            declared = recording.info.seconds
            # Counting packets takes a twentieth of the time of hearing all because the length is not known.
            length = math.inf if full else max(0.0, recording.measure() - start)
            if seconds is not None:
                length = min(length, seconds)
            if full or length <= windows * self.window_seconds:
                stretches: Iterable[tuple[float, NDArray[np.float32]]] = self._consecutive(
                    recording.blocks(self._rate, start=start, seconds=seconds, weigh=music), start
                )
            else:
                stretches = self._spread(recording, windows, start, length, weigh=music)
            for begin, samples in stretches:
                self.hear(heard, begin, samples, on_window)
            recording.require_end(start, seconds)
            heard.problems.update(recording.problems)
            heard.channel_gain = recording.channel_gain
        name = os.fspath(path) if isinstance(path, str | os.PathLike) else getattr(path, "name", "upload")
        return self.conclude(str(name), heard, declared)

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
        heard = Hearing(meter=MusicMeter(self._rate))
        for begin, window in self._consecutive(iter([np.asarray(samples, dtype=np.float32)]), 0.0):
            self.hear(heard, begin, window)
        return self.conclude(name, heard, len(samples) / sample_rate)

    def classify_spectrograms(self, spectrograms: NDArray[np.uint8], *, name: str = "spectrograms") -> Prediction:
        """Answer for spectrograms of consecutive windows of one track, uint8 (n, bins, columns), n at least 1.

        Raises
        ------
        InputError
            If their shape is not the bundle's.
        """
        if spectrograms.dtype != np.uint8 or spectrograms.shape[1:] != self.bundle.front_end.shape:
            raise InputError(
                f"The bundle looks at 8-bit spectrograms of {self.bundle.front_end.shape}, not at "
                f"{spectrograms.dtype} of shape {spectrograms.shape}."
            )
        heard = Hearing(power=math.inf)
        for number, picture in enumerate(spectrograms):
            heard.samples += self._size
            self._look(heard, number * self.window_seconds, self.window_seconds, picture, picture)
        return self.conclude(name, heard, None)

    def window_probabilities(self, inputs: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """Calibrated probabilities (n, labels) and embeddings (n, d) of windows as :meth:`look` gives them."""
        logits, embeddings = self.logits_and_embeddings(inputs)
        return apply_temperature(logits, self.bundle.temperature), embeddings

    def logits_and_embeddings(self, inputs: NDArray[Any]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Logits (n, labels) and embeddings (n, d) of windows as :meth:`look` gives them, before any temperature."""
        fed = {self._input: inputs}
        if self._musical:
            fed[MUSICAL] = musical_features(inputs)
        logits, embeddings = self._session.run(["logits", "embedding"], fed)
        return logits, embeddings

    def _spread(
        self, recording: Recording, windows: int, start: float, length: float, *, weigh: bool
    ) -> Iterator[tuple[float, NDArray[np.float32]]]:
        last = start + length - self.window_seconds
        begins = np.linspace(start, last, windows) if windows > 1 else [(start + last) / 2]
        if windows == 1:
            # Nothing is heard there, but whether there is an end has to be known.
            end = start + length - _END_SECONDS
            list(recording.pieces(self._rate, start=end, seconds=_END_SECONDS, weigh=weigh))
        window = self.window_seconds
        for begin in map(float, begins):
            for block in recording.blocks(self._rate, start=begin, seconds=window, block_seconds=window, weigh=weigh):
                yield begin, block

    def _consecutive(
        self, blocks: Iterable[NDArray[np.float32]], start: float
    ) -> Iterator[tuple[float, NDArray[np.float32]]]:
        windows = Windows(self._size)
        for block in blocks:
            for first, samples in windows.feed(block):
                yield start + first / self._rate, samples
        if (rest := windows.rest()) is not None:
            yield start + rest[0] / self._rate, rest[1]

    def look(self, samples: NDArray[np.float32]) -> NDArray[Any]:
        """What the network takes of mono samples at the bundle's rate, at most a window.

        A spectrogram, uint8 (bins, columns), for networks that look at pictures; else what the bundle's `hearing`
        says.
        """
        return network_input(samples, self.bundle.hearing)

    def hear(
        self, heard: Hearing, begin: float, samples: NDArray[np.float32], on_window: OnWindow | None = None
    ) -> None:
        """Hear the next stretch of a track, at most a window, and add it to what has been heard.

        Parameters
        ----------
        heard
            Is added to.
        begin
            Where the stretch begins in the track, in seconds.
        samples
            Mono, float32 (n,), at the bundle's rate. Stretches that are too short or silent only count as decoded.
        on_window
            As for :meth:`classify`.
        """
        heard.samples += len(samples)
        if len(samples) < SHORTEST_SECONDS * self._rate:
            return
        if not np.any(samples):
            heard.silent = True
            return
        heard.power = max(heard.power, energy(samples) / len(samples))
        inputs, drawn = self.look(samples), self.bundle.front_end
        picture = inputs
        # For whoever looks on, there is a picture of every window, also of one that the network only hears.
        if self.bundle.hearing is not drawn and (on_window is not None or self.bundle.novelty is not None):
            picture = spectrogram(fit_window(samples, drawn), drawn)
        if on_window is not None:
            on_window(begin, picture)
        self._look(heard, begin, len(samples) / self._rate, inputs, picture)
        if heard.meter is not None:
            heard.meter.add(samples)

    def _look(
        self, heard: Hearing, begin: float, seconds: float, inputs: NDArray[Any], picture: NDArray[np.uint8]
    ) -> None:
        probabilities, embeddings = self.window_probabilities(inputs[None])
        heard.add(begin, seconds, probabilities[0], embeddings[0])
        if self.bundle.novelty is not None:
            heard.timbres.append(mfcc_statistics(picture[None])[0])
            heard.together.append(togetherness(picture))

    def _doubt(self, heard: Hearing, confidence: float, embedding: NDArray[np.float32]) -> Doubt | None:
        """The plainest reason to be unsure, if there is one."""
        if heard.power < 10 ** (FAINT / 10):
            return Doubt.FAINT
        novelty = self.bundle.novelty
        if novelty is not None and novelty.strange(np.array(heard.timbres), embedding, heard.together):
            return Doubt.STRANGE
        return Doubt.BETWEEN if confidence < self.bundle.unsure_below else None

    def conclude(self, name: str, heard: Hearing, declared: float | None) -> Prediction:
        """The answer for all that has been heard of a track.

        Raises
        ------
        AudioError
            If nothing could be heard: all was silent, or too short.
        """
        decoded = heard.samples / self._rate
        if not heard.count:
            if heard.silent:
                raise AudioError(f"{name} is silent where it was heard, so there is nothing to name.", Problem.SILENT)
            raise AudioError(
                f"{name} gave {decoded:.1f} s of sound; at least {SHORTEST_SECONDS:.0f} s is needed.",
                Problem.TOO_SHORT,
            )
        mean = heard.probabilities / heard.count
        embedding: NDArray[np.float32] = (heard.embedding / heard.count).astype(np.float32)
        order = np.argsort(-mean, kind="stable")
        doubt = self._doubt(heard, float(mean[order[0]]), embedding)
        return Prediction(
            path=name,
            label=self.labels[order[0]],
            confidence=float(mean[order[0]]),
            unsure=doubt is not None,
            doubt=None if doubt is None else str(doubt),
            probabilities={self.labels[i]: float(mean[i]) for i in order},
            embedding=embedding,
            timeline=tuple(
                TimelinePoint(begin, length, dict(zip(self.labels, p.tolist(), strict=True)))
                for begin, length, p in heard.windows
            ),
            heard=tuple((begin, begin + length) for begin, length, _ in heard.windows),
            decoded=decoded,
            declared=declared,
            problems=tuple(sorted(str(problem) for problem in heard.problems)),
            music=Music() if heard.meter is None else heard.meter.music(channel_gain=heard.channel_gain),
        )


def packaged_bundle() -> Path:
    """Where the bundle lies that ships with the package."""
    return Path(str(resources.files("earmark") / "data" / "gtzan.earmark"))


def classify(
    path: Source, *, bundle: Bundle | str | Path | None = None, threads: int | None = None, **options: Any
) -> Prediction:
    """Hear one file; see :meth:`Classifier.classify` for the options. For many files make one Classifier.

    Two threads decode unless `threads` says otherwise, where this process may use two processors.
    """
    return Classifier(bundle).classify(path, threads=default_threads() if threads is None else threads, **options)
