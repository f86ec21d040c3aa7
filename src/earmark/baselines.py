"""Baselines in the box, so that a figure has something to be compared with.

Each is a scikit-learn pipeline: scaling and everything else is fitted on the training clips alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from earmark import features as feature_names
from earmark.duels import CUT, FLOOR, duels_to_probabilities
from earmark.errors import MissingExtraError
from earmark.learners import Features, FitOptions, Targets
from earmark.metrics import softmax
from earmark.musical_features import family_scale

# What was learnt is named by the answers to this many training clips.
_PROBES = 64


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
        **how: Unpack[FitOptions],
    ) -> FittedBaseline:
        """Fit the pipeline."""
        pipeline = _pipeline(self.name, how["seed"])
        pipeline.fit(np.asarray(features, dtype=np.float64), targets)
        settings = _SETTINGS[self.name]
        fitted = FittedBaseline(
            pipeline, labels, vote=settings.get("vote", True), sharpness=settings.get("sharpness", 1.0)
        )
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
    vote: bool = True
    sharpness: float = 1.0

    def log_probabilities(self, features: Features) -> NDArray[np.float64]:
        """(n, d) features -> (n, labels) logarithms of probabilities."""
        found = _probabilities(self.pipeline, np.asarray(features, dtype=np.float64), self.vote, self.sharpness)
        probabilities = np.full((len(features), self.labels), FLOOR)
        # Classes that the training clips lack have no column in scikit-learn's answer.
        probabilities[:, self.pipeline.classes_] += found
        result: NDArray[np.float64] = np.log(probabilities / probabilities.sum(axis=1, keepdims=True))
        return result


def _probabilities(pipeline: Any, features: NDArray[np.float64], vote: bool, sharpness: float) -> NDArray[np.float64]:
    """The method's own probabilities; for a support vector machine, see :func:`duels_to_probabilities`."""
    if hasattr(pipeline, "predict_proba"):
        found: NDArray[np.float64] = pipeline.predict_proba(features)
        return found
    decision = pipeline.decision_function(features)
    # Of two genres scikit-learn gives one column, with the other sign.
    duels = sharpness * (-decision[:, None] if decision.ndim == 1 else decision)
    return duels_to_probabilities(duels, len(pipeline.classes_), vote=vote)


class _Nearest:
    """The genre of the nearest clip by cosine; how much nearer than the nearest of each other genre is how sure."""

    def __init__(self, sharpness: float) -> None:
        self._sharpness = sharpness

    def fit(self, features: NDArray[np.float64], targets: Targets) -> _Nearest:
        self.classes_ = np.unique(targets)
        self._known = [_unit(features[targets == label]) for label in self.classes_]
        return self

    def predict_proba(self, features: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = _unit(features)
        nearest = np.stack([(rows @ known.T).max(axis=1) for known in self._known], axis=1)
        return softmax(self._sharpness * nearest)


def _unit(features: NDArray[np.float64]) -> NDArray[np.float64]:
    length: NDArray[np.float64] = np.linalg.norm(features, axis=1, keepdims=True)
    return features / np.maximum(length, np.finfo(np.float64).tiny)


_SETTINGS: dict[str, dict[str, Any]] = {
    "mfcc-svm": {"kernel": "rbf", "C": 10.0, "gamma": "scale", "probabilities": "pairwise duels"},
    "mel-logistic": {"C": 0.1, "max_iter": 2000},
    # On inner validation clips of training sides, C from 10 to 100 and gamma from 0.1 to 0.5 are within 0.4 points.
    "musical-svm": {
        "kernel": "rbf",
        "C": 10.0,
        "gamma": 0.25,
        "scale": "standardised, cut at 5, every family of features with the same weight",
        "probabilities": "pairwise duels",
        "vote": False,
        # Chosen with the weights of earmark.fused_learner, on the same inner clips: 2 to 6 do alike.
        "sharpness": 4.0,
    },
    "majority": {},
    "nearest": {"neighbours": 1, "similarity": "cosine", "sharpness": 80.0},
}
BASELINES = {
    "mfcc-svm": Baseline("mfcc-svm", feature_names.MFCC),
    "mel-logistic": Baseline("mel-logistic", feature_names.MEL),
    "musical-svm": Baseline("musical-svm", feature_names.MUSICAL),
    "majority": Baseline("majority", feature_names.MFCC),
    "nearest": Baseline("nearest", feature_names.BACKBONE),
}


def _weigh_families(standardised: NDArray[np.float64]) -> NDArray[np.float64]:
    weighted: NDArray[np.float64] = np.clip(standardised, -CUT, CUT) * family_scale()
    return weighted


def _pipeline(name: str, seed: int) -> Any:
    try:
        from sklearn.dummy import DummyClassifier
        from sklearn.linear_model import LogisticRegression
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import FunctionTransformer, StandardScaler
        from sklearn.svm import SVC
    except ImportError as error:
        raise MissingExtraError("The baselines", "train") from error
    settings = _SETTINGS[name]
    if name == "mfcc-svm":
        return make_pipeline(
            StandardScaler(),
            SVC(C=settings["C"], gamma=settings["gamma"], decision_function_shape="ovo", random_state=seed),
        )
    if name == "musical-svm":
        return make_pipeline(
            StandardScaler(),
            FunctionTransformer(_weigh_families),
            SVC(C=settings["C"], gamma=settings["gamma"], decision_function_shape="ovo", random_state=seed),
        )
    if name == "mel-logistic":
        return make_pipeline(
            StandardScaler(), LogisticRegression(C=settings["C"], max_iter=settings["max_iter"], random_state=seed)
        )
    if name == "nearest":
        return _Nearest(settings["sharpness"])
    return make_pipeline(DummyClassifier(strategy="prior", random_state=seed))
