"""From trained models to the graphs of bundles: each kind of model has its own way."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.fused_learner import FusedLearner
from earmark.learners import Learner
from earmark.tuned_learner import FineTuneLearner
from earmark.varied_machine import VariedMachine

if TYPE_CHECKING:
    from earmark.tuned_learner import FittedMembers


@dataclass(frozen=True)
class Exported:
    """A trained model, ready for a bundle.

    Parameters
    ----------
    model
        The ONNX graph (see :class:`earmark.bundle.Bundle`).
    embedding_size
        Length of its embedding.
    embed
        From the learner's features (n, ...) to embeddings (n, embedding_size).
    """

    model: bytes
    embedding_size: int
    embed: Callable[[NDArray[Any]], NDArray[np.floating]]


Export = Callable[[Any], Exported]
"""From what ``learner.fit`` gave to the graph of a bundle."""


def export_of(learner: Learner, backbone: Any, bins: int, columns: int) -> Export:
    """How a learner's models become graphs.

    Parameters
    ----------
    learner
        A head, a fine-tuned network, or one with a machine beside it.
    backbone
        :class:`earmark.models.backbone.Backbone`, the one that a head's features were computed with.
    bins, columns
        Size of the spectrogram.

    Raises
    ------
    InputError
        If the learner has no embedding, which a bundle must give.
    """
    if isinstance(learner, VariedMachine):
        raise InputError(
            f"The model {learner.name} alone has no embedding, so there is no bundle of it; train tuned-gru+musical."
        )
    if isinstance(learner, FusedLearner):
        return fused_export(bins, columns)
    if isinstance(learner, FineTuneLearner):
        return tuned_export(bins, columns)
    return head_export(backbone, bins, columns)


def head_export(backbone: Any, bins: int, columns: int) -> Export:
    """The export of a head on a frozen backbone (:class:`earmark.learners.HeadLearner`), weights in 16 bits."""
    from earmark.models.export import export_network
    from earmark.models.network import Draw, Network, Pooled
    from earmark.models.storage import halve_weights

    def export(fitted: Any) -> Exported:
        network = Network(Pooled(Draw(bins, columns), backbone), fitted.head).eval()
        # Half the size; the rounding moves probabilities by less than a thousandth.
        graph = halve_weights(export_network(network, bins, columns))
        return Exported(graph, fitted.head.embedding_size, fitted.embeddings)

    return export


def tuned_export(bins: int, columns: int) -> Export:
    """The export of fine-tuned networks (:class:`earmark.tuned_learner.FineTuneLearner`), weights in 8 bits."""
    from earmark.models.export import export_network
    from earmark.models.fused import Members
    from earmark.models.storage import quarter_weights

    def export(fitted: FittedMembers) -> Exported:
        network = Members(_folded(fitted)).eval()
        graph = quarter_weights(export_network(network, bins, columns))
        return Exported(graph, network.embedding_size, lambda features: fitted.outputs(features)[1])

    return export


def fused_export(bins: int, columns: int) -> Export:
    """The export of networks with a machine beside them (:class:`earmark.fused_learner.FusedLearner`), in 8 bits."""
    from earmark.models.export import export_fused
    from earmark.models.fused import FusedNetwork, Members, SupportVectors
    from earmark.models.storage import quarter_weights

    def export(fitted: Any) -> Exported:
        members = Members(_folded(fitted.network))
        network = FusedNetwork(members, SupportVectors(fitted.machine.machine), fitted.weights).eval()
        graph = quarter_weights(export_fused(network, bins, columns))
        return Exported(graph, members.embedding_size, lambda features: fitted.outputs(features)[1])

    return export


def _folded(fitted: FittedMembers) -> list[Any]:
    return [copy.deepcopy(member.network).fold() for member in fitted.members]
