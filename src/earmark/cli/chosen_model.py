"""From the options of ``crossval`` and ``train`` to what is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from earmark.learners import Learner
    from earmark.models.config import TrainingConfig


def head_training(
    epochs: int | None, batch_size: int | None, learning_rate: float | None, layer: str | None
) -> TrainingConfig:
    """How a head is trained, from the options that were given.

    Raises
    ------
    InputError
        If a layer was chosen.
    """
    from earmark.errors import InputError
    from earmark.models.config import TrainingConfig

    if layer is not None:
        raise InputError(
            "MobileNetV2 has no layers of one width to choose from; leave --layer out, or give --backbone."
        )
    given = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    return TrainingConfig(**{name: value for name, value in given.items() if value is not None})  # type: ignore[arg-type]


def tuned_network(
    model: str,
    epochs: int | None,
    batch_size: int | None,
    learning_rate: float | None,
    layer: str | None,
    backbone: str | None,
    kind: str,
) -> Learner:
    """A fine-tuned MobileNetV2 by name, from the options that were given.

    Raises
    ------
    InputError
        If a layer was chosen, or an option makes no sense.
    """
    from earmark.errors import InputError
    from earmark.fused_learner import make_tuned

    if layer is not None:
        raise InputError("A fine-tuned MobileNetV2 has no layers to choose from; leave --layer out.")
    return make_tuned(
        model, epochs=epochs, batch_size=batch_size, learning_rate=learning_rate, backbone=backbone, kind=kind
    )
