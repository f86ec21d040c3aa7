"""Leak tests: verdicts on whether a cross-validation measured what it says.

Each test turns numbers that the cross-validation gathered into pass or fail and a sentence.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray

from earmark.folds import Fold
from earmark.run_files import LeakTest

# A perfect system cannot score more on GTZAN's own labels, faulty as some are (Sturm, 2013: mislabelled and distorted
# clips), so more is a sign of a leak.
GTZAN_CEILING = 0.957
RISE = 0.10
# A climb so steady is a trend however wide the folds spread, for the climb itself widens the spread.
_STEADY = 0.005


def shuffled_labels(accuracy: float, targets: NDArray[np.int64], tests: int | None = None) -> LeakTest:
    """With labels dealt to the clips at random, nothing can be learnt: accuracy must stay at chance.

    Parameters
    ----------
    accuracy
        Of the whole procedure on shuffled labels.
    targets
        The label numbers; the largest class is the best a guess can do.
    tests
        Number of tested clips; None: all.

    Notes
    -----
    The bound is the largest class's share plus 3.09 binomial standard deviations (one-sided 0.1 %).
    """
    n = tests or len(targets)
    chance = float(np.bincount(targets).max() / len(targets))
    bound = chance + 3.09 * math.sqrt(chance * (1 - chance) / n)
    passed = accuracy <= bound
    verdict = "as it must" if passed else "so clips are known before they are tested"
    told = f"{accuracy:.1%} (chance allows up to {bound:.1%})"
    return LeakTest(
        "shuffled labels give chance",
        passed,
        accuracy,
        bound,
        f"Trained on shuffled labels, the same procedure scores {told}, {verdict}.",
    )


def fold_order(accuracies: Sequence[float], clips_per_fold: float) -> LeakTest:
    """Folds are dealt at random, so accuracy must not climb from the first to the last.

    Parameters
    ----------
    accuracies
        Of the folds, in the order they were trained.
    clips_per_fold
        Tested clips per fold, on average.

    Notes
    -----
    Fails if three things come together: the folds after the first are on average more than 10 points better than
    the first; that is more than 3.09 standard deviations of a fold (the larger of the binomial one and the spread of
    the later folds); and fewer than 5 % of all orders climb as much (rank correlation, exact up to 8 folds, normal
    beyond). It also fails if the rise is over 10 points and fewer than 0.5 % of all orders climb as much: a steady
    climb widens the spread and would hide behind it. In simulated honest runs with folds that spread by 8 points
    the test fails in under 1 of 100.
    """
    name = "accuracy does not climb with fold order"
    if len(accuracies) < 3:
        return LeakTest(name, None, None, None, "With fewer than three folds there is no order to climb with.")
    values = np.asarray(accuracies, dtype=np.float64)
    later = values[1:]
    rise = float(later.mean() - values[0])
    overall = float(values.mean())
    binomial = math.sqrt(overall * (1 - overall) / clips_per_fold)
    bound = max(RISE, 3.09 * max(binomial, float(later.std(ddof=1))) * math.sqrt(1 + 1 / len(later)))
    p = _order_p_value(values)
    passed = not ((rise > bound and p < 0.05) or (rise > RISE and p < _STEADY))
    told = "no trend" if passed else "a trend that a model carried from fold to fold would make"
    return LeakTest(
        name,
        passed,
        rise,
        bound,
        f"The later folds are on average {100 * abs(rise):.1f} points {'above' if rise >= 0 else 'below'} the first "
        f"(p = {p:.2f} for a climb): {told}.",
    )


def _order_p_value(values: NDArray[np.float64]) -> float:
    n = len(values)
    ranks = np.argsort(np.argsort(values)).astype(np.float64)
    order = np.arange(n, dtype=np.float64)
    observed = float(ranks @ order)
    if n <= 8:
        every = [float(np.dot(p, order)) for p in permutations(range(n))]
        return sum(score >= observed - 1e-9 for score in every) / len(every)
    mean = n * ((n - 1) / 2) ** 2
    deviation = (n * (n + 1) / 12) * math.sqrt(n - 1)
    return 0.5 * math.erfc((observed - mean) / deviation / math.sqrt(2))


def fresh_models(names: Sequence[str], initial: Sequence[str], expected: Sequence[str]) -> LeakTest:
    """Every fold must begin from the weights that its seed gives a new model.

    Parameters
    ----------
    names
        Of the folds.
    initial
        Hash of the weights each fold began from; empty for methods without weights.
    expected
        Hash of a fresh model for each fold's seed, computed apart from the training.
    """
    test = "every fold begins from a fresh model"
    if not any(initial):
        return LeakTest(test, None, None, None, "This method has no weights to begin from.")
    stale = [name for name, was, should in zip(names, initial, expected, strict=True) if was != should]
    if stale:
        sentence = f"{len(stale)} of {len(names)} folds did not begin from a fresh model (first: {stale[0]})."
    else:
        sentence = f"All {len(names)} folds began from the fresh weights of their seed (SHA-256 compared)."
    return LeakTest(test, not stale, float(len(stale)), 0.0, sentence)


def disjoint_sides(
    folds: Sequence[Fold], groups: NDArray[np.int64], recordings: NDArray[np.int64], *, grouped: bool
) -> list[LeakTest]:
    """No clip, recording or group may stand on the training and on the test side.

    Parameters
    ----------
    groups
        A number per clip: its group (artist).
    recordings
        A number per clip, equal for clips of one recording.
    grouped
        Whether the protocol promises to keep groups on one side. Where it does not, shared groups and recordings
        are counted and told, as what makes the protocol optimistic; they are no fault of the run.
    """
    verdicts = []
    clips = np.arange(len(groups))
    for what, numbers, promised in (
        ("clip", clips, True),
        ("recording", recordings, grouped),
        ("group", groups, grouped),
    ):
        shared = tested = 0
        for fold in folds:
            learnt = np.union1d(fold.train, fold.validation)
            shared += int(np.isin(numbers[fold.test], numbers[learnt]).sum())
            tested += len(fold.test)
        if not shared:
            passed: bool | None = True
            sentence = f"No {what} is on two sides in any fold."
        else:
            passed = False if promised else None
            sentence = f"{shared} of {tested} tested clips have their {what} on the training side too."
            if not promised:
                sentence += " This protocol does not keep groups apart, so its figure is optimistic."
        verdicts.append(LeakTest(f"no {what} on two sides", passed, float(shared), 0.0, sentence))
    return verdicts


def nothing_from_test(with_real: str, with_noise: str) -> LeakTest:
    """What is learnt for a fold must not depend on its test clips.

    Parameters
    ----------
    with_real, with_noise
        Name of what was learnt from the fold as it is, and with the test clips' features and labels replaced by
        noise.
    """
    same = with_real == with_noise
    sentence = (
        "Replacing the test clips by noise leaves everything that is fitted the same, to the bit."
        if same
        else "Replacing the test clips by noise changes the model: something is fitted outside the training side."
    )
    return LeakTest("nothing is fitted outside training", same, None, None, sentence)


def suspiciously_good(accuracy: float, is_gtzan: bool) -> LeakTest:
    """GTZAN's label faults bound an honest score."""
    name = "not better than the labels allow"
    if not is_gtzan:
        return LeakTest(name, None, accuracy, None, "No bound is known for this dataset.")
    passed = accuracy <= GTZAN_CEILING
    sentence = (
        f"Accuracy {accuracy:.1%} against the {GTZAN_CEILING:.1%} that GTZAN's label faults leave a perfect system."
    )
    if not passed:
        sentence += " A leak is suspected."
    return LeakTest(name, passed, accuracy, GTZAN_CEILING, sentence)
