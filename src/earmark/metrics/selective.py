"""How accurate a model is when it may say "unsure": risk against coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from earmark.errors import InputError
from earmark.metrics.scores import Floats


@dataclass(frozen=True)
class Curve:
    """Accuracy among the surest clips, for every number of clips that could be answered.

    Parameters
    ----------
    coverage
        Shape (n,), 1/n .. 1: the share of clips answered.
    accuracy
        Shape (n,): the share of those that is right. Risk is ``1 - accuracy``.
    confidence
        Shape (n,): the confidence of the least sure clip answered, falling.
    """

    coverage: Floats
    accuracy: Floats
    confidence: Floats


@dataclass(frozen=True)
class Threshold:
    """Answer where the confidence is at least ``confidence``: what part is answered, and how well.

    Parameters
    ----------
    confidence, coverage, accuracy
        Each 0..1.
    """

    confidence: float
    coverage: float
    accuracy: float


def risk_coverage(confidence: ArrayLike, correct: ArrayLike) -> Curve:
    """The risk-coverage curve (El-Yaniv and Wiener, *On the Foundations of Noise-free Selective Classification*,
    JMLR 11, 2010).

    Clips of the same confidence cannot be told apart, so inside a tie errors are spread evenly; the curve does not
    depend on the order of the clips.

    Parameters
    ----------
    confidence, correct
        Shape (n,): how sure, and whether right.
    """
    c, r = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if c.ndim != 1 or c.shape != r.shape or not c.size or not np.isfinite(c).all():
        raise InputError("A risk-coverage curve needs one finite confidence and one right-or-wrong per clip.")
    levels, where, counts = np.unique(-c, return_inverse=True, return_counts=True)
    share_right = np.bincount(where, weights=r, minlength=len(levels)) / counts
    n = np.arange(1, len(c) + 1)
    right = np.cumsum(np.repeat(share_right, counts))
    return Curve(n / len(c), right / n, -np.repeat(levels, counts))


def aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Area under the risk-coverage curve: the mean risk over all coverages, 0 is best (Geifman, Uziel and El-Yaniv,
    *Bias-Reduced Uncertainty Estimation for Deep Neural Classifiers*, ICLR 2019)."""
    return float((1 - risk_coverage(confidence, correct).accuracy).mean())


def excess_aurc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """:func:`aurc` less that of a model as accurate which puts every wrong clip last (E-AURC, same source).

    It asks only how well confidence ranks right before wrong; 0 is best, whatever the accuracy.
    """
    right = np.asarray(correct, dtype=np.float64)
    return aurc(confidence, right) - aurc(right, right)


def accuracy_at_coverage(confidence: ArrayLike, correct: ArrayLike, coverage: float) -> float:
    """Accuracy among the surest clips when the given share of them is answered.

    Parameters
    ----------
    coverage
        Above 0, at most 1; rounded up to whole clips.
    """
    if not 0 < coverage <= 1:
        raise InputError(f"Coverage is a share of the clips, above 0 and at most 1, not {coverage}.")
    curve = risk_coverage(confidence, correct)
    # 0.7 * 10 is a hair over 7 in binary; without the tolerance it would become 8 clips.
    return float(curve.accuracy[int(np.ceil(coverage * len(curve.accuracy) - 1e-9)) - 1])


def threshold_for_precision(confidence: ArrayLike, correct: ArrayLike, precision: float) -> Threshold | None:
    """The lowest confidence from which on at least ``precision`` of the answers are right.

    Fit it on clips that the scored ones know nothing of (the training side, out of fold); read off the scored clips
    themselves it is a description, not a promise.

    Returns
    -------
    Threshold or None
        None where no threshold reaches the wanted precision.
    """
    curve = risk_coverage(confidence, correct)
    last_of_tie = np.append(curve.confidence[1:] != curve.confidence[:-1], True)
    good = np.flatnonzero(last_of_tie & (curve.accuracy >= precision - 1e-12))
    if not len(good):
        return None
    best = good[-1]
    return Threshold(float(curve.confidence[best]), float(curve.coverage[best]), float(curve.accuracy[best]))
