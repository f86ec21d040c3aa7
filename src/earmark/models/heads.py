"""Heads: from pooled backbone features to genre logits, as in the report's section 3.1."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from earmark.models.affine import affine
from earmark.models.config import HeadConfig


class BidirectionalGRU(nn.Module):
    """A bidirectional GRU that spends no work on the recurrence when the sequence has length one.

    At length one the previous state is zero, so of the hidden-to-hidden part only its bias is left and each gate is
    one affine map of the input (Cho et al., 2014, in the variant with the reset gate behind the matrix product, as
    Keras' ``reset_after`` and PyTorch compute it)::

        r = sigmoid(W_r x + b_r + c_r)      z = sigmoid(W_z x + b_z + c_z)
        n = tanh(W_n x + b_n + r * c_n)     h = (1 - z) * n

    The hidden-to-hidden weights are there, as in the report's table, but take no part and get no gradient.

    Parameters
    ----------
    inputs
        Features per step.
    units
        State size per direction.
    """

    def __init__(self, inputs: int, units: int) -> None:
        super().__init__()
        self.units = units
        self.gru = nn.GRU(inputs, units, batch_first=True, bidirectional=True)
        # As Keras, which made the report's model, begins: Glorot for the inputs, orthogonal for the state, no bias.
        for name, parameter in self.gru.named_parameters():
            for gate in parameter.chunk(3):
                if name.startswith("weight_ih"):
                    # Keras holds the three gates in one matrix, so its fan-out counts all of them.
                    bound = (6.0 / (inputs + 3 * units)) ** 0.5
                    nn.init.uniform_(gate, -bound, bound)
                elif name.startswith("weight_hh"):
                    nn.init.orthogonal_(gate)
                else:
                    nn.init.zeros_(gate)

    def forward(self, sequence: Tensor) -> Tensor:
        """(n, steps, inputs) -> (n, steps, 2 * units): both directions side by side."""
        if sequence.shape[1] != 1:
            return cast(Tensor, self.gru(sequence)[0])
        step = sequence[:, 0]
        states = [self._single_step(step, suffix) for suffix in ("", "_reverse")]
        return torch.cat(states, dim=1)[:, None]

    def _single_step(self, step: Tensor, suffix: str) -> Tensor:
        weight = getattr(self.gru, f"weight_ih_l0{suffix}")
        bias = getattr(self.gru, f"bias_ih_l0{suffix}")
        carry = getattr(self.gru, f"bias_hh_l0{suffix}")
        reset, update, new = affine(step, weight, bias).chunk(3, dim=1)
        carry_reset, carry_update, carry_new = carry.chunk(3)
        reset = torch.sigmoid(reset + carry_reset)
        update = torch.sigmoid(update + carry_update)
        new = torch.tanh(new + reset * carry_new)
        return (1 - update) * new


class Head(nn.Module):
    """What follows the pooled backbone features.

    Parameters
    ----------
    config
        Which head.
    features
        Size of a pooled feature vector (1280 for MobileNetV2).
    labels
        Number of genres.
    """

    def __init__(self, config: HeadConfig, features: int, labels: int) -> None:
        super().__init__()
        self.config = config
        self.gru: BidirectionalGRU | None = None
        width = features
        if config.architecture == "tl-cnn-gru":
            self.gru = BidirectionalGRU(features, config.units)
            width = 2 * config.units
        self.embedding_size = width
        self.dense = nn.Linear(width, labels)
        nn.init.xavier_uniform_(self.dense.weight)
        nn.init.zeros_(self.dense.bias)

    def embed(self, pooled: Tensor) -> Tensor:
        """(n, features) -> (n, embedding_size): the vector before the dense layer."""
        if self.gru is None:
            return pooled
        return cast(Tensor, self.gru(pooled[:, None])).flatten(1)

    def forward(self, pooled: Tensor) -> Tensor:
        """(n, features) -> (n, labels) logits."""
        return cast(Tensor, self.dense(self.embed(pooled)))


def new_head(config: HeadConfig, features: int, labels: int, seed: int) -> Head:
    """A freshly initialised head; the same seed gives the same weights, whatever torch was asked before."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Head(config, features, labels)
