"""How right the answers are: counts, accuracy, F1, top-k and the proper scores.

Labels are integers ``0 .. k-1`` throughout; who needs names keeps them beside the arrays.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from earmark.errors import InputError

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

# A probability of exactly zero for what then happened would make the log loss infinite for the whole data
# set because of one rounding in a CSV file. The smallest normal float32 keeps that clip's penalty at 87.
SMALLEST_PROBABILITY = float(np.finfo(np.float32).tiny)


def validate(y_true: ArrayLike, y_pred: ArrayLike, labels: int) -> tuple[Ints, Ints]:
    """Check a pair of label arrays and return them as integers.

    Parameters
    ----------
    y_true, y_pred
        Shape (n,), values ``0 .. labels-1``.
    labels
        How many labels there are.

    Raises
    ------
    InputError
        If the arrays are empty, of other lengths, not whole numbers, or out of range.
    """
    true, pred = np.asarray(y_true), np.asarray(y_pred)
    for name, values in (("true", true), ("predicted", pred)):
        if values.ndim != 1:
            raise InputError(f"The {name} labels must be one number per clip, not an array of shape {values.shape}.")
        if values.size and not np.issubdtype(values.dtype, np.integer):
            raise InputError(f"The {name} labels must be whole numbers, not {values.dtype}.")
    if len(true) != len(pred):
        raise InputError(f"There are {len(true)} true labels but {len(pred)} predictions; there must be as many.")
    if not len(true):
        raise InputError("There is nothing to score: no clip was predicted.")
    for name, values in (("true", true), ("predicted", pred)):
        if values.min() < 0 or values.max() >= labels:
            raise InputError(
                f"The {name} labels reach from {values.min()} to {values.max()}; with {labels} labels all must lie "
                f"in 0..{labels - 1}."
            )
    return true.astype(np.intp), pred.astype(np.intp)


def validate_probabilities(y_true: ArrayLike, probabilities: ArrayLike) -> tuple[Ints, Floats]:
    """Check labels and probabilities and return them as integers and float64.

    Parameters
    ----------
    y_true
        Shape (n,), values ``0 .. k-1``.
    probabilities
        Shape (n, k), each in 0..1, each row summing to 1 within 0.001 (what CSV rounding leaves).

    Raises
    ------
    InputError
        If shapes do not fit, a value is not finite or out of range, or a row does not sum to 1.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    if p.ndim != 2 or p.shape[1] < 1:
        raise InputError(
            f"Probabilities must be one row per clip and one column per label, not an array of shape {p.shape}."
        )
    true, _ = validate(y_true, np.zeros(len(p), dtype=np.intp), p.shape[1])
    if not np.isfinite(p).all():
        raise InputError("A probability is not a finite number.")
    if p.min() < -1e-6 or p.max() > 1 + 1e-6:
        raise InputError(f"Probabilities must lie in 0..1, but they reach from {p.min():.4g} to {p.max():.4g}.")
    sums = p.sum(axis=1)
    if np.abs(sums - 1).max() > 1e-3:
        worst = int(np.abs(sums - 1).argmax())
        raise InputError(f"The probabilities of a clip must sum to 1; those of row {worst} sum to {sums[worst]:.4g}.")
    return true, np.clip(p, 0.0, 1.0)


def accuracy(y_true: ArrayLike, y_pred: ArrayLike) -> float:
    """Share of clips whose predicted label is the true one, 0..1."""
    true, pred = validate(y_true, y_pred, np.iinfo(np.intp).max)
    return float(np.mean(true == pred))


def confusion_matrix(y_true: ArrayLike, y_pred: ArrayLike, labels: int) -> NDArray[np.int64]:
    """How many clips of each true label (row) got each predicted label (column).

    Returns
    -------
    numpy.ndarray
        Shape (labels, labels), int64; the sum is the number of clips.
    """
    true, pred = validate(y_true, y_pred, labels)
    return np.bincount(true * labels + pred, minlength=labels * labels).reshape(labels, labels).astype(np.int64)


def divide(numerator: Any, denominator: Any, undefined: float = 0.0) -> Floats:
    """Element-wise quotient with a stated value where the denominator is zero."""
    a, b = np.broadcast_arrays(np.asarray(numerator, dtype=np.float64), np.asarray(denominator, dtype=np.float64))
    result = np.full(a.shape, undefined)
    np.divide(a, b, out=result, where=b != 0)
    return result


def precision_recall_f1(confusion: ArrayLike) -> tuple[Floats, Floats, Floats, Ints]:
    """Precision, recall, F1 and support of each label.

    With a label's hits TP, its clips P (row sum) and the times it was predicted Q (column sum): precision TP/Q,
    recall TP/P, F1 = 2 TP / (P + Q), the harmonic mean of the two (van Rijsbergen, *Information Retrieval*, 1979,
    chapter 7, with equal weights). A quotient of zero by zero counts as 0.

    Parameters
    ----------
    confusion
        Shape (k, k), rows true, columns predicted.

    Returns
    -------
    tuple
        Four arrays of shape (k,): precision, recall, F1 in 0..1, and support (clips with that true label).
    """
    c = np.asarray(confusion, dtype=np.float64)
    hits, support, predicted = np.diagonal(c), c.sum(axis=1), c.sum(axis=0)
    return (
        divide(hits, predicted),
        divide(hits, support),
        divide(2 * hits, support + predicted),
        np.rint(support).astype(np.intp),
    )


def macro_f1(confusion: ArrayLike) -> float:
    """Mean F1 over the labels that occur among the true or the predicted ones, 0..1.

    The mean of the labels' F1 values, not the F1 of their mean precision and recall (the two differ: Opitz and
    Burst, *Macro F1 and Macro F1*, arXiv:1911.03347, who recommend the former).
    """
    c = np.asarray(confusion, dtype=np.float64)
    seen = (c.sum(axis=1) + c.sum(axis=0)) > 0
    f1 = precision_recall_f1(c)[2]
    return float(f1[seen].mean()) if seen.any() else 0.0


def top_k_accuracy(y_true: ArrayLike, probabilities: ArrayLike, k: int) -> float:
    """Share of clips whose true label is among the ``k`` most probable ones, 0..1.

    A tie across the border counts by the chance of drawing the true label from the tied ones, so the result does
    not depend on the order of the labels (and a constant prediction over m labels scores k/m).
    """
    true, p = validate_probabilities(y_true, probabilities)
    own = p[np.arange(len(p)), true][:, None]
    above = (p > own).sum(axis=1)
    tied = (p == own).sum(axis=1)
    return float(np.clip((k - above) / tied, 0.0, 1.0).mean())


def log_loss(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean of ``-ln p(true label)``, in nats, 0 or more (Good, *Rational Decisions*, JRSS B 14, 1952).

    Probabilities below the smallest normal float32 count as that, so one zero does not make the mean infinite.
    """
    true, p = validate_probabilities(y_true, probabilities)
    return float(-np.log(np.maximum(p[np.arange(len(p)), true], SMALLEST_PROBABILITY)).mean())


def brier_score(y_true: ArrayLike, probabilities: ArrayLike) -> float:
    """Mean squared distance between the probabilities and the one-hot truth, 0 (perfect) to 2 (sure and wrong).

    The original definition over all labels (Brier, *Verification of forecasts expressed in terms of probability*,
    Monthly Weather Review 78, 1950), not its half.
    """
    true, p = validate_probabilities(y_true, probabilities)
    own = p[np.arange(len(p)), true]
    return float(((p**2).sum(axis=1) - 2 * own + 1).mean())
