"""Whether a confidence of 0.8 means right in 8 cases of 10, and how to make it so."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from earmark.errors import InputError
from earmark.metrics.scores import SMALLEST_PROBABILITY, Floats, Ints, validate

Binning = Literal["width", "mass"]

TEMPERATURES = (0.01, 100.0)


@dataclass(frozen=True)
class Bin:
    """Predictions of like confidence, taken together.

    Parameters
    ----------
    low, high
        Between which confidences, 0..1.
    count
        How many predictions.
    confidence, accuracy
        Their mean confidence and the share of them that is right, 0..1.
    """

    low: float
    high: float
    count: int
    confidence: float
    accuracy: float

    def to_dict(self) -> dict[str, float | int]:
        """The bin as a JSON object."""
        return asdict(self)


def _checked(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    c, r = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if c.ndim != 1 or c.shape != r.shape or not c.size:
        raise InputError("Calibration needs one confidence and one right-or-wrong per clip, and at least one clip.")
    if not np.isfinite(c).all() or c.min() < -1e-6 or c.max() > 1 + 1e-6:
        raise InputError("Confidences must be finite and lie in 0..1.")
    return np.clip(c, 0.0, 1.0), r


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 15, by: Binning = "width") -> list[Bin]:
    """Group predictions by confidence, for the reliability diagram.

    Equal width is the diagram of Guo, Pleiss, Sun and Weinberger (*On Calibration of Modern Neural Networks*, ICML
    2017, with 15 bins); equal mass puts as many predictions in each bin, as Nguyen and O'Connor (*Posterior
    calibration and exploratory analysis*, EMNLP 2015) do, so that no bin is nearly empty.

    Parameters
    ----------
    confidence
        Shape (n,), probability of the predicted label, 0..1.
    correct
        Shape (n,), whether the prediction was right.
    bins
        How many; empty ones are left out. With ``by="mass"`` clips of the same confidence stay together.

    Returns
    -------
    list of Bin
        By rising confidence.
    """
    c, r = _checked(confidence, correct)
    if by == "width":
        place = np.clip(np.ceil(c * bins).astype(np.intp) - 1, 0, bins - 1)
        edges = np.arange(bins + 1) / bins
    else:
        # Ranks by value, not by position: equal confidences must not be torn apart by the order of the clips.
        ordered = np.sort(c)
        middle = (np.searchsorted(ordered, c, "left") + np.searchsorted(ordered, c, "right") - 1) / 2
        place = np.clip((middle * bins / len(c)).astype(np.intp), 0, bins - 1)
        edges = np.array([])
    found = []
    for index in range(bins):
        inside = place == index
        if not inside.any():
            continue
        low, high = (edges[index], edges[index + 1]) if by == "width" else (c[inside].min(), c[inside].max())
        found.append(
            Bin(float(low), float(high), int(inside.sum()), float(c[inside].mean()), float(r[inside].mean()))
        )
    return found


def expected_calibration_error(
    confidence: ArrayLike, correct: ArrayLike, bins: int = 15, by: Binning = "width"
) -> float:
    """Mean distance between confidence and accuracy over the bins, weighted by their size, 0..1.

    Naeini, Cooper and Hauskrecht, *Obtaining Well Calibrated Probabilities Using Bayesian Binning*, AAAI 2015.
    It is biased upwards on few clips: of n clips in b bins, chance alone leaves about ``sqrt(b / n) * 0.3``.
    """
    found = reliability(confidence, correct, bins, by)
    total = sum(item.count for item in found)
    return sum(item.count * abs(item.accuracy - item.confidence) for item in found) / total


def softmax(logits: ArrayLike) -> Floats:
    """Logits, shape (..., k), to probabilities of the same shape that sum to 1 along the last axis."""
    z = np.asarray(logits, dtype=np.float64)
    z = np.exp(z - z.max(axis=-1, keepdims=True))
    return np.asarray(z / z.sum(axis=-1, keepdims=True))


def log_softmax(logits: ArrayLike) -> Floats:
    """Logits, shape (..., k), to the logarithms of :func:`softmax`, without rounding small ones to zero."""
    z = np.asarray(logits, dtype=np.float64)
    z = z - z.max(axis=-1, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=-1, keepdims=True)))


def log_probabilities(probabilities: ArrayLike) -> Floats:
    """Natural logarithm with zeros held at the smallest normal float32: logits for :func:`fit_temperature`."""
    return np.log(np.maximum(np.asarray(probabilities, dtype=np.float64), SMALLEST_PROBABILITY))


def apply_temperature(logits: ArrayLike, temperature: float) -> Floats:
    """Probabilities ``softmax(logits / temperature)``; the most probable label stays the same.

    Parameters
    ----------
    logits
        Shape (n, k): logits or log-probabilities (they differ by a constant per row, which softmax forgets).
    temperature
        Above 0. Over 1 makes the model less sure, under 1 surer.
    """
    if not temperature > 0:
        raise InputError(f"A temperature must be above zero, not {temperature}.")
    return softmax(np.asarray(logits, dtype=np.float64) / temperature)


def fit_temperature(logits: ArrayLike, y_true: ArrayLike) -> float:
    """The temperature that makes the log loss of ``softmax(logits / T)`` smallest (Guo et al., ICML 2017).

    In ``b = 1 / T`` the log loss is convex: its slope is ``mean(E_p[z] - z_true)`` and its curvature the mean
    variance of the logits under p. Newton steps on b are kept inside a bracket that always shrinks.

    Parameters
    ----------
    logits
        Shape (n, k), logits or log-probabilities of clips that the model was not trained on.
    y_true
        Shape (n,), their labels.

    Returns
    -------
    float
        In 0.01..100. The ends are reached where the data sets no bound: every clip right (0.01), or a model no
        better than chance (100).
    """
    z = np.asarray(logits, dtype=np.float64)
    if z.ndim != 2 or not np.isfinite(z).all():
        raise InputError("A temperature is fitted to finite logits, one row per clip and one column per label.")
    true: Ints
    true, _ = validate(y_true, np.zeros(len(z), dtype=np.intp), z.shape[1])
    z = z - z.max(axis=1, keepdims=True)
    own = z[np.arange(len(z)), true].mean()

    def slope_and_curvature(b: float) -> tuple[float, float]:
        p = softmax(z * b)
        mean = (p * z).sum(axis=1)
        return float(mean.mean() - own), float(((p * z**2).sum(axis=1) - mean**2).mean())

    low, high = 1 / TEMPERATURES[1], 1 / TEMPERATURES[0]
    if slope_and_curvature(low)[0] >= 0:
        return TEMPERATURES[1]
    if slope_and_curvature(high)[0] <= 0:
        return TEMPERATURES[0]
    b = 1.0
    for _ in range(100):
        slope, curvature = slope_and_curvature(b)
        if slope > 0:
            high = b
        else:
            low = b
        step = b - slope / curvature if curvature > 0 else low
        # Outside the bracket Newton is lost; the geometric middle halves the search on a scale of factors.
        new = step if low < step < high else float(np.sqrt(low * high))
        if abs(new - b) <= 1e-12 * b:
            break
        b = new
    return 1 / b
