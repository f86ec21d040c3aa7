"""How often a model names a genre where there is none of its own: the false-accept rate, by kind of sound."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.errors import AudioError, InputError
from earmark.metrics import Interval, wilson
from earmark.predict import Classifier
from earmark.progress import Progress, Step, silent
from earmark.robustness.sounds import EXAMPLES, KINDS, RATE, SECONDS, Half
from earmark.robustness.speech import available, speeches

SPEECH, SILENCE = "speech", "digital silence"
Samples = NDArray[np.float32]


@dataclass
class KindHeard:
    """What became of the sounds of one kind.

    Parameters
    ----------
    name, half
        Of the kind.
    sounds
        How many were heard.
    accepted
        How many got a genre's name.
    confident
        How many would have got one by confidence alone.
    answers
        How often each genre was the most probable.
    doubts
        How often each reason to be unsure was given.
    """

    name: str
    half: Half
    sounds: int = 0
    accepted: int = 0
    confident: int = 0
    answers: Counter[str] = field(default_factory=Counter)
    doubts: Counter[str] = field(default_factory=Counter)

    def interval(self) -> Interval:
        """False-accept rate with Wilson's interval."""
        return wilson(self.accepted, self.sounds)

    def add(self, classifier: Classifier, samples: Samples) -> None:
        """Hear one more sound, at :data:`earmark.robustness.sounds.RATE`."""
        self.sounds += 1
        try:
            found = classifier.classify_samples(samples, RATE, name=self.name)
        except AudioError as error:
            # Digital silence is refused with its own error: no genre is named.
            self.doubts[str(error.problem)] += 1
            return
        self.answers[found.label] += 1
        self.accepted += not found.unsure
        self.confident += found.confidence >= classifier.bundle.unsure_below
        if found.doubt is not None:
            self.doubts[found.doubt] += 1


@dataclass(frozen=True)
class Song:
    """What a real song was heard as.

    Parameters
    ----------
    file, tag, title
        The file, the genre that its source gives it, artist and title.
    label, confidence, doubt
        As in :class:`earmark.prediction.Prediction`.
    """

    file: str
    tag: str
    title: str
    label: str
    confidence: float
    doubt: str | None


def unknown_sounds(half: Half | None = None, *, examples: int = EXAMPLES) -> Iterator[tuple[str, Half, Samples]]:
    """All sounds that are no music as (kind, half, samples); speech too where espeak-ng is installed."""
    for kind in KINDS:
        if half in (None, kind.half):
            for samples in kind.examples(examples):
                yield kind.name, kind.half, samples
    halves: tuple[Half, ...] = ("development", "test") if half is None else (half,)
    for each in halves:
        if available():
            for _, samples in speeches(each):
                yield SPEECH, each, samples
    if half in (None, "test"):
        yield SILENCE, "test", np.zeros(round(SECONDS * RATE), np.float32)


def hear_unknown(
    classifier: Classifier, sounds: Iterable[tuple[str, Half, Samples]] | None = None, *, progress: Progress = silent
) -> list[KindHeard]:
    """Hear sounds that are no music; None: :func:`unknown_sounds`.

    Raises
    ------
    InputError
        If the model hears at another rate than the sounds have.
    """
    rate = classifier.bundle.front_end.sample_rate
    if rate != RATE:
        raise InputError(f"The sounds are made at {RATE} Hz, and the bundle hears {rate} Hz.")
    found: dict[tuple[str, Half], KindHeard] = {}
    for number, (name, half, samples) in enumerate(unknown_sounds() if sounds is None else sounds):
        progress(Step("hearing what is no music", number, None, name))
        found.setdefault((name, half), KindHeard(name, half)).add(classifier, samples)
    return list(found.values())


def together(kinds: Sequence[KindHeard], name: str = "all") -> KindHeard:
    """The sum of several kinds."""
    total = KindHeard(name, kinds[0].half)
    for kind in kinds:
        total.sounds += kind.sounds
        total.accepted += kind.accepted
        total.confident += kind.confident
        total.answers += kind.answers
        total.doubts += kind.doubts
    return total


def hear_songs(classifier: Classifier, table: Path) -> list[Song]:
    """Hear the songs of a table with the columns file, genre_tag, artist and title, which lie beside it.

    Raises
    ------
    InputError
        If the table cannot be read.
    """
    try:
        with table.open(newline="", encoding="utf-8") as handle:
            rows = list(csv.DictReader(handle))
        named = [(row["file"], row["genre_tag"], f"{row['artist']}: {row['title']}") for row in rows]
    except (OSError, UnicodeDecodeError, KeyError) as error:
        raise InputError(f"The table of songs {table} cannot be read ({error}).") from error
    songs = []
    for file, tag, title in named:
        found = classifier.classify(table.parent / file, full=True)
        songs.append(Song(file, tag, title, found.label, found.confidence, found.doubt))
    return songs
