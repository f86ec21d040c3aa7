"""What cross-validation can train: one small interface over heads and baselines.

A learner is plain data (it travels to worker processes and into the run); ``fit`` gives something that predicts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Protocol, Required, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from earmark.models.config import HeadConfig, TrainingConfig
from earmark.progress import Progress

Features = NDArray[Any]
Targets = NDArray[np.int64]
EPOCH_COLUMNS = ("epoch", "train_loss", "train_accuracy", "validation_loss", "validation_accuracy")


class FitOptions(TypedDict, total=False):
    """How to learn, beside what from: the keywords of :meth:`Learner.fit`.

    Attributes
    ----------
    seed
        Of everything that is drawn.
    validation
        Clips whose loss goes into the curves; nothing is chosen by them.
    checkpoint
        A file to resume from, for methods that take long.
    device
        ``cpu`` (where it is not given), ``cuda`` or ``mps``.
    start_from
        What an earlier ``fit`` gave, to train on from there: the mistake that the leak experiments make on purpose.
        Methods that cannot ignore it.
    progress
        Called after each step.
    """

    seed: Required[int]
    validation: tuple[Features, Targets] | None
    checkpoint: Path | None
    device: str
    start_from: Any
    progress: Progress


def options_for_part(how: FitOptions, part: str) -> FitOptions:
    """The same for a part of a model: if there is a model to start from, that part of it."""
    whole = how.get("start_from")
    return {**how, "start_from": None if whole is None else getattr(whole, part)}


class Fitted(Protocol):
    """A trained model."""

    @property
    def initial_weights(self) -> str:
        """SHA-256 of the weights training began from; empty where a method has none."""

    @property
    def final_weights(self) -> str:
        """A name for what was learnt, equal for equal models."""

    @property
    def curves(self) -> Sequence[Any]:
        """Rows with the attributes of :data:`EPOCH_COLUMNS`; empty for methods without epochs."""

    def log_probabilities(self, features: Features) -> NDArray[np.float64]:
        """(n, ...) features -> (n, labels) logarithms of probabilities."""


class Learner(Protocol):
    """A way to learn genres from one kind of features."""

    @property
    def name(self) -> str:
        """Short and unique: ``tl-cnn-gru``, ``mfcc-svm``."""

    @property
    def feature(self) -> str:
        """Which of the dataset's features it takes."""

    def describe(self) -> dict[str, Any]:
        """All settings, for the run's record."""

    def expected_initial_weights(self, features: Features, labels: int, seed: int) -> str:
        """What :attr:`Fitted.initial_weights` must be for a fresh model with this seed."""

    def fit(
        self,
        features: Features,
        targets: Targets,
        labels: int,
        **how: Unpack[FitOptions],
    ) -> Fitted:
        """Learn from (n, ...) features and (n,) label numbers; for the keywords see :class:`FitOptions`."""

    def quick(self) -> Learner:
        """The same with about a fifth of the work, for the leak tests."""


@dataclass(frozen=True)
class HeadLearner:
    """One of the report's heads on pooled backbone features.

    Parameters
    ----------
    head, training
        The architecture and how it is trained.
    feature
        The dataset's features to train on.
    """

    head: HeadConfig = field(default_factory=HeadConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)
    feature: str = "mobilenet_v2"

    @property
    def name(self) -> str:
        """The architecture."""
        return self.head.architecture

    def describe(self) -> dict[str, Any]:
        """All settings."""
        return {"name": self.name, "feature": self.feature, **asdict(self.head), **asdict(self.training)}

    def expected_initial_weights(self, features: Features, labels: int, seed: int) -> str:
        """The hash of a fresh head."""
        from earmark.models.heads import new_head
        from earmark.models.weights import weights_hash

        return weights_hash(new_head(self.head, features.shape[1], labels, seed))

    def fit(
        self,
        features: Features,
        targets: Targets,
        labels: int,
        **how: Unpack[FitOptions],
    ) -> Fitted:
        """Train the head; see :func:`earmark.training.fit_head`."""
        from earmark.training import fit_head

        return fit_head(
            self.head,
            self.training,
            np.ascontiguousarray(features, dtype=np.float32),
            targets,
            labels,
            **options_for_part(how, "head"),
        )

    def quick(self) -> HeadLearner:
        """A fifth of the epochs, at least ten."""
        epochs = min(self.training.epochs, max(10, self.training.epochs // 5))
        return replace(self, training=replace(self.training, epochs=epochs))


def _baseline(name: str) -> Callable[[TrainingConfig], Learner]:
    def make(training: TrainingConfig) -> Learner:
        from earmark.baselines import BASELINES

        return BASELINES[name]

    return make


def learner_names() -> tuple[str, ...]:
    """All names that :func:`make_learner` knows."""
    return tuple(_MAKERS)


def make_learner(name: str, training: TrainingConfig | None = None) -> Learner:
    """A learner by name, with its usual settings.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    from earmark.errors import InputError

    if name not in _MAKERS:
        raise InputError(
            f"There is no model called {name!r}. Choose one of: {', '.join(_MAKERS)}; or, where there are "
            "spectrograms, tuned-gru, tuned-gru+musical or musical-svm-varied."
        )
    return _MAKERS[name](training or TrainingConfig())


_MAKERS: dict[str, Callable[[TrainingConfig], Learner]] = {
    "tl-cnn": lambda training: HeadLearner(HeadConfig("tl-cnn"), training),
    "tl-cnn-gru": lambda training: HeadLearner(HeadConfig("tl-cnn-gru"), training),
    **{name: _baseline(name) for name in ("mfcc-svm", "mel-logistic", "musical-svm", "nearest", "majority")},
}
