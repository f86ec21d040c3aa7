"""Scores, intervals, paired tests and calibration: arrays in, numbers out, NumPy only.

Each topic has its module and its own checks of what it is given; this package brings their names together.
"""

from earmark.metrics.calibration import (
    Bin,
    apply_temperature,
    expected_calibration_error,
    fit_temperature,
    log_probabilities,
    log_softmax,
    reliability,
    softmax,
)
from earmark.metrics.clips import ClipScores, GroupScore, Suspect, per_clip, per_group, suspects, worst
from earmark.metrics.evaluation import evaluate
from earmark.metrics.intervals import Interval, Scores, Sums, bootstrap_scores, draws, percentiles, wilson
from earmark.metrics.paired import Differences, SignTest, holm, mcnemar, paired_bootstrap, sign_test, sums_by_group
from earmark.metrics.scores import (
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
from earmark.metrics.selective import (
    Curve,
    Threshold,
    accuracy_at_coverage,
    aurc,
    excess_aurc,
    risk_coverage,
    threshold_for_precision,
)

__all__ = [
    "Bin",
    "ClipScores",
    "Curve",
    "Differences",
    "GroupScore",
    "Interval",
    "Scores",
    "SignTest",
    "Sums",
    "Suspect",
    "Threshold",
    "accuracy",
    "accuracy_at_coverage",
    "apply_temperature",
    "aurc",
    "bootstrap_scores",
    "brier_score",
    "confusion_matrix",
    "draws",
    "evaluate",
    "excess_aurc",
    "expected_calibration_error",
    "fit_temperature",
    "holm",
    "log_loss",
    "log_probabilities",
    "log_softmax",
    "macro_f1",
    "mcnemar",
    "paired_bootstrap",
    "per_clip",
    "per_group",
    "percentiles",
    "precision_recall_f1",
    "reliability",
    "risk_coverage",
    "sign_test",
    "softmax",
    "sums_by_group",
    "suspects",
    "threshold_for_precision",
    "top_k_accuracy",
    "validate",
    "validate_probabilities",
    "wilson",
    "worst",
]
