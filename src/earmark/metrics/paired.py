"""Is one model better than another on the same clips?"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from math import comb

import numpy as np
from numpy.typing import ArrayLike

from earmark.errors import InputError
from earmark.metrics.intervals import (
    LEVEL,
    RESAMPLES,
    Interval,
    Sums,
    draws,
    number,
    percentiles,
    scores_of,
)
from earmark.metrics.scores import Floats


@dataclass(frozen=True)
class SignTest:
    """McNemar's test on clips that only one of two models got right.

    Parameters
    ----------
    first, second
        How many clips only the first, or only the second, got right.
    exact, mid_p
        Two-sided p-values, 0..1.
    """

    first: int
    second: int
    exact: float
    mid_p: float


@dataclass(frozen=True)
class Differences:
    """Second less first, each with its paired interval.

    Parameters
    ----------
    accuracy, macro_f1
        In -1..1; above 0 the second is better.
    f1
        One per label.
    """

    accuracy: Interval
    macro_f1: Interval
    f1: tuple[Interval, ...]


def mcnemar(first: int, second: int) -> SignTest:
    """McNemar's test from the counts of discordant clips, exact and with the mid p-value.

    Under no difference each discordant clip falls to either model like a coin. The exact test doubles the smaller
    binomial tail and is conservative; mid-p counts the observed outcome itself by half and holds the level better
    (McNemar, Psychometrika 12, 1947; Fagerland, Lydersen and Laake, BMC Medical Research Methodology 13:91, 2013).
    Both take clips as independent, which those of one artist are not; the paired bootstrap over groups does not.

    Parameters
    ----------
    first, second
        How many clips only the one, only the other got right; 0 or more.
    """
    if first < 0 or second < 0:
        raise InputError("Counts of clips cannot be negative.")
    n, fewer = first + second, min(first, second)
    # Whole numbers throughout: exact for any n, and Python divides big integers with correct rounding.
    term, tail = 1, 0
    for i in range(fewer + 1):
        tail += term
        term = term * (n - i) // (i + 1)
    whole = 2**n
    exact = min(1.0, 2 * tail / whole)
    mid_p = min(1.0, (2 * tail - comb(n, fewer)) / whole)
    return SignTest(first, second, exact, mid_p)


def sign_test(first: ArrayLike, second: ArrayLike) -> SignTest:
    """McNemar's test from how often each clip was got right.

    Parameters
    ----------
    first, second
        Shape (clips,): right or not, or with several repeats the share of repeats in which the clip was right. A clip
        counts for the model that got it right more often; equal ones do not count. With one repeat this is McNemar's
        test.
    """
    a, b = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if a.shape != b.shape or a.ndim != 1:
        raise InputError("A paired test needs the same clips in both: one number per clip.")
    # Shares such as 1/3 come from the same division on both sides; the tolerance is for sums in another order.
    return mcnemar(int((a > b + 1e-9).sum()), int((b > a + 1e-9).sum()))


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values adjusted for several comparisons at once (Holm, Scandinavian Journal of Statistics 6, 1979)."""
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    adjusted, highest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        highest = max(highest, min(1.0, (len(p_values) - rank) * p_values[index]))
        adjusted[index] = highest
    return adjusted


def sums_by_group(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    groups: Sequence[str],
    repeats: Sequence[Hashable] | None,
    labels: int,
    order: Mapping[str, int],
) -> Sums:
    """Sums per group with the groups numbered by ``order``, so that two runs line up."""
    true, pred = np.asarray(y_true, dtype=np.intp), np.asarray(y_pred, dtype=np.intp)
    group = np.fromiter((order[name] for name in groups), dtype=np.intp, count=len(true))
    repeat = number(repeats) if repeats is not None else np.zeros(len(true), dtype=np.intp)
    return Sums.of(true, pred, group, repeat, labels, len(order))


def paired_bootstrap(
    first: Sums, second: Sums, *, seed: int = 0, resamples: int = RESAMPLES, level: float = LEVEL
) -> Differences:
    """Differences in accuracy, macro F1 and per-label F1, second less first, over the same draws of groups.

    Both runs see the same resample each time, so what is common to them (hard artists) cancels (Efron and Tibshirani,
    *An Introduction to the Bootstrap*, 1993, chapter 16; over clusters as in :mod:`earmark.metrics.intervals`).

    Parameters
    ----------
    first, second
        From :func:`sums_by_group` with the same order of groups; the number of repeats may differ.

    Raises
    ------
    InputError
        If the groups or labels are not the same.
    """
    if first.values.shape[1:] != second.values.shape[1:]:
        raise InputError("A paired bootstrap needs the same groups and labels on both sides.")

    def differences(weights: Floats) -> tuple[Floats, Floats, Floats]:
        a, b = scores_of(first.resample(weights)), scores_of(second.resample(weights))
        return b[0] - a[0], b[1] - a[1], b[2][2] - a[2][2]

    point = differences(np.ones((1, first.groups)))
    labels = first.values.shape[3]
    if first.groups < 2:
        nothing = np.full(1, np.nan)
        parts = [(nothing, nothing, np.full((1, labels), np.nan))]
    else:
        parts = [differences(block) for block in draws(first.groups, resamples, seed)]
    right, macro, f1 = (np.concatenate([part[index] for part in parts]) for index in range(3))
    return Differences(
        accuracy=percentiles(float(point[0][0]), right, level),
        macro_f1=percentiles(float(point[1][0]), macro, level),
        f1=tuple(percentiles(float(np.nan_to_num(point[2][0, i])), f1[:, i], level) for i in range(labels)),
    )
