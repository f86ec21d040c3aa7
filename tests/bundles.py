"""A small but real bundle for tests: the real front end, and an ONNX graph that tells low from high sounds."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from earmark.bundle import Bundle, Card, save_bundle
from earmark.spectrogram import MEL, FrontEnd

LABELS = ("bass", "hiss", "middle", "treble")
BANDS = 16


def tiny_bundle(
    path: Path,
    *,
    name: str = "tiny",
    labels: tuple[str, ...] = LABELS,
    front_end: FrontEnd = MEL,
    unsure_below: float = 0.5,
) -> Bundle:
    """Write a bundle whose genres are where in the spectrogram the energy lies.

    The embedding is the mean level of 16 bands of mel bins; the logits are linear in it. A low, a middle and a high
    tone are ``bass``, ``middle`` and ``treble``; noise, which is everywhere, is ``hiss``.
    """
    bins, columns = front_end.shape
    bands = np.repeat(np.eye(BANDS, dtype=np.float32), bins // BANDS, axis=0) / (bins // BANDS)
    weights, bias = _weights()
    nodes = [
        helper.make_node("Cast", ["spectrogram"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["levels"], ["bins"], axes=[2], keepdims=0),
        helper.make_node("MatMul", ["bins", "bands"], ["sums"]),
        helper.make_node("Div", ["sums", "scale"], ["embedding"]),
        helper.make_node("MatMul", ["embedding", "weights"], ["products"]),
        helper.make_node("Add", ["products", "bias"], ["logits"]),
    ]
    constants = {
        "bands": bands,
        "scale": np.array(255, np.float32),
        "weights": weights[:, : len(labels)],
        "bias": bias[: len(labels)],
    }
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("spectrogram", TensorProto.UINT8, ["n", bins, columns])],
        [
            helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", len(labels)]),
            helper.make_tensor_value_info("embedding", TensorProto.FLOAT, ["n", BANDS]),
        ],
        [numpy_helper.from_array(np.ascontiguousarray(value), key) for key, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    card = Card(
        name=name,
        labels=labels,
        front_end=front_end.to_dict(),
        unsure_below=unsure_below,
        embedding_size=BANDS,
        licence="None needed: it was made for tests.",
    )
    return save_bundle(path, card, model.SerializeToString())


def _weights() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """(16, 4) and (4,): each tonal genre likes its part of the bands and dislikes the others; hiss likes all."""
    thirds = np.digitize(np.arange(BANDS), [3, 9])  # below 600 Hz, below 2.7 kHz, above
    weights = np.ones((BANDS, 4), np.float32)
    for part, column in enumerate((0, 2, 3)):
        mine = thirds == part
        weights[:, column] = np.where(mine, 24 / mine.sum(), -24 / (~mine).sum())
    return weights, np.array([0, -4, 0, 0], np.float32)
