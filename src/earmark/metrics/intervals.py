"""How far a score could be off: bootstrap over groups, and Wilson's interval.

Clips of one artist succeed and fail together, so the bootstrap draws whole groups (Davison and Hinkley, *Bootstrap
Methods and their Application*, 1997, section 3.8; Field and Welsh, *Bootstrapping clustered data*, JRSS B 69, 2007).
Accuracy and F1 depend only on sums per label, so each group is boiled down to its sums once, and all resamples are
one matrix product: ``draws (resamples, groups) @ sums (groups, 3k)``.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark.errors import InputError
from earmark.metrics.scores import Floats, Ints, divide, validate

Bools = NDArray[np.bool_]

LEVEL = 0.95
RESAMPLES = 2000

# Resamples are drawn this many at a time, so that 20 000 groups need tens of megabytes instead of hundreds.
BLOCK = 256


@dataclass(frozen=True)
class Interval:
    """A value with the interval around it.

    Parameters
    ----------
    value
        The estimate itself.
    low, high
        Ends of the interval; NaN where there is none (a single group says nothing about others).
    level
        Its confidence level, 0..1.
    """

    value: float
    low: float
    high: float
    level: float = LEVEL

    @property
    def known(self) -> bool:
        """Whether there is an interval at all."""
        return bool(np.isfinite(self.low) and np.isfinite(self.high))

    def to_dict(self) -> dict[str, float | None]:
        """The interval as a JSON object; ends that are not known become null."""
        return {
            "value": self.value if np.isfinite(self.value) else None,
            "low": self.low if self.known else None,
            "high": self.high if self.known else None,
            "level": self.level,
        }


@dataclass(frozen=True)
class Scores:
    """Accuracy, macro F1 and F1 per label, each with its interval.

    Parameters
    ----------
    accuracy, macro_f1
        The means over repeats.
    precision, recall, f1
        One interval per label, in the order of the labels.
    groups
        How many groups were drawn from.
    """

    accuracy: Interval
    macro_f1: Interval
    precision: tuple[Interval, ...]
    recall: tuple[Interval, ...]
    f1: tuple[Interval, ...]
    groups: int


def wilson(successes: float, n: float, level: float = LEVEL) -> Interval:
    """Wilson's score interval for a share (*Probable inference, the law of succession, and statistical inference*,
    JASA 22, 1927).

    For independent clips only; clips of the same artist are not, so prefer the bootstrap where groups are known.

    Raises
    ------
    InputError
        If there are no clips, or more successes than clips.
    """
    if not n > 0 or not 0 <= successes <= n:
        raise InputError(f"A share needs 0 <= successes <= n and n > 0, not {successes} of {n}.")
    z = NormalDist().inv_cdf((1 + level) / 2)
    share = successes / n
    middle = (share + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z / (1 + z**2 / n) * np.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
    # At 0 or n successes the exact end is 0 or 1; rounding would leave it a hair outside.
    low = 0.0 if successes == 0 else float(middle - half)
    high = 1.0 if successes == n else float(middle + half)
    return Interval(share, low, high, level)


def number(groups: Sequence[Hashable] | NDArray[np.generic]) -> Ints:
    """Number group names 0, 1, ... by first appearance; shape (n,)."""
    seen: dict[Hashable, int] = {}
    values = groups.tolist() if isinstance(groups, np.ndarray) else groups
    return np.fromiter((seen.setdefault(name, len(seen)) for name in values), dtype=np.intp, count=len(groups))


def draws(groups: int, resamples: int = RESAMPLES, seed: int = 0) -> Iterator[Floats]:
    """Blocks of bootstrap draws: how often each group is in each resample, float64, shape (up to 256, groups).

    Every row sums to ``groups``. The same seed gives the same draws, which is what makes a comparison paired.
    """
    random = np.random.default_rng(seed)
    for start in range(0, resamples, BLOCK):
        rows = min(BLOCK, resamples - start)
        picks = random.integers(0, groups, size=(rows, groups))
        picks += (np.arange(rows) * groups)[:, None]
        yield np.bincount(picks.ravel(), minlength=rows * groups).reshape(rows, groups).astype(np.float64)


def percentiles(value: float, resampled: Floats, level: float = LEVEL) -> Interval:
    """The percentile interval (Efron, *Bootstrap methods: another look at the jackknife*, Ann. Statist. 7, 1979).

    Resamples in which the score is undefined (NaN: the label was not drawn) are left out.
    """
    defined = resampled[np.isfinite(resampled)]
    if not len(defined):
        return Interval(value, float("nan"), float("nan"), level)
    low, high = np.quantile(defined, [(1 - level) / 2, (1 + level) / 2])
    return Interval(value, float(low), float(high), level)


@dataclass(frozen=True)
class Sums:
    """What one group contributes: per repeat and label the hits, the true and the predicted counts.

    Parameters
    ----------
    values
        Shape (repeats, groups, 3, k), float64.
    """

    values: Floats

    @property
    def groups(self) -> int:
        """How many groups."""
        return int(self.values.shape[1])

    @staticmethod
    def of(y_true: Ints, y_pred: Ints, group: Ints, repeat: Ints, labels: int, groups: int) -> Sums:
        """Sum up rows (one per prediction) by repeat and group.

        Parameters
        ----------
        y_true, y_pred, group, repeat
            Shape (n,), all numbered from 0.
        labels, groups
            How many there are.
        """
        repeats = int(repeat.max()) + 1
        shape = (repeats, groups, labels)

        def count(rows: Bools, label: Ints) -> Ints:
            place = np.ravel_multi_index((repeat[rows], group[rows], label[rows]), shape)
            return np.bincount(place, minlength=repeats * groups * labels).reshape(shape)

        every = np.ones(len(y_true), dtype=np.bool_)
        counts = (count(y_true == y_pred, y_true), count(every, y_true), count(every, y_pred))
        values = np.stack(counts, axis=2).astype(np.float64)
        return Sums(values)

    def resample(self, weights: Floats) -> Floats:
        """Sums of resamples, shape (repeats, resamples, 3, k), for draws of shape (resamples, groups)."""
        repeats, groups, _, labels = self.values.shape
        flat = weights @ self.values.reshape(repeats, groups, 3 * labels)
        return np.asarray(flat.reshape(repeats, len(weights), 3, labels))


def scores_of(sums: Floats) -> tuple[Floats, Floats, Floats]:
    """Accuracy, macro F1 and per-label precision, recall and F1 of sums, averaged over repeats.

    Parameters
    ----------
    sums
        Shape (repeats, resamples, 3, k).

    Returns
    -------
    tuple
        Shapes (resamples,), (resamples,), (3, resamples, k); NaN where a label does not occur.
    """
    hits, true, predicted = sums[..., 0, :], sums[..., 1, :], sums[..., 2, :]
    nan = float("nan")
    right = divide(hits.sum(axis=-1), true.sum(axis=-1), nan)
    f1 = divide(2 * hits, true + predicted, nan)
    seen = np.isfinite(f1)
    macro = divide(np.where(seen, f1, 0.0).sum(axis=-1), seen.sum(axis=-1), nan)
    # A label that was never predicted has precision 0 by convention as long as it has clips, else it is undefined.
    precision = np.where(seen, divide(hits, predicted, 0.0), nan)
    recall = np.where(seen, divide(hits, true, 0.0), nan)
    per_label = np.stack([_mean_defined(values) for values in (precision, recall, f1)])
    return _mean_defined(right), _mean_defined(macro), per_label


def _mean_defined(values: Floats) -> Floats:
    """Mean over the first axis of what is not NaN."""
    defined = np.isfinite(values)
    return divide(np.where(defined, values, 0.0).sum(axis=0), defined.sum(axis=0), float("nan"))


def bootstrap_scores(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    labels: int,
    groups: Sequence[str] | None = None,
    *,
    repeats: Sequence[Hashable] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
    level: float = LEVEL,
) -> Scores:
    """Accuracy, macro F1 and per-label scores with percentile intervals from a bootstrap over groups.

    Parameters
    ----------
    y_true, y_pred
        Shape (n,), one row per prediction.
    labels
        How many labels there are.
    groups
        Name of each row's group; None: every row stands alone. With repeats give at least the clip's name, or the
        same clip would count as several.
    repeats
        Which repetition each row belongs to. Scores are computed within each and averaged; the interval is that of
        the average, over the draw of groups. It does not include the spread between seeds, which is reported beside.
    seed, resamples, level
        Of the bootstrap.

    Returns
    -------
    Scores
        Intervals are unknown (NaN) where there is only one group. With fewer than about 20 groups percentile
        intervals are too narrow.
    """
    true, pred = validate(y_true, y_pred, labels)
    # Groups are numbered by name, so that the draws, and with them the interval, do not depend on the order of rows.
    order = {name: i for i, name in enumerate(sorted(set(groups)))} if groups is not None else {}
    group = np.array([order[name] for name in groups]) if groups is not None else np.arange(len(true))
    repeat = number(repeats) if repeats is not None else np.zeros(len(true), dtype=np.intp)
    if len(group) != len(true) or len(repeat) != len(true):
        raise InputError("Every prediction needs its group and its repeat.")
    sums = Sums.of(true, pred, group, repeat, labels, int(group.max()) + 1)
    point = scores_of(sums.resample(np.ones((1, sums.groups))))
    if sums.groups < 2:
        nothing = np.full(1, np.nan)
        parts = [(nothing, nothing, np.full((3, 1, labels), np.nan))]
    else:
        parts = [scores_of(sums.resample(block)) for block in draws(sums.groups, resamples, seed)]
    right, macro = (np.concatenate([part[index] for part in parts]) for index in (0, 1))
    per_label = np.concatenate([part[2] for part in parts], axis=1)

    def intervals(kind: int) -> tuple[Interval, ...]:
        # A label that never occurs has no score to bound; 0 is what precision_recall_f1 says of it.
        values = np.nan_to_num(point[2][kind, 0])
        return tuple(percentiles(float(values[i]), per_label[kind, :, i], level) for i in range(labels))

    return Scores(
        accuracy=percentiles(float(point[0][0]), right, level),
        macro_f1=percentiles(float(point[1][0]), macro, level),
        precision=intervals(0),
        recall=intervals(1),
        f1=intervals(2),
        groups=sums.groups,
    )
