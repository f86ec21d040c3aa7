"""What a network is made of, as plain data: it travels in runs and bundles."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from earmark.errors import InputError

Architecture = Literal["tl-cnn", "tl-cnn-gru"]
ARCHITECTURES: tuple[str, ...] = get_args(Architecture)


@dataclass(frozen=True)
class HeadConfig:
    """What follows the frozen, pooled backbone.

    Parameters
    ----------
    architecture
        ``"tl-cnn"``: pooled features straight into the dense layer. ``"tl-cnn-gru"``: the report's section 3.1, with
        a reshape to a sequence of length one, a bidirectional GRU and a flatten in between.
    units
        GRU units per direction; the report's 512.
    """

    architecture: Architecture = "tl-cnn-gru"
    units: int = 512

    def __post_init__(self) -> None:
        if self.architecture not in ARCHITECTURES:
            known = ", ".join(ARCHITECTURES)
            raise InputError(f"There is no model called {self.architecture!r}; known models: {known}.")
        if self.units < 1:
            raise InputError(f"A GRU needs at least one unit, not {self.units}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)


@dataclass(frozen=True)
class TrainingConfig:
    """How a head is trained. The report gives the epochs; the rest, which it leaves open, is stated here.

    Parameters
    ----------
    epochs
        Passes over the training clips; the report's 100. The weights after the last one are kept: nothing is chosen
        by looking at a validation or test clip.
    batch_size, learning_rate, weight_decay
        For Adam with its usual moments (Kingma and Ba, 2015: 0.9 and 0.999). 0.001 is the default of Keras, with
        which the report's layer table was printed.
    """

    epochs: int = 100
    batch_size: int = 128
    learning_rate: float = 1e-3
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        if self.epochs < 1:
            raise InputError(f"Training needs at least one epoch, not {self.epochs}.")
        if self.batch_size < 1:
            raise InputError(f"A batch needs at least one clip, not {self.batch_size}.")
        if not self.learning_rate > 0:
            raise InputError(f"The learning rate must be above 0, not {self.learning_rate}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)
