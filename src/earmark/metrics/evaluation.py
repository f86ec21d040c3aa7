"""Every score of a set of predictions in one JSON-ready dictionary: what ``metrics.json`` of a run holds."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from earmark.errors import InputError
from earmark.metrics import calibration, selective
from earmark.metrics.clips import per_clip, suspects
from earmark.metrics.intervals import LEVEL, RESAMPLES, bootstrap_scores, number, wilson
from earmark.metrics.scores import (
    Floats,
    Ints,
    accuracy,
    brier_score,
    confusion_matrix,
    log_loss,
    macro_f1,
    precision_recall_f1,
    top_k_accuracy,
    validate,
    validate_probabilities,
)

FORMAT = 1

TOP_K = (2, 3, 5)
COVERAGES = (0.5, 0.7, 0.8, 0.9)
PRECISIONS = (0.8, 0.9, 0.95)
POINTS = 101


def evaluate(
    labels: Sequence[str],
    y_true: ArrayLike,
    probabilities: ArrayLike,
    groups: Sequence[str] | None = None,
    *,
    predicted: ArrayLike | None = None,
    clips: Sequence[str] | None = None,
    repeats: Sequence[Hashable] | None = None,
    folds: Sequence[Hashable] | None = None,
    seed: int = 0,
    resamples: int = RESAMPLES,
) -> dict[str, Any]:
    """All scores of a set of predictions.

    Parameters
    ----------
    labels
        Names of the k labels, in the order of the columns.
    y_true
        Shape (n,), one row per prediction, values ``0 .. k-1``.
    probabilities
        Shape (n, k), rows sum to 1.
    groups
        Each row's group, the unit of the bootstrap; None: each clip stands alone.
    predicted
        Shape (n,): the decision, where it is not the most probable label (a support vector machine's).
    clips
        Each row's clip; needed with several repeats, where a clip has several rows.
    repeats, folds
        Which repeat and fold each row was tested in; None: there is one.
    seed, resamples
        Of the bootstrap.

    Returns
    -------
    dict
        JSON-ready; keys ``format, predictions, clips, groups, repeats, labels, interval, accuracy, macro_f1``
        (each ``{value, low, high, level}``, means over repeats), ``wilson, spread, per_repeat, per_fold, top_k,
        log_loss, brier, calibration, coverage, per_label, confusion, suspects``.

    Raises
    ------
    InputError
        If the arrays do not fit together, or repeats come without clips.
    """
    true, p = validate_probabilities(y_true, probabilities)
    k, n = len(labels), len(true)
    if p.shape[1] != k:
        raise InputError(f"There are {k} labels but probabilities for {p.shape[1]}.")
    pred = p.argmax(axis=1) if predicted is None else validate(true, predicted, k)[1]
    if repeats is not None and clips is None and len(set(repeats)) > 1:
        raise InputError(
            "With several repeats the clip of each prediction must be given, or clips would count twice."
        )
    for name, given in (("groups", groups), ("clips", clips), ("repeats", repeats), ("folds", folds)):
        if given is not None and len(given) != n:
            raise InputError(f"There are {n} predictions but {len(given)} {name}.")
    names = list(clips) if clips is not None else [str(i) for i in range(n)]
    repeat_of: list[Hashable] = list(repeats) if repeats is not None else [0] * n
    units = list(groups) if groups is not None else names
    confidence = p[np.arange(n), pred]
    correct = pred == true
    matrix = confusion_matrix(true, pred, k)
    boot = bootstrap_scores(true, pred, k, units, repeats=repeat_of, seed=seed, resamples=resamples)
    by_repeat = _per_repeat(true, pred, repeat_of, k)
    joint = per_clip(names, true, p, pred)
    return {
        "format": FORMAT,
        "predictions": n,
        "clips": len(joint.clips),
        "groups": boot.groups,
        "repeats": len(by_repeat),
        "labels": list(labels),
        "interval": {
            "method": "percentile bootstrap",
            "unit": "group" if groups is not None else "clip",
            "level": LEVEL,
            "resamples": resamples,
            "seed": seed,
        },
        "accuracy": boot.accuracy.to_dict(),
        "macro_f1": boot.macro_f1.to_dict(),
        "wilson": wilson(boot.accuracy.value * len(joint.clips), len(joint.clips)).to_dict(),
        "spread": {key: _spread([row[key] for row in by_repeat]) for key in ("accuracy", "macro_f1")},
        "per_repeat": by_repeat,
        "per_fold": _per_fold(true, pred, repeat_of, folds, k) if folds is not None else [],
        "top_k": {str(top): top_k_accuracy(true, p, top) for top in TOP_K if top < k},
        "log_loss": log_loss(true, p),
        "brier": brier_score(true, p),
        "calibration": _calibration(confidence, correct, p, true),
        "coverage": _coverage(confidence, correct),
        "per_label": _per_label(labels, matrix, boot.precision, boot.recall, boot.f1),
        "confusion": matrix.tolist(),
        "suspects": [
            {
                "clip": item.clip,
                "label": labels[item.label],
                "suggested": labels[item.suggested],
                "confidence": item.confidence,
                "own": item.own,
                "times": item.times,
            }
            for item in suspects(joint)
        ],
    }


def _spread(values: list[float]) -> float | None:
    """Sample standard deviation over repeats; None where there is only one."""
    return float(np.std(values, ddof=1)) if len(values) > 1 else None


def _per_repeat(true: Ints, pred: Ints, repeat_of: list[Hashable], k: int) -> list[dict[str, Any]]:
    index = number(repeat_of)
    rows = []
    for place, name in enumerate(dict.fromkeys(repeat_of)):
        inside = index == place
        rows.append(
            {
                "repeat": name,
                "clips": int(inside.sum()),
                "accuracy": accuracy(true[inside], pred[inside]),
                "macro_f1": macro_f1(confusion_matrix(true[inside], pred[inside], k)),
            }
        )
    return rows


def _per_fold(
    true: Ints, pred: Ints, repeat_of: list[Hashable], fold_of: Sequence[Hashable], k: int
) -> list[dict[str, Any]]:
    both = list(zip(repeat_of, fold_of, strict=True))
    index = number(both)
    rows = []
    for place, (repeat, fold) in enumerate(dict.fromkeys(both)):
        inside = index == place
        right = int((true[inside] == pred[inside]).sum())
        clips = int(inside.sum())
        rows.append(
            {
                "repeat": repeat,
                "fold": fold,
                "clips": clips,
                "accuracy": right / clips,
                "macro_f1": macro_f1(confusion_matrix(true[inside], pred[inside], k)),
            }
        )
    return rows


def _calibration(confidence: Floats, correct: Any, p: Floats, true: Ints) -> dict[str, Any]:
    logits = calibration.log_probabilities(p)
    temperature = calibration.fit_temperature(logits, true)
    cooled = calibration.apply_temperature(logits, temperature)
    return {
        "ece_equal_width": calibration.expected_calibration_error(confidence, correct),
        "ece_equal_mass": calibration.expected_calibration_error(confidence, correct, by="mass"),
        "mean_confidence": float(confidence.mean()),
        "reliability": [item.to_dict() for item in calibration.reliability(confidence, correct, 10)],
        # What a temperature fitted to these very predictions would have been: a diagnosis, never a score.
        "best_temperature": temperature,
        "log_loss_at_best": log_loss(true, cooled),
    }


def _coverage(confidence: Floats, correct: Any) -> dict[str, Any]:
    curve = selective.risk_coverage(confidence, correct)
    picks = np.unique(np.linspace(0, len(curve.coverage) - 1, min(POINTS, len(curve.coverage))).round().astype(int))
    wanted = {}
    for precision in PRECISIONS:
        found = selective.threshold_for_precision(confidence, correct, precision)
        wanted[str(precision)] = (
            None
            if found is None
            else {"confidence": found.confidence, "coverage": found.coverage, "accuracy": found.accuracy}
        )
    return {
        "aurc": selective.aurc(confidence, correct),
        "excess_aurc": selective.excess_aurc(confidence, correct),
        "curve": [[float(curve.coverage[i]), float(curve.accuracy[i]), float(curve.confidence[i])] for i in picks],
        "accuracy_at": {
            str(share): selective.accuracy_at_coverage(confidence, correct, share) for share in COVERAGES
        },
        "for_precision": wanted,
    }


def _per_label(labels: Sequence[str], matrix: Any, *scores: Any) -> list[dict[str, Any]]:
    """Per label: counts over all predictions, and precision, recall and F1 as means over repeats."""
    support = precision_recall_f1(matrix)[3]
    rows = []
    for i, label in enumerate(labels):
        row: dict[str, Any] = {"label": label, "support": int(support[i]), "predicted": int(matrix[:, i].sum())}
        for name, values in zip(("precision", "recall", "f1"), scores, strict=True):
            row[name] = values[i].to_dict()
        rows.append(row)
    return rows
