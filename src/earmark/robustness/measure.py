"""Hear every clip in every version, and say what each version costs."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from earmark.audio import Recording
from earmark.dataset import Clip, Dataset, load_dataset
from earmark.errors import AudioError, InputError
from earmark.metrics import Interval, bootstrap_scores, draws, paired_bootstrap, percentiles, sums_by_group
from earmark.metrics.intervals import RESAMPLES
from earmark.prediction import Prediction
from earmark.progress import Progress, Step, silent
from earmark.robustness.ears import Ears, classifier_of
from earmark.robustness.versions import versions
from earmark.workers import in_order

# Of a long sound so many windows from its middle are heard.
MOST_WINDOWS = 3
STORED = "stored spectrogram"
# A shift of more than this share of clips wants a remedy.
LARGE = 0.03

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Heard:
    """What one version of the clips was heard as.

    Parameters
    ----------
    name, detail
        Of the version.
    predicted
        (clips,) numbers of labels.
    right
        (clips,) probability of the right genre.
    answered
        (clips,) bool: not unsure.
    """

    name: str
    detail: str
    predicted: NDArray[np.int64]
    right: Floats
    answered: NDArray[np.bool_]


@dataclass(frozen=True)
class Row:
    """What a version costs, with 95 % intervals over groups.

    Parameters
    ----------
    accuracy
        Of the version.
    difference
        In accuracy, to the clean sound, on the same draws of groups.
    changed
        Share of clips with another most probable genre than when clean.
    probability
        Mean change of the right genre's probability.
    answered
        Share of clips that are not "unsure".
    precision
        Share of right ones among those; NaN where there are none.
    """

    name: str
    detail: str
    accuracy: Interval
    difference: Interval
    changed: Interval
    probability: Interval
    answered: float
    precision: float

    @property
    def large(self) -> bool:
        """Whether the shift is larger than :data:`LARGE`, whatever its interval."""
        return abs(self.difference.value) > LARGE + 1e-9

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        intervals = {
            name: getattr(self, name).to_dict() for name in ("accuracy", "difference", "changed", "probability")
        }
        precision = self.precision if math.isfinite(self.precision) else None
        return {
            "name": self.name, "detail": self.detail, **intervals, "answered": self.answered, "precision": precision,
        }  # fmt: skip


@dataclass(frozen=True)
class Robustness:
    """What :func:`measure` finds.

    Parameters
    ----------
    dataset, model
        What was heard, and by whom.
    out_of_fold
        Whether every clip was heard by a model that knows neither it nor its artist.
    trained_on
        Whether the one model has learnt from clips of this dataset, so that the scores flatter it.
    clips, labels, groups
        Those that could be heard in every version.
    y_true
        (clips,) numbers of labels.
    heard
        The versions, the clean one first.
    failures
        (clip, sentence) of clips that were left out.
    """

    dataset: str
    model: str
    out_of_fold: bool
    trained_on: bool
    labels: tuple[str, ...]
    clips: tuple[str, ...]
    groups: tuple[str, ...]
    y_true: NDArray[np.int64]
    heard: tuple[Heard, ...]
    failures: tuple[tuple[str, str], ...] = ()
    rows: tuple[Row, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "rows", tuple(self._row(version) for version in self.heard))

    def _row(self, version: Heard) -> Row:
        clean, labels = self.heard[0], len(self.labels)
        order = {name: number for number, name in enumerate(sorted(set(self.groups)))}
        sums = [
            sums_by_group(self.y_true, which.predicted, self.groups, None, labels, order)
            for which in (clean, version)
        ]
        sure = version.answered
        right = version.predicted[sure] == self.y_true[sure]
        return Row(
            name=version.name,
            detail=version.detail,
            accuracy=bootstrap_scores(self.y_true, version.predicted, labels, self.groups).accuracy,
            difference=paired_bootstrap(sums[0], sums[1]).accuracy,
            changed=mean_interval((version.predicted != clean.predicted).astype(np.float64), self.groups),
            probability=mean_interval(version.right - clean.right, self.groups),
            answered=float(sure.mean()),
            precision=float(right.mean()) if len(right) else math.nan,
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON: the table, and every clip's answers."""
        return {
            "dataset": self.dataset, "model": self.model, "out_of_fold": self.out_of_fold,
            "trained_on": self.trained_on, "labels": list(self.labels), "rows": [row.to_dict() for row in self.rows],
            "clips": [
                {
                    "clip": clip, "label": self.labels[self.y_true[i]],
                    "answers": {version.name: self.labels[version.predicted[i]] for version in self.heard},
                }
                for i, clip in enumerate(self.clips)
            ],
            "failures": [list(failure) for failure in self.failures],
        }  # fmt: skip


def mean_interval(values: Floats, groups: Sequence[str], *, seed: int = 0, resamples: int = RESAMPLES) -> Interval:
    """A mean over clips with its percentile interval from a bootstrap over groups.

    Parameters
    ----------
    values, groups
        (n,) and n names.
    """
    order = {name: number for number, name in enumerate(sorted(set(groups)))}
    place = np.array([order[name] for name in groups])
    sums, counts = np.bincount(place, values), np.bincount(place).astype(np.float64)
    if len(order) < 2:
        return Interval(float(values.mean()), math.nan, math.nan)
    drawn = [(block @ sums) / (block @ counts) for block in draws(len(order), resamples, seed)]
    return percentiles(float(values.mean()), np.concatenate(drawn))


