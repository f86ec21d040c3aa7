"""The report's networks: the layer table, the GRU at length one, the exported graph."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime as ort
import pytest
import torch
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper
from transformers import MobileNetV2Config, MobileNetV2Model

from earmark.drawing import draw
from earmark.errors import InputError
from earmark.models.affine import _OneDNN, _product, affine
from earmark.models.backbone import Backbone, load_backbone
from earmark.models.config import HeadConfig, TrainingConfig
from earmark.models.export import export_network
from earmark.models.graphs import fold_padding
from earmark.models.heads import BidirectionalGRU, new_head
from earmark.models.network import Draw, Network, Pooled
from earmark.models.storage import halve_weights
from earmark.models.summary import summarise
from earmark.models.weights import weights_hash
from earmark.spectrogram import MEL


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    torch.manual_seed(0)
    return Backbone(MobileNetV2Model(MobileNetV2Config(tf_padding=True)), "random weights").freeze()


def test_layer_table_is_the_reports(backbone: Backbone) -> None:
    found = summarise(backbone, new_head(HeadConfig("tl-cnn-gru"), 1280, 10, seed=0))
    assert [(layer.name, layer.kind, layer.shape, layer.values) for layer in found.layers] == [
        ("input_2", "InputLayer", (256, 256, 3), 0),
        ("mobilenetv2_1.00_224", "Functional", (8, 8, 1280), 2_257_984),
        ("global_average_pooling2d", "GlobalAveragePooling2D", (1280,), 0),
        ("reshape", "Reshape", (1, 1280), 0),
        ("bidirectional", "Bidirectional", (1, 1024), 5_511_168),
        ("flatten", "Flatten", (1024,), 0),
        ("dense", "Dense", (10,), 10_250),
    ]
    assert (found.total, found.trainable, found.frozen) == (7_779_402, 5_521_418, 2_257_984)


def test_without_the_gru_its_three_rows_are_gone(backbone: Backbone) -> None:
    found = summarise(backbone, new_head(HeadConfig("tl-cnn"), 1280, 10, seed=0))
    assert [layer.name for layer in found.layers][-2:] == ["global_average_pooling2d", "dense"]
    assert found.trainable == 1280 * 10 + 10


def test_length_one_equals_the_full_recurrence() -> None:
    torch.manual_seed(1)
    gru = BidirectionalGRU(24, 7).double()
    for parameter in gru.parameters():
        torch.nn.init.normal_(parameter)
    one = torch.randn(5, 1, 24, dtype=torch.float64)
    torch.testing.assert_close(gru(one), gru.gru(one)[0], rtol=1e-12, atol=1e-12)
    several = torch.randn(5, 4, 24, dtype=torch.float64)
    torch.testing.assert_close(gru(several), gru.gru(several)[0])


def test_hidden_weights_get_no_gradient_at_length_one() -> None:
    head = new_head(HeadConfig("tl-cnn-gru"), 1280, 10, seed=0)
    head(torch.randn(3, 1280)).sum().backward()
    idle = {name for name, value in head.named_parameters() if value.grad is None}
    assert idle == {"gru.gru.weight_hh_l0", "gru.gru.weight_hh_l0_reverse"}
    assert sum(dict(head.named_parameters())[name].numel() for name in idle) == 1_572_864


@pytest.mark.skipif(_product is None, reason="this torch was built without oneDNN")
def test_products_by_onednn_differ_in_rounding_alone() -> None:
    torch.manual_seed(2)
    exact = [torch.randn(shape, dtype=torch.float64, requires_grad=True) for shape in ((33, 70), (50, 70), (50,))]
    given = [value.detach().float().requires_grad_() for value in exact]
    weights = torch.randn(33, 50, dtype=torch.float64)
    for function, values in ((torch.nn.functional.linear, exact), (_OneDNN.apply, given)):
        (function(*values) * weights).sum().backward()
    torch.testing.assert_close(
        _OneDNN.apply(*given).double(), torch.nn.functional.linear(*exact), rtol=1e-4, atol=1e-4
    )
    for ours, value in zip(given, exact, strict=True):
        assert ours.grad is not None
        torch.testing.assert_close(ours.grad.double(), value.grad, rtol=1e-4, atol=1e-4)


def test_a_small_layer_is_torchs_own() -> None:
    step, weight, bias = torch.randn(5, 7), torch.randn(3, 7), torch.randn(3)
    assert torch.equal(affine(step, weight, bias), torch.nn.functional.linear(step, weight, bias))


def test_a_seed_decides_the_first_weights() -> None:
    config = HeadConfig("tl-cnn-gru", units=8)
    torch.manual_seed(123)
    first = weights_hash(new_head(config, 16, 3, seed=5))
    torch.rand(17)
    assert weights_hash(new_head(config, 16, 3, seed=5)) == first
    assert weights_hash(new_head(config, 16, 3, seed=6)) != first


def test_drawing_in_the_network_is_the_drawing_one_looks_at() -> None:
    levels = np.random.default_rng(0).integers(0, 256, (128, 387), dtype=np.uint8)
    inside = Draw(128, 387)(torch.from_numpy(levels)[None])[0].permute(1, 2, 0).numpy()
    outside = draw(levels).astype(np.float32) / 127.5 - 1
    assert inside.shape == (256, 256, 3)
    # The picture is rounded to whole colours on the way.
    assert np.abs(inside - outside).max() <= 2.01 / 127.5


@pytest.mark.parametrize("architecture", ["tl-cnn", "tl-cnn-gru"])
def test_torch_and_onnx_agree(backbone: Backbone, architecture: str) -> None:
    head = new_head(HeadConfig(architecture), 1280, 4, seed=0)  # type: ignore[arg-type]
    network = Network(Pooled(Draw(*MEL.shape), backbone), head).eval()
    pictures = np.random.default_rng(1).integers(0, 256, (3, *MEL.shape), dtype=np.uint8)
    with torch.no_grad():
        logits, embedding = (part.numpy() for part in network(torch.from_numpy(pictures)))
    model = export_network(network, *MEL.shape)
    session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
    found = session.run(["logits", "embedding"], {"spectrogram": pictures})
    np.testing.assert_allclose(found[0], logits, atol=1e-4)
    np.testing.assert_allclose(found[1], embedding, atol=1e-4)
    halved = halve_weights(model)
    assert len(halved) < 0.6 * len(model)
    rounded = ort.InferenceSession(halved, providers=["CPUExecutionProvider"]).run(
        ["logits"], {"spectrogram": pictures}
    )
    np.testing.assert_allclose(rounded[0], logits, atol=2e-2 * max(1.0, float(np.abs(logits).max())))


def padded(
    amounts: list[int] | None, *, mode: str = "constant", value: float | None = None, also: bool = False
) -> bytes:
    """A Pad before a strided convolution that pads by itself, too; without amounts they are an input of the graph."""
    kernel = np.random.default_rng(3).normal(size=(5, 3, 3, 3)).astype(np.float32)
    stored = [numpy_helper.from_array(kernel, "kernel")]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3, 11, 14])]
    if amounts is None:
        inputs.append(helper.make_tensor_value_info("amounts", TensorProto.INT64, [8]))
    else:
        # As torch writes them: not a number that is stored, but one that is worked out.
        stored.append(numpy_helper.from_array(np.array(amounts[::-1], np.int64), "backwards"))
        stored += [numpy_helper.from_array(np.array([number], np.int64), f"{number}") for number in (7, -9, 0, -1)]
    if value is not None:
        stored.append(numpy_helper.from_array(np.array(value, np.float32), "value"))
    nodes = [helper.make_node("Slice", ["backwards", "7", "-9", "0", "-1"], ["amounts"])] if amounts else []
    nodes += [
        helper.make_node("Pad", ["x", "amounts", *(["value"] if value is not None else [])], ["wide"], mode=mode),
        helper.make_node("Conv", ["wide", "kernel"], ["seen"], strides=[2, 2], pads=[1, 0, 0, 2]),
    ]
    outputs = [helper.make_tensor_value_info("seen", TensorProto.FLOAT, ["n", 5, "y", "x"])]
    if also:
        outputs.append(helper.make_tensor_value_info("wide", TensorProto.FLOAT, ["n", 3, "y", "x"]))
    graph = helper.make_graph(nodes, "g", inputs, outputs, stored)
    whole = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return bytes(whole.SerializeToString())


def run_graph(model: bytes, **fed: NDArray[np.generic]) -> list[NDArray[np.float32]]:
    return list(ort.InferenceSession(model, providers=["CPUExecutionProvider"]).run(None, fed))


@pytest.mark.parametrize("value", [None, 0.0])
@pytest.mark.parametrize("amounts", [[0, 0, 0, 1, 0, 0, 1, 0], [0, 0, 2, 3, 0, 0, 0, 1]])
def test_padding_goes_into_the_convolution(amounts: list[int], value: float | None) -> None:
    model = padded(amounts, value=value)
    folded = fold_padding(model)
    assert [node.op_type for node in onnx.load_model_from_string(folded).graph.node] == ["Conv"]
    pictures = np.random.default_rng(4).normal(size=(2, 3, 11, 14)).astype(np.float32)
    np.testing.assert_allclose(run_graph(folded, x=pictures)[0], run_graph(model, x=pictures)[0], atol=1e-5)
    assert fold_padding(folded) == folded


@pytest.mark.parametrize(
    "model",
    [
        padded([0, 0, 1, 1, 0, 0, 1, 1], mode="reflect"),
        padded([0, 0, 1, 1, 0, 0, 1, 1], value=1.0),
        padded([0, 0, -1, 0, 0, 0, 1, 0]),
        padded([0, 0, 1, 1, 0, 0, 1, 1], also=True),
        padded(None),
    ],
    ids=["no zeros", "ones", "less than nothing", "needed elsewhere too", "nobody knows how much"],
)
def test_other_padding_stays_where_it_is(model: bytes) -> None:
    assert fold_padding(model) == model


def test_what_only_a_condition_takes_stays() -> None:
    """Its branches are graphs of their own, which take what they need from around them."""
    whole = onnx.load_model_from_string(padded([0, 0, 0, 1, 0, 0, 1, 0]))
    graph = whole.graph
    branches = {
        name: helper.make_graph(
            [helper.make_node(operation, ["seen", "doubled"], [name])], name, [],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 5, "y", "x"])],
        )
        for name, operation in (("more", "Add"), ("less", "Sub"))
    }  # fmt: skip
    graph.initializer.append(numpy_helper.from_array(np.array(False), "condition"))
    graph.node.append(helper.make_node("Add", ["seen", "seen"], ["doubled"]))
    graph.node.append(
        helper.make_node("If", ["condition"], ["end"], then_branch=branches["more"], else_branch=branches["less"])
    )
    graph.output[0].name = "end"
    model = whole.SerializeToString()
    folded = fold_padding(model)
    assert [node.op_type for node in onnx.load_model_from_string(folded).graph.node] == ["Conv", "Add", "If"]
    pictures = np.random.default_rng(5).normal(size=(2, 3, 11, 14)).astype(np.float32)
    np.testing.assert_allclose(run_graph(folded, x=pictures)[0], run_graph(model, x=pictures)[0], atol=1e-5)


def test_what_is_exported_pads_nowhere_else(backbone: Backbone) -> None:
    network = Network(Pooled(Draw(*MEL.shape), backbone), new_head(HeadConfig("tl-cnn"), 1280, 4, seed=0)).eval()
    graph = onnx.load_model_from_string(export_network(network, *MEL.shape)).graph
    uneven = [a for node in graph.node for a in node.attribute if a.name == "pads" and list(a.ints) == [0, 0, 1, 1]]
    assert "Pad" not in {node.op_type for node in graph.node} and len(uneven) == 5


def test_weights_that_cannot_be_reached_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path) -> None:
    monkeypatch.setenv("EARMARK_BACKBONE", str(tmp_path / "nowhere"))
    with pytest.raises(InputError, match="EARMARK_BACKBONE"):
        load_backbone()
    with pytest.raises(InputError, match="--backbone"):
        load_backbone(tmp_path)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setenv("EARMARK_BACKBONE", "nobody/nothing-of-that-name")
    with pytest.raises(InputError, match="connect to the network"):
        load_backbone()


def test_settings_that_make_no_sense_are_refused() -> None:
    for wrong in ({"epochs": 0}, {"batch_size": 0}, {"learning_rate": 0.0}, {"learning_rate": float("nan")}):
        with pytest.raises(InputError):
            TrainingConfig(**wrong)
    with pytest.raises(InputError, match="tl-cnn-gru"):
        HeadConfig("resnet")  # type: ignore[arg-type]
    with pytest.raises(InputError):
        HeadConfig(units=0)


@pytest.mark.shared
def test_the_real_weights_give_the_shipped_features(shared) -> None:
    from earmark.dataset import load_dataset
    from earmark.embeddings import PooledExtractor

    real = load_backbone(shared / "weights" / "mobilenet_v2_1.0_224")
    with np.load(shared / "gtzan" / "mel.npz") as archive:
        pictures = archive["mel"][::250]
    shipped = load_dataset("gtzan").features["mobilenet_v2"][::250]
    found = PooledExtractor(real, pictures.shape[1:])(pictures)
    np.testing.assert_allclose(found, shipped, atol=4e-3)
    with torch.no_grad():
        slow = Pooled(Draw(*pictures.shape[1:]), real)(torch.from_numpy(pictures)).numpy()
    np.testing.assert_allclose(found, slow, atol=1e-4)
