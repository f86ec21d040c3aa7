"""The fine-tuned network with a support vector machine on musical features beside it, as one learner.

What each hears in a spectrogram differs enough that together they err less: see ``docs/study.md``. Both are trained
on the same clips; their log-probabilities are added with fixed weights. Imports no torch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.features import SPECTROGRAM
from earmark.learners import Features, FitOptions, Targets, options_for_part
from earmark.metrics import log_softmax
from earmark.models.convnet_config import FineTuneConfig
from earmark.tuned_learner import FineTuneLearner, FittedMembers
from earmark.varied_machine import VARIED, FittedMachine, VariedMachine

WEIGHTS = (1.0, 0.4)
"""Of the network's and the machine's log-probabilities, chosen by ``scripts/make_study.py`` on inner clips."""


@dataclass(frozen=True)
class FusedLearner:
    """See the module.

    Parameters
    ----------
    network
        The fine-tuned network.
    machine
        The classifier of musical features.
    weights
        Of the log-probabilities of each.
    feature
        What both learn from: the dataset's spectrograms, uint8 (n, bins, columns).
    """

    network: FineTuneLearner = field(default_factory=FineTuneLearner)
    machine: VariedMachine = field(default_factory=VariedMachine)
    weights: tuple[float, float] = WEIGHTS
    feature: str = SPECTROGRAM

    @property
    def name(self) -> str:
        """Both names."""
        return f"{self.network.name}+musical"

    def describe(self) -> dict[str, Any]:
        """All settings that decide the numbers."""
        return {
            "name": self.name, "feature": self.feature, "network": self.network.describe(),
            "machine": self.machine.describe(), "weights": list(self.weights),
        }  # fmt: skip

    def expected_initial_weights(self, features: Features, labels: int, seed: int) -> str:
        """Those of the network; the machine has none."""
        return self.network.expected_initial_weights(features, labels, seed)

    def fit(
        self,
        features: Features,
        targets: Targets,
        labels: int,
        **how: Unpack[FitOptions],
    ) -> FittedFusion:
        """Train both on the same clips."""
        network = self.network.fit(features, targets, labels, **options_for_part(how, "network"))
        machine = self.machine.fit(features, targets, labels, seed=how["seed"])
        return FittedFusion(network, machine, self.weights)

    def quick(self) -> FusedLearner:
        """With a quick network."""
        return replace(self, network=self.network.quick())


@dataclass(frozen=True)
class FittedFusion:
    """Both, trained."""

    network: FittedMembers
    machine: FittedMachine
    weights: tuple[float, float]

    @property
    def initial_weights(self) -> str:
        """Of the network."""
        return self.network.initial_weights

    @property
    def final_weights(self) -> str:
        """Of both."""
        return hashlib.sha256(f"{self.network.final_weights}{self.machine.final_weights}".encode()).hexdigest()

    @property
    def curves(self) -> Sequence[Any]:
        """Of the network."""
        return self.network.curves

    def outputs(self, spectrograms: NDArray[np.uint8]) -> tuple[NDArray[np.float64], NDArray[np.float32]]:
        """uint8 (n, bins, columns) -> fused logits (n, labels), the network's embeddings (n, d)."""
        own, embeddings = self.network.outputs(spectrograms)
        other = self.machine.log_probabilities(spectrograms)
        return fused_logits(own, other, self.weights), embeddings

    def log_probabilities(self, features: Features) -> NDArray[np.float64]:
        """uint8 (n, bins, columns) -> (n, labels) logarithms of probabilities."""
        return log_softmax(self.outputs(features)[0])


def fused_logits(
    network: NDArray[np.floating], machine: NDArray[np.floating], weights: tuple[float, float]
) -> NDArray[np.float64]:
    """Both models' log-probabilities (n, labels), weighted and added."""
    own, other = weights
    return own * np.asarray(network, np.float64) + other * np.asarray(machine, np.float64)


TUNED_GRU, FUSED = "tuned-gru", "tuned-gru+musical"


def tuned_names() -> tuple[str, ...]:
    """All names that :func:`make_tuned` knows."""
    return (TUNED_GRU, FUSED, VARIED)


def make_tuned(
    name: str,
    *,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    backbone: str | None = None,
    kind: str = "mel",
) -> FineTuneLearner | FusedLearner | VariedMachine:
    """A model that learns from spectrograms by name, with its usual settings where none are given.

    Parameters
    ----------
    name
        ``"tuned-gru"``, ``"tuned-gru+musical"`` with the machine beside it, or ``"musical-svm-varied"``, the machine
        alone.
    epochs, batch_size, learning_rate
        See :class:`earmark.models.convnet_config.FineTuneConfig`.
    backbone
        Where MobileNetV2's weights are.
    kind
        Of the front end; the machine needs ``"mel"``.

    Raises
    ------
    InputError
        If there is no such model, or a setting makes no sense.
    """
    if name not in tuned_names():
        raise InputError(f"There is no fine-tuned model called {name!r}; there are: {', '.join(tuned_names())}.")
    if name != TUNED_GRU and kind != "mel":
        raise InputError(f"The model {name} learns from mel spectrograms; use --kind mel, or --model {TUNED_GRU}.")
    if name == VARIED:
        return VariedMachine()
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    training = FineTuneConfig(**{key: value for key, value in given.items() if value is not None})  # type: ignore[arg-type]
    network = FineTuneLearner(training=training, backbone=backbone)
    return FusedLearner(network) if name == FUSED else network
