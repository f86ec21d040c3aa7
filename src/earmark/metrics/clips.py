"""Scores clip by clip and group by group: which ones fail, and which labels look wrong."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark.errors import InputError
from earmark.metrics.intervals import number
from earmark.metrics.scores import Floats, Ints, divide, validate, validate_probabilities


@dataclass(frozen=True)
class ClipScores:
    """What all predictions of each clip say together (several repeats or several runs).

    Parameters
    ----------
    clips
        Names, by first appearance.
    y_true
        Shape (clips,): the label.
    times
        Shape (clips,): how many predictions there are of each.
    right
        Shape (clips,): how many of them are right.
    predicted
        Shape (clips,): the label predicted most often; among equals the one with more probability.
    probabilities
        Shape (clips, k): their mean.
    """

    clips: tuple[str, ...]
    y_true: Ints
    times: Ints
    right: Ints
    predicted: Ints
    probabilities: Floats

    @property
    def share_right(self) -> Floats:
        """Shape (clips,): share of a clip's predictions that are right, 0..1."""
        return divide(self.right, self.times)


@dataclass(frozen=True)
class Suspect:
    """A clip that every prediction contradicts with confidence: perhaps its label is wrong.

    Parameters
    ----------
    clip
        Its name.
    label, suggested
        Number of its label, and of the one that the predictions agree on.
    confidence, own
        Mean probability of the suggested label and of its own, 0..1.
    times
        How many predictions contradict it (all there are).
    """

    clip: str
    label: int
    suggested: int
    confidence: float
    own: float
    times: int


@dataclass(frozen=True)
class GroupScore:
    """One group's result.

    Parameters
    ----------
    group
        Its name.
    clips
        Names of its clips.
    accuracy
        Mean over its clips of the share of predictions that are right, 0..1.
    """

    group: str
    clips: tuple[str, ...]
    accuracy: float


def per_clip(
    clips: Sequence[str], y_true: ArrayLike, probabilities: ArrayLike, predicted: ArrayLike | None = None
) -> ClipScores:
    """Bring the rows of each clip together.

    Parameters
    ----------
    clips
        The clip of each row.
    y_true
        Shape (n,); all rows of a clip carry the same label.
    probabilities
        Shape (n, k).
    predicted
        Shape (n,); None: the most probable label.

    Raises
    ------
    InputError
        If a clip has two labels.
    """
    true, p = validate_probabilities(y_true, probabilities)
    pred = p.argmax(axis=1) if predicted is None else validate(true, predicted, p.shape[1])[1]
    row = number(clips)
    names = tuple(dict.fromkeys(clips))
    first = np.zeros(len(names), dtype=np.intp)
    first[row[::-1]] = true[::-1]
    if (first[row] != true).any():
        odd = clips[int(np.flatnonzero(first[row] != true)[0])]
        raise InputError(f"The clip {odd} carries two labels; every clip must have one.")
    times = np.bincount(row, minlength=len(names))
    mean = np.zeros((len(names), p.shape[1]))
    np.add.at(mean, row, p)
    mean /= times[:, None]
    votes = np.zeros_like(mean)
    np.add.at(votes, (row, pred), 1.0)
    # Votes are whole numbers and mean probabilities at most 1, so adding half of them only breaks ties.
    return ClipScores(
        clips=names,
        y_true=first,
        times=times,
        right=np.bincount(row, weights=true == pred, minlength=len(names)).astype(np.intp),
        predicted=(votes + mean / 2).argmax(axis=1),
        probabilities=mean,
    )


def suspects(scores: ClipScores) -> list[Suspect]:
    """Clips whose label every prediction contradicts, as surely as the model is where it is right about that label.

    A clip is listed if no prediction of it is right and the mean probability of some other label reaches that label's
    threshold: the mean probability of the clips that carry it and are recognised. This is the rule of confident
    learning (Northcutt, Jiang and Chuang, *Confident Learning: Estimating Uncertainty in Dataset Labels*, JAIR 70,
    2021), made stricter twice: by unanimity, and by a threshold over recognised clips instead of all that carry the
    label. Ranked by how far the suggested label's probability exceeds the own label's.

    Such a clip is not proven wrong: it may simply be hard. A person has to listen.
    """
    p, true = scores.probabilities, scores.y_true
    labels = p.shape[1]
    hit = scores.predicted == true
    threshold = np.array(
        [p[hit & (true == j), j].mean() if (hit & (true == j)).any() else np.inf for j in range(labels)]
    )
    passes = p >= threshold
    passes[np.arange(len(true)), true] = False
    reached = np.where(passes, p, -1.0)
    suggested = reached.argmax(axis=1)
    chosen = np.flatnonzero((scores.right == 0) & (reached.max(axis=1) > 0) & (suggested == p.argmax(axis=1)))
    own = p[np.arange(len(true)), true]
    found = [
        Suspect(
            scores.clips[i],
            int(true[i]),
            int(suggested[i]),
            float(p[i, suggested[i]]),
            float(own[i]),
            int(scores.times[i]),
        )
        for i in chosen
    ]
    return sorted(found, key=lambda item: (item.own - item.confidence, item.clip))


def worst(scores: ClipScores) -> NDArray[np.intp]:
    """Indices of the clips whose joint prediction is wrong, surest mistakes first."""
    clips = np.arange(len(scores.clips))
    margin = scores.probabilities[clips, scores.predicted] - scores.probabilities[clips, scores.y_true]
    wrong = scores.predicted != scores.y_true
    order = np.lexsort((np.array(scores.clips), -margin))
    return np.asarray(order[wrong[order]], dtype=np.intp)


def per_group(scores: ClipScores, groups: Sequence[str]) -> list[GroupScore]:
    """Results group by group (artist by artist), in the order of first appearance.

    Parameters
    ----------
    scores
        From :func:`per_clip`.
    groups
        The group of each clip in ``scores.clips``.
    """
    members: dict[str, list[int]] = {}
    for index, name in enumerate(groups):
        members.setdefault(name, []).append(index)
    share = scores.share_right
    return [
        GroupScore(name, tuple(scores.clips[i] for i in indices), float(share[indices].mean()))
        for name, indices in members.items()
    ]
