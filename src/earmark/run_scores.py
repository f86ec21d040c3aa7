"""Single figures of a run, fold by fold and epoch by epoch."""

from __future__ import annotations

import numpy as np

from earmark.runs import Run


def matching_epochs(split: Run, accuracy_wanted: float) -> int | None:
    """After how many epochs the single split scores about what the claim says; None if that is all or never.

    The first epoch that reaches the wanted accuracy, or the one before it if that is closer.
    """
    curve = split.curves[0, 0].validation_accuracy
    reached = np.flatnonzero(curve >= accuracy_wanted)
    if not len(reached):
        return None
    place = int(reached[0])
    if place and accuracy_wanted - curve[place - 1] < curve[place] - accuracy_wanted:
        place -= 1
    return place + 1 if place + 1 < len(curve) else None


def accuracy(run: Run) -> float:
    """Over all tested clips of a run."""
    assert run.metrics is not None
    return float(run.metrics["accuracy"]["value"])


def fold_accuracies(run: Run) -> tuple[float, ...]:
    """In the order of training."""
    assert run.metrics is not None
    return tuple(float(row["accuracy"]) for row in run.metrics["per_fold"])


def fold_sizes(run: Run) -> tuple[int, ...]:
    """Tested clips of each fold, in the order of training."""
    assert run.metrics is not None
    return tuple(int(row["clips"]) for row in run.metrics["per_fold"])


def best_epochs(run: Run) -> tuple[float, ...]:
    """The highest accuracy that each fold's test clips reached after any epoch."""
    return tuple(float(np.nanmax(run.curves[place].validation_accuracy)) for place in sorted(run.curves))