def measure(
    dataset: Dataset,
    ears: Ears,
    *,
    stored: Path | str | None = None,
    seed: int = 0,
    jobs: int = 1,
    progress: Progress = silent,
) -> Robustness:
    """Hear the clips of a dataset as they are and in every version of :mod:`earmark.robustness.versions`.

    Parameters
    ----------
    dataset
        Clips with sound files.
    ears
        Who hears them.
    stored
        An archive with spectrograms of the same clips (as ``gtzan/mel.npz``), to be classified too: what the whole
        way from file to spectrogram costs.
    seed
        Of the noise.
    jobs
        Worker processes; the numbers do not depend on it.

    Raises
    ------
    InputError
        If no clip can be measured, or labels are not the model's.
    """
    known = set(ears.labels)
    strange = sorted({clip.label for clip in dataset.clips} - known)
    if strange:
        raise InputError(
            f"{dataset.name} has genres that the model does not know: {', '.join(strange[:5])}. "
            "Name their folders after the model's, or leave them out."
        )
    chosen = [clip for clip in dataset.clips if clip.path is not None and ears.of(clip.id) is not None]
    if not chosen:
        raise InputError(
            f"Of {dataset.name} there is no clip with a sound file that {ears.source} may hear. "
            "Give a folder of sound whose clips the folds' table names."
        )
    tasks = [_Task(clip, _bundle_for(ears, clip), number, seed) for number, clip in enumerate(chosen)]
    answers: list[tuple[Answer, ...]] = []
    clips: list[Clip] = []
    failures: list[tuple[str, str]] = []
    progress(Step("hearing", 0, len(chosen)))
    for done, (clip, told) in enumerate(zip(chosen, in_order(_work, tasks, jobs, _crashed), strict=True), 1):
        if isinstance(told, str):
            failures.append((clip.id, told))
        else:
            answers.append(told)
            clips.append(clip)
        progress(Step("hearing", done, len(chosen), clip.id))
    if not clips:
        raise InputError(f"No clip of {dataset.name} can be heard in every version: {failures[0][1]}")
    number_of = {label: place for place, label in enumerate(ears.labels)}
    y_true = np.array([number_of[clip.label] for clip in clips])
    changes = versions(ears.first.front_end.window_samples)
    heard = [
        _collect(version.name, version.detail, [row[i] for row in answers], number_of)
        for i, version in enumerate(changes)
    ]
    if stored is not None:
        pictures = _stored(stored, clips, ears)
        heard.insert(1, _collect(STORED, "the archive's, with no sound in between", pictures, number_of))
    place = {clip.id: group for clip, group in zip(dataset.clips, dataset.groups, strict=True)}
    return Robustness(
        dataset=dataset.name, model=ears.source, out_of_fold=ears.out_of_fold, trained_on=ears.trained_on(dataset),
        labels=ears.labels, clips=tuple(clip.id for clip in clips), groups=tuple(place[c.id] for c in clips),
        y_true=y_true, heard=tuple(heard), failures=tuple(failures),
    )  # fmt: skip


class Answer(NamedTuple):
    """What one version of one clip was heard as: genre, the right one's probability, and whether it is unsure."""

    label: str
    right: float
    unsure: bool

    @classmethod
    def of(cls, prediction: Prediction, clip: Clip) -> Answer:
        """Of a prediction for this clip."""
        return cls(prediction.label, prediction.probabilities[clip.label], prediction.unsure)


class _Task(NamedTuple):
    """What is sent to a worker: one clip, who hears it, and what its noise depends on."""

    clip: Clip
    bundle: Path
    number: int
    seed: int


def _bundle_for(ears: Ears, clip: Clip) -> Path:
    bundle = ears.of(clip.id)
    assert bundle is not None, "clips that nobody may hear are left out before"
    return bundle


def _work(task: _Task) -> tuple[Answer, ...] | str:
    """Every version of one clip, or the sentence why it cannot be heard."""
    classifier, clip = classifier_of(task.bundle), task.clip
    front_end = classifier.bundle.front_end
    rate, most = front_end.sample_rate, MOST_WINDOWS * front_end.seconds
    generator = np.random.default_rng([task.seed, task.number])
    assert clip.path is not None, "clips without a file are left out before"
    try:
        with Recording(clip.path) as recording:
            start = max(0.0, (recording.measure() - most) / 2)
            samples = recording.load(rate, start=start, seconds=most).samples
        return tuple(
            Answer.of(classifier.classify_samples(version.change(samples, rate, generator), rate), clip)
            for version in versions(front_end.window_samples)
        )
    except AudioError as error:
        return str(error)


def _crashed(task: _Task) -> str:
    return f"{task.clip.id} brought a decoder or encoder down."


def _collect(name: str, detail: str, answers: Sequence[Answer], number_of: Mapping[str, int]) -> Heard:
    return Heard(
        name=name,
        detail=detail,
        predicted=np.array([number_of[answer.label] for answer in answers]),
        right=np.array([answer.right for answer in answers]),
        answered=np.array([not answer.unsure for answer in answers]),
    )


def _stored(source: Path | str, clips: Sequence[Clip], ears: Ears) -> list[Answer]:
    archive = load_dataset(source)
    if archive.spectrograms is None:
        raise InputError(f"{source} holds no spectrograms to compare with.")
    row = {clip.id: number for number, clip in enumerate(archive.clips)}
    missing = [clip.id for clip in clips if clip.id not in row]
    if missing or archive.spectrograms.shape[1:] != ears.first.front_end.shape:
        what = f"no spectrogram of {missing[0]}" if missing else "spectrograms of another shape than the model's"
        raise InputError(f"{source} holds {what}.")
    found = []
    for clip in clips:
        classifier = classifier_of(_bundle_for(ears, clip))
        told = classifier.classify_spectrograms(archive.spectrograms[row[clip.id]][None], name=clip.id)
        found.append(Answer.of(told, clip))
    return found
