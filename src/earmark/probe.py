"""A head on the vectors of any frozen backbone. Imports no torch.

The vectors of one network are a hundred times larger than those of another, and some of their values far larger than
the rest; so each is first brought to mean 0 and deviation 1, by what the training clips show.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from earmark.learners import Features, FitOptions, Fitted, HeadLearner, Targets, options_for_part

# A value that varies less than this among the training clips is shifted, not scaled.
_LEAST_DEVIATION = 1e-6


@dataclass(frozen=True)
class FittedProbe:
    """A trained head, and what is done to the vectors before it.

    Parameters
    ----------
    fitted
        What the head's own learner gave.
    mean, deviation
        float32 (d,) each: the head sees ``(x - mean) / deviation``.
    """

    fitted: Any
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    @property
    def initial_weights(self) -> str:
        """Of the head."""
        return str(self.fitted.initial_weights)

    @property
    def final_weights(self) -> str:
        """Hash of the head, the mean and the deviation."""
        parts = str(self.fitted.final_weights).encode() + self.mean.tobytes() + self.deviation.tobytes()
        return hashlib.sha256(parts).hexdigest()

    @property
    def curves(self) -> Sequence[Any]:
        """Of the head's training."""
        return list(self.fitted.curves)

    def log_probabilities(self, features: Features) -> NDArray[np.float64]:
        """(n, d) features -> (n, labels) logarithms of probabilities."""
        found: NDArray[np.float64] = self.fitted.log_probabilities(_scaled(features, self.mean, self.deviation))
        return found


@dataclass(frozen=True)
class ProbeLearner:
    """One of the report's heads on scaled vectors of a frozen backbone.

    Parameters
    ----------
    inner
        The head, how it is trained, and the name of the features.
    backbone
        :meth:`earmark.models.encoder.Encoder.describe`, for the record.
    front_end
        Of a backbone that hears; None: the dataset's own.
    """

    inner: HeadLearner
    backbone: Mapping[str, Any] = field(default_factory=dict)
    front_end: Mapping[str, Any] | None = None

    @property
    def name(self) -> str:
        """Features and architecture."""
        return f"{self.feature}+{self.inner.name}"

    @property
    def feature(self) -> str:
        """Which of the dataset's features it takes."""
        return self.inner.feature

    def describe(self) -> dict[str, Any]:
        """All settings."""
        return {
            **self.inner.describe(), "name": self.name, "scaled": "by the training clips",
            "backbone": dict(self.backbone), "front_end": self.front_end,
        }  # fmt: skip

    def expected_initial_weights(self, features: Features, labels: int, seed: int) -> str:
        """The hash of a fresh head."""
        return self.inner.expected_initial_weights(features, labels, seed)

    def fit(
        self,
        features: Features,
        targets: Targets,
        labels: int,
        **how: Unpack[FitOptions],
    ) -> Fitted:
        """Find mean and deviation of the training clips, then train the head."""
        mean = features.mean(axis=0, dtype=np.float64).astype(np.float32)
        spread = features.std(axis=0, dtype=np.float64).astype(np.float32)
        deviation = np.where(spread < _LEAST_DEVIATION, np.float32(1), spread)
        how = options_for_part(how, "fitted")
        if (validation := how.get("validation")) is not None:
            how["validation"] = (_scaled(validation[0], mean, deviation), validation[1])
        fitted = self.inner.fit(_scaled(features, mean, deviation), targets, labels, **how)
        return FittedProbe(fitted, mean, deviation)

    def quick(self) -> ProbeLearner:
        """The same with about a fifth of the work."""
        return replace(self, inner=self.inner.quick())


def _scaled(features: Features, mean: NDArray[np.float32], deviation: NDArray[np.float32]) -> NDArray[np.float32]:
    scaled: NDArray[np.float32] = ((features - mean) / deviation).astype(np.float32)
    return scaled
