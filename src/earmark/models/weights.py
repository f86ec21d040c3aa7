"""Naming a set of weights, so that two models can be told apart or shown to be the same."""

from __future__ import annotations

import hashlib

from torch import nn


def weights_hash(module: nn.Module) -> str:
    """SHA-256 over names, shapes and values of all weights: equal exactly when the weights are."""
    digest = hashlib.sha256()
    for name, value in sorted(module.state_dict().items()):
        digest.update(f"{name}{tuple(value.shape)}".encode())
        digest.update(value.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
