"""Storing an ONNX graph's weights in half the space."""

from __future__ import annotations

from typing import Any

import numpy as np

# Smaller arrays (biases, shapes) are left alone: they weigh nothing and some nodes want them as constants.
_SMALLEST = 1024
# Fewer values than this to one scale would save little.
_SHORTEST_ROW = 16


def quarter_weights(model: bytes) -> bytes:
    """The same ONNX graph with its large float32 weights stored as int8, one scale per row or output channel.

    Weights are multiplied back to float32 once, when ONNX Runtime loads the graph: computing is as precise and as
    fast as before, only the weights are rounded, each to 1/254 of the range of its row. Kernels of depthwise
    convolutions (one input channel, few values per scale) are stored as float16.
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph_file = onnx.load_model_from_string(model)
    graph = graph_file.graph
    added: list[Any] = []
    stored: list[Any] = []
    for initializer in graph.initializer:
        values = numpy_helper.to_array(initializer)
        if initializer.data_type != TensorProto.FLOAT or values.size < _SMALLEST:
            stored.append(initializer)
            continue
        name = initializer.name
        rows = values.reshape(values.shape[0], -1)
        if values.ndim < 2 or rows.shape[1] < _SHORTEST_ROW:
            stored.append(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            added.append(
                helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=TensorProto.FLOAT)
            )
            continue
        scale = np.maximum(np.abs(rows).max(axis=1), np.finfo(np.float32).tiny) / 127
        levels = np.rint(rows / scale[:, None]).astype(np.int8).reshape(values.shape)
        shape = (-1,) + (1,) * (values.ndim - 1)
        stored.append(numpy_helper.from_array(levels, f"{name}.levels"))
        stored.append(numpy_helper.from_array(scale.reshape(shape).astype(np.float32), f"{name}.scale"))
        added.append(helper.make_node("Cast", [f"{name}.levels"], [f"{name}.cast"], to=TensorProto.FLOAT))
        added.append(helper.make_node("Mul", [f"{name}.cast", f"{name}.scale"], [name]))
    nodes = [*added, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    del graph.initializer[:]
    graph.initializer.extend(stored)
    onnx.checker.check_model(graph_file)
    content: bytes = graph_file.SerializeToString()
    return content


def halve_weights(model: bytes) -> bytes:
    """The same ONNX graph with its large float32 weights stored as float16.

    Each is followed by a cast back to float32, which ONNX Runtime does once, when it loads the graph: computing is
    as precise and as fast as before, only the weights are rounded to 11 bits.

    Raises
    ------
    OverflowError
        If a weight does not fit into float16 (beyond 65504).
    """
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    graph_file = onnx.load_model_from_string(model)
    graph = graph_file.graph
    casts: list[Any] = []
    for number, initializer in enumerate(graph.initializer):
        if initializer.data_type != TensorProto.FLOAT:
            continue
        values = numpy_helper.to_array(initializer)
        if values.size < _SMALLEST:
            continue
        if float(np.abs(values).max()) > float(np.finfo(np.float16).max):
            raise OverflowError(f"The weights {initializer.name} do not fit into 16 bits.")
        name = initializer.name
        stored = numpy_helper.from_array(values.astype(np.float16), f"{name}.half")
        graph.initializer[number].CopyFrom(stored)
        casts.append(helper.make_node("Cast", [f"{name}.half"], [name], name=f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *graph.node]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.checker.check_model(graph_file)
    content: bytes = graph_file.SerializeToString()
    return content
