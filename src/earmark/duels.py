"""Probabilities from the pairwise machines of a support vector classifier, and the limits that go with them.

Training (:mod:`earmark.baselines`) and the exported network (:mod:`earmark.models.fused`) share these numbers.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from earmark.metrics import softmax

FLOOR = 1e-3
"""Guessing the most frequent genre gives the others nothing; a floor keeps the log loss finite."""
CUT = 5.0
"""Standard deviations beyond which a value says nothing more."""


def duels_to_probabilities(duels: NDArray[np.float64], labels: int, *, vote: bool = True) -> NDArray[np.float64]:
    """Probabilities from the pairwise machines of a support vector classifier, with nothing fitted.

    A genre's likelihood is the product of its chances in all duels, each the logistic function of its margin. (The
    library's own probabilities for it cross-validate at random, across artists, and the softmax of its votes is all
    but constant.)

    Parameters
    ----------
    duels
        (n, labels (labels - 1) / 2): margins of 0 against 1, 0 against 2 ... 1 against 2 ...; positive for the first.
    labels
        Number of genres.
    vote
        Whether the vote decides, as in the classic machine: where it falls on another genre than the likelihood, the
        two change places.

    Returns
    -------
    NDArray[np.float64]
        (n, labels), summing to 1. How sharp they are is left to a temperature.
    """
    likelihood, votes, margins = (np.zeros((len(duels), labels)) for _ in range(3))
    for column, (first, second) in enumerate(combinations(range(labels), 2)):
        margin = duels[:, column]
        for label, sign in ((first, 1), (second, -1)):
            likelihood[:, label] -= np.logaddexp(0.0, -sign * margin)
            votes[:, label] += (margin > 0) == (sign > 0)
            margins[:, label] += sign * margin
    if not vote:
        return softmax(likelihood)
    # Margins break ties of votes, and never more: they come to less than a third.
    voted = (votes + margins / (3 * (np.abs(margins) + 1))).argmax(axis=1)
    rows, likeliest = np.arange(len(duels)), likelihood.argmax(axis=1)
    likelihood[rows, likeliest], likelihood[rows, voted] = likelihood[rows, voted], likelihood[rows, likeliest]
    return softmax(likelihood)
