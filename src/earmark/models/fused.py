"""Networks and the support vector machine beside them as one torch module, from which a fused bundle is exported."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import TYPE_CHECKING, cast

import numpy as np
import torch
from torch import Tensor, nn

from earmark.duels import CUT, FLOOR
from earmark.musical_features import family_scale

if TYPE_CHECKING:
    from earmark.baselines import FittedBaseline
    from earmark.models.convnet import ConvNet


class SupportVectors(nn.Module):
    """The ``musical-svm`` of :mod:`earmark.baselines`, from musical features to log-probabilities.

    Parameters
    ----------
    fitted
        Trained; every label among its training clips.
    """

    mean: Tensor
    scale: Tensor
    families: Tensor
    vectors: Tensor
    coefficients: Tensor
    intercepts: Tensor
    sides: Tensor

    def __init__(self, fitted: FittedBaseline) -> None:
        super().__init__()
        scaler, machine = fitted.pipeline[0], fitted.pipeline[-1]
        labels = len(machine.classes_)
        if labels != fitted.labels:
            raise ValueError("A label without training clips has no machine.")
        self.cut, self.floor, self.gamma, self.sharpness = CUT, FLOOR, float(machine.gamma), fitted.sharpness
        pairs = list(combinations(range(labels), 2))
        bounds = np.concatenate([[0], np.cumsum(machine.n_support_)])
        coefficients = np.zeros((len(machine.support_vectors_), len(pairs)))
        sides = np.zeros((2 * len(pairs), labels))
        for column, (first, second) in enumerate(pairs):
            # libsvm keeps, for a vector of one class, its coefficients against the others in their order.
            for own, other in ((first, second), (second, first)):
                rows = slice(bounds[own], bounds[own + 1])
                coefficients[rows, column] = machine.dual_coef_[other - (other > own), rows]
            sides[column, first] = sides[len(pairs) + column, second] = 1.0
        for name, values in (
            ("mean", scaler.mean_), ("scale", scaler.scale_), ("families", family_scale()),
            ("vectors", machine.support_vectors_), ("coefficients", coefficients),
            ("intercepts", machine.intercept_), ("sides", sides),
        ):  # fmt: skip
            self.register_buffer(name, torch.from_numpy(np.asarray(values, np.float32)))

    def forward(self, musical: Tensor) -> Tensor:
        """(n, features) -> (n, labels) log-probabilities."""
        rows = ((musical - self.mean) / self.scale).clamp(-self.cut, self.cut) * self.families
        squares = (rows * rows).sum(dim=1, keepdim=True) + (self.vectors * self.vectors).sum(dim=1)
        kernel = torch.exp(-self.gamma * (squares - 2.0 * rows @ self.vectors.T).clamp_min(0.0))
        margins = self.sharpness * (kernel @ self.coefficients + self.intercepts)
        # Logarithm of the logistic function, for the first and then for the second of each pair.
        chances = -nn.functional.softplus(torch.cat([-margins, margins], dim=1))
        probabilities = torch.softmax(chances @ self.sides, dim=1) + self.floor
        return torch.log(probabilities / probabilities.sum(dim=1, keepdim=True))


class Members(nn.Module):
    """Networks on the same spectrogram: log-probabilities averaged, embeddings side by side."""

    def __init__(self, networks: Sequence[ConvNet]) -> None:
        super().__init__()
        self.networks = nn.ModuleList(networks)
        self.embedding_size = sum(network.head.embedding_size for network in networks)

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (n, bins, columns) -> log-probabilities (n, labels), embedding (n, embedding_size)."""
        found = [cast(tuple[Tensor, Tensor], network(spectrogram)) for network in self.networks]
        mean = torch.stack([torch.log_softmax(logits, dim=1) for logits, _ in found]).mean(dim=0)
        return torch.log_softmax(mean, dim=1), torch.cat([embedding for _, embedding in found], dim=1)


class FusedNetwork(nn.Module):
    """Spectrogram and its musical features to fused logits and the networks' embedding.

    Parameters
    ----------
    members, machine
        What is fused.
    weights
        Of the members' and of the machine's log-probabilities.
    """

    def __init__(self, members: Members, machine: SupportVectors, weights: tuple[float, float]) -> None:
        super().__init__()
        self.members, self.machine, self.weights = members, machine, weights

    def forward(self, spectrogram: Tensor, musical: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (n, bins, columns), float32 (n, features) -> logits (n, labels), embedding (n, embedding_size)."""
        found, embedding = self.members(spectrogram)
        own, other = self.weights
        return own * found + other * self.machine(musical), embedding
