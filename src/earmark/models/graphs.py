"""Exported ONNX graphs, made simpler: the same numbers in less time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np


def fold_padding(model: bytes) -> bytes:
    """The same ONNX graph with zeros around pictures laid by the convolutions themselves, not by nodes of their own.

    Between convolutions ONNX Runtime keeps pictures in blocks of channels. A Pad makes it rearrange them twice: in
    MobileNetV2, which pads unevenly before each of its five strided convolutions, that is a quarter of the time.

    Parameters
    ----------
    model
        In which the amounts to pad depend on no input. Others, and what does not pad with zeros, stay as they are.
    """
    import onnx

    whole = onnx.load_model_from_string(model)
    graph = whole.graph
    uses = Counter(name for node in graph.node for name in _taken(node))
    uses.update(output.name for output in graph.output)
    makers = {name: node for node in graph.node for name in node.output}
    for node in graph.node:
        pad = makers.get(node.input[0]) if node.op_type == "Conv" else None
        if pad is None or pad.op_type != "Pad" or uses[pad.output[0]] > 1:
            continue
        amounts = _zeros_around(whole, pad)
        # Of a picture (n, channels, rows, columns): first how much before each axis, then how much behind.
        before, behind = amounts[: len(amounts) // 2], amounts[len(amounts) // 2 :]
        own = next((attribute for attribute in node.attribute if attribute.name == "pads"), None)
        if not amounts or min(amounts) < 0 or any(before[:2] + behind[:2]) or own is None:
            continue
        for place, more in enumerate(before[2:] + behind[2:]):
            own.ints[place] += more
        node.input[0] = pad.input[0]
    _drop_unused(graph)
    onnx.checker.check_model(whole)
    content: bytes = whole.SerializeToString()
    return content


def _zeros_around(model: Any, pad: Any) -> list[int]:
    """How much a Pad node adds; nothing if that is unknown, or it adds anything but zeros."""
    mode = next((attribute.s for attribute in pad.attribute if attribute.name == "mode"), b"constant")
    if mode != b"constant" or any(pad.input[3:]):
        return []
    value = pad.input[2] if len(pad.input) > 2 else ""
    if value and _constant(model, value) != [0]:
        return []
    return [int(amount) for amount in _constant(model, pad.input[1]) or []]


def _constant(model: Any, name: str) -> list[float] | None:
    """The value of what depends on no input of the graph, flat; None for what does."""
    from onnx import TensorProto, helper
    from onnx.reference import ReferenceEvaluator

    nodes, names = _leading_to(model.graph, {name})
    stored = [initializer for initializer in model.graph.initializer if initializer.name in names]
    if names - {given for node in nodes for given in node.output} - {initializer.name for initializer in stored}:
        return None
    output = helper.make_tensor_value_info(name, TensorProto.UNDEFINED, None)
    part = helper.make_model(helper.make_graph(nodes, "constant", [], [output], stored))
    del part.opset_import[:]
    part.opset_import.extend(model.opset_import)
    (value,) = ReferenceEvaluator(part).run(None, {})
    return [float(number) for number in np.ravel(value)]


def _drop_unused(graph: Any) -> None:
    """Leave out what nothing depends on any more."""
    nodes, names = _leading_to(graph, {output.name for output in graph.output})
    stored = [initializer for initializer in graph.initializer if initializer.name in names]
    del graph.node[:], graph.initializer[:]
    graph.node.extend(nodes)
    graph.initializer.extend(stored)


def _leading_to(graph: Any, names: set[str]) -> tuple[list[Any], set[str]]:
    """The nodes that names depend on, in their order, and these names with all that the nodes take."""
    nodes, needed = [], set(names)
    for node in reversed(graph.node):
        if needed.intersection(node.output):
            needed.update(_taken(node))
            nodes.append(node)
    return nodes[::-1], needed


def _taken(node: Any) -> Iterator[str]:
    """What a node takes, and what the graphs inside it (of a condition or a loop) take from around them."""
    yield from filter(None, node.input)
    for attribute in node.attribute:
        for inner in (attribute.g, *attribute.graphs):
            yield from (output.name for output in inner.output)
            for part in inner.node:
                yield from _taken(part)
