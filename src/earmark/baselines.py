"""Baselines in the box, so that a figure has something to be compared with.

Each is a scikit-learn pipeline: scaling and everything else is fitted on the training clips alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark import features as feature_names
from earmark.errors import MissingExtraError
from earmark.metrics import softmax
from earmark.musical_features import family_scale
from earmark.progress import Progress, silent

Features = NDArray[Any]
Targets = NDArray[np.int64]
# A nearest neighbour gives most genres no vote at all; a floor keeps the log loss finite.
_FLOOR = 1e-3
# What was learnt is named by the answers to this many training clips.
_PROBES = 64
# Standard deviations beyond which a value says nothing more.
_CUT = 5.0


@dataclass(frozen=True)
class Baseline:
    """A classic method on fixed features.

    Parameters
    ----------
    name
        ``mfcc-svm``, ``mel-logistic``, ``musical-svm``, ``majority`` or ``nearest``.
    feature
        The dataset's features it learns from.
    """

    name: str
    feature: str

    def describe(self) -> dict[str, Any]:
        """All settings."""
        return {"name": self.name, "feature": self.feature, **_SETTINGS[self.name]}

    def expected_initial_weights(self, features: Features, labels: int, seed: int) -> str:
        """Classic methods have no weights to begin from."""
        return ""

    def quick(self) -> Baseline:
        """The same: it is quick already."""
        return replace(self)

    def fit(
        self,
        features: Features,
        targets: Targets,
        labels: int,
        *,
        seed: int,
        validation: tuple[Features, Targets] | None = None,
        checkpoint: Path | None = None,
        device: str = "cpu",
        start_from: Any = None,
        progress: Progress = silent,
    ) -> FittedBaseline:
        """Fit the pipeline."""
        pipeline = _pipeline(self.name, seed)
        pipeline.fit(np.asarray(features, dtype=np.float64), targets)
        fitted = FittedBaseline(pipeline, labels)
        answers = fitted.log_probabilities(features[:_PROBES])
        return replace(fitted, final_weights=hashlib.sha256(answers.tobytes()).hexdigest())


@dataclass(frozen=True)
class FittedBaseline:
    """A fitted pipeline."""

    pipeline: Any
    labels: int
    final_weights: str = ""
    initial_weights: str = ""
    curves: Sequence[Any] = ()

    def log_probabilities(self, features: Features) -> NDArray[np.float64]:
        """(n, d) features -> (n, labels) logarithms of probabilities."""
        found = _probabilities(self.pipeline, np.asarray(features, dtype=np.float64))
        probabilities = np.full((len(features), self.labels), _FLOOR)
        # Classes that the training clips lack have no column in scikit-learn's answer.
        probabilities[:, self.pipeline.classes_] += found
        result: NDArray[np.float64] = np.log(probabilities / probabilities.sum(axis=1, keepdims=True))
        return result


def _probabilities(pipeline: Any, features: NDArray[np.float64]) -> NDArray[np.float64]:
    """The method's own probabilities; for a support vector machine, softmax of its one-vs-rest decision values.

    The library's own probabilities for it (Platt's scaling) cross-validate at random, across artists. The softmax has
    nothing to fit, keeps the machine's decision, and leaves calibration to the temperature.
    """
    if hasattr(pipeline, "predict_proba"):
        found: NDArray[np.float64] = pipeline.predict_proba(features)
        return found
    decision = pipeline.decision_function(features)
    if decision.ndim == 1:
        decision = np.stack([-decision, decision], axis=1)
    return softmax(decision)


_SETTINGS: dict[str, dict[str, Any]] = {
    "mfcc-svm": {"kernel": "rbf", "C": 10.0, "gamma": "scale", "probabilities": "softmax of the decision function"},
    "mel-logistic": {"C": 0.1, "max_iter": 2000},
    # On inner validation clips of training sides, C from 10 to 100 and gamma from 0.1 to 0.5 are within 0.4 points.
    "musical-svm": {
        "kernel": "rbf",
        "C": 10.0,
        "gamma": 0.25,
        "scale": "standardised, cut at 5, every family of features with the same weight",
        "probabilities": "softmax of the decision function",
    },
    "majority": {},
    "nearest": {"neighbours": 1, "distance": "cosine"},
}
BASELINES = {
    "mfcc-svm": Baseline("mfcc-svm", feature_names.MFCC),
    "mel-logistic": Baseline("mel-logistic", feature_names.MEL),
    "musical-svm": Baseline("musical-svm", feature_names.MUSICAL),
    "majority": Baseline("majority", feature_names.MFCC),
    "nearest": Baseline("nearest", feature_names.BACKBONE),
}


def _weigh_families(standardised: NDArray[np.float64]) -> NDArray[np.float64]:
    weighted: NDArray[np.float64] = np.clip(standardised, -_CUT, _CUT) * family_scale()
    return weighted


def _pipeline(name: str, seed: int) -> Any:
    try:
        from sklearn.dummy import DummyClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.neighbors import KNeighborsClassifier
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer, StandardScaler
        from sklearn.svm import SVC
    except ImportError as error:
        raise MissingExtraError("The baselines", "train") from error
    settings = _SETTINGS[name]
    if name == "mfcc-svm":
        return make_pipeline(StandardScaler(), SVC(C=settings["C"], gamma=settings["gamma"], random_state=seed))
    if name == "musical-svm":
        return make_pipeline(
            StandardScaler(),
            FunctionTransformer(_weigh_families),
            SVC(C=settings["C"], gamma=settings["gamma"], random_state=seed),
        )
    if name == "mel-logistic":
        return make_pipeline(
            StandardScaler(), LogisticRegression(C=settings["C"], max_iter=settings["max_iter"], random_state=seed)
        )
    if name == "nearest":
        return make_pipeline(KNeighborsClassifier(settings["neighbours"], metric=settings["distance"]))
    return make_pipeline(DummyClassifier(strategy="prior", random_state=seed))
