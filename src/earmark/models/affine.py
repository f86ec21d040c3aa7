"""A dense layer's matrix product by oneDNN, where that is faster than what torch would use.

On x86 torch multiplies float32 matrices with Intel's MKL, which on AMD's processors leaves AVX-512 unused. oneDNN,
which torch brings along for its convolutions, uses it. Training the report's head is four fifths matrix products. The
results differ in rounding alone.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor, nn

# What torch.compile puts in a dense layer's place. Its public sibling wants matrices in a layout of their own, and
# copying weights and gradients there and back takes a third of what is gained.
_product = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None

# Below this many products the two take the same time.
_LEAST_PRODUCTS = 1 << 22


def affine(step: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """(n, inputs), (outputs, inputs) and (outputs,) -> (n, outputs), as ``torch.nn.functional.linear`` does it."""
    if _pays(step, weight):
        return cast(Tensor, _OneDNN.apply(step, weight, bias))  # type: ignore[no-untyped-call]
    return nn.functional.linear(step, weight, bias)


def _pays(step: Tensor, weight: Tensor) -> bool:
    return (
        _product is not None
        and step.shape[0] * weight.numel() >= _LEAST_PRODUCTS
        and step.device.type == weight.device.type == "cpu"
        and step.dtype == weight.dtype == torch.float32
        # A graph that is exported must show a plain layer.
        and not torch.jit.is_tracing()  # type: ignore[attr-defined, no-untyped-call]
        and "AVX512" in torch.backends.cpu.get_cpu_capability()
    )


class _OneDNN(torch.autograd.Function):
    """The layer and its derivatives, each product by oneDNN."""

    @staticmethod
    def forward(ctx: Any, step: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        ctx.save_for_backward(step, weight)
        return _times_transposed(step, weight, bias)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        step, weight = ctx.saved_tensors
        of_step, of_weight, of_bias = ctx.needs_input_grad
        return (
            _times_transposed(gradient, weight.t()) if of_step else None,
            _times_transposed(gradient.t(), step.t()) if of_weight else None,
            gradient.sum(0) if of_bias else None,
        )


def _times_transposed(left: Tensor, right: Tensor, bias: Tensor | None = None) -> Tensor:
    """(n, k), (m, k) and perhaps (m,) -> (n, m): ``left @ right.T + bias``."""
    assert _product is not None
    return cast(Tensor, _product(left.contiguous(), right.contiguous(), bias, "none", [], ""))
