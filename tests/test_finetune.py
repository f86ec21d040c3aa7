"""Fine-tuning: it learns, repeats exactly, resumes exactly, and exports to the graph that bundles carry."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from earmark import finetune
from earmark.errors import InputError, StoreError
from earmark.finetune import FittedConvNet, fit_convnet
from earmark.metrics import log_softmax
from earmark.models.backbone import Backbone
from earmark.models.convnet import new_convnet
from earmark.models.convnet_config import AugmentConfig, ConvNetConfig, FineTuneConfig, TimeHeadConfig
from earmark.models.export import export_network
from earmark.models.storage import halve_weights
from earmark.progress import Step
from earmark.tuned_learner import FineTuneLearner

NETWORK = ConvNetConfig(TimeHeadConfig("gru", projection=16, units=8, dropout=0.1), frozen_stages=4)
TRAINING = FineTuneConfig(
    epochs=3, batch_size=8, crop_columns=32, averaging=0.8,
    augment=AugmentConfig(noise=0.1, mask_bands=8, mask_columns=8, mixup=0.2),
)  # fmt: skip


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> None:
    """Sums in one order: what is compared bit by bit is computed on one thread."""
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    from transformers import MobileNetV2Config, MobileNetV2Model

    torch.manual_seed(0)
    network = MobileNetV2Model(MobileNetV2Config(depth_multiplier=0.35))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.running_var.fill_(1 - layer.eps)
    return Backbone(network, "random").freeze()


def _clips(count: int = 24, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Two "genres": noise that is louder in the low half of the bands, or in the high half."""
    generator = np.random.default_rng(seed)
    targets = np.arange(count) % 2
    levels = generator.normal(100, 20, (count, 32, 48))
    levels[targets == 0, :16] += 80
    levels[targets == 1, 16:] += 80
    return levels.clip(0, 255).astype(np.uint8), targets.astype(np.int64)


def _fit(backbone: Backbone, training: FineTuneConfig = TRAINING, **options: object) -> FittedConvNet:
    clips, targets = _clips()
    return fit_convnet(NETWORK, training, clips, targets, 2, seed=5, backbone=backbone, **options)  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def whole(backbone: Backbone) -> FittedConvNet:
    """A training that nothing came between."""
    return _fit(backbone)


def test_it_learns_what_can_be_learnt(backbone: Backbone) -> None:
    training = replace(TRAINING, epochs=12, learning_rate=3e-3)
    held, wanted = _clips(20, seed=9)
    fitted = _fit(backbone, training, validation=(held, wanted))
    assert fitted.curves[-1].train_loss < fitted.curves[0].train_loss
    found = fitted.log_probabilities(held)
    assert np.allclose(np.exp(found).sum(axis=1), 1)
    assert (found.argmax(axis=1) == wanted).mean() >= 0.9
    assert fitted.curves[-1].validation_accuracy >= 0.9


def test_the_same_seed_gives_the_same_weights_and_validation_clips_change_nothing(
    backbone: Backbone, whole: FittedConvNet
) -> None:
    again = _fit(backbone, validation=_clips(6, seed=3))
    assert again.initial_weights == whole.initial_weights
    assert again.final_weights == whole.final_weights
    clips, targets = _clips()
    other = fit_convnet(NETWORK, TRAINING, clips, targets, 2, seed=6, backbone=backbone)
    assert other.final_weights != whole.final_weights
    assert other.initial_weights != whole.initial_weights


def test_weights_are_averaged_to_the_end_where_a_moved_gru_lays_its_weights_elsewhere(
    backbone: Backbone, whole: FittedConvNet, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As cuDNN has it on a GPU, at every `to`, also to where the network is already.
    def flatten(gru: nn.GRU) -> None:
        for weight in gru.parameters():
            weight.data = weight.data.clone()

    monkeypatch.setattr(nn.GRU, "flatten_parameters", flatten)
    clips, targets = _clips(8, seed=1)
    scored = _fit(backbone, validation=(clips, targets))
    assert scored.final_weights == whole.final_weights


def test_a_killed_training_resumes_to_the_same_weights(
    backbone: Backbone, whole: FittedConvNet, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "CHECKPOINT_SECONDS", 0.0)
    checkpoint = tmp_path / "fold.safetensors"

    def die(step: object) -> None:
        if getattr(step, "task", "") == "training" and getattr(step, "done", 0) == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        _fit(backbone, checkpoint=checkpoint, progress=die)
    resumed = _fit(backbone, checkpoint=checkpoint)
    assert len(resumed.curves) == 3
    assert resumed.final_weights == whole.final_weights
    assert [curve.train_loss for curve in resumed.curves] == [curve.train_loss for curve in whole.curves]


def test_a_checkpoint_of_another_training_or_a_torn_one_is_refused(
    backbone: Backbone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finetune, "CHECKPOINT_SECONDS", 0.0)
    checkpoint = tmp_path / "fold.safetensors"
    _fit(backbone, replace(TRAINING, epochs=2), checkpoint=checkpoint)
    with pytest.raises(StoreError, match="another training"):
        _fit(backbone, replace(TRAINING, epochs=2, weight_decay=0.1), checkpoint=checkpoint)
    checkpoint.write_bytes(checkpoint.read_bytes()[:100])
    with pytest.raises(StoreError, match="damaged"):
        _fit(backbone, replace(TRAINING, epochs=2), checkpoint=checkpoint)


def test_frozen_stages_stay_as_they_were(backbone: Backbone, whole: FittedConvNet) -> None:
    fresh = new_convnet(NETWORK, backbone, 2, seed=5)
    for name, value in fresh.frozen.state_dict().items():
        assert torch.equal(value, whole.network.frozen.state_dict()[name])
    assert not torch.equal(fresh.tuned[-1].convolution.weight, whole.network.tuned[-1].convolution.weight)


@pytest.mark.parametrize("frozen", [0, 18])
def test_all_or_nothing_may_be_frozen(backbone: Backbone, frozen: int) -> None:
    clips, targets = _clips(10)
    config = replace(NETWORK, frozen_stages=frozen)
    training = replace(TRAINING, epochs=1, crop_columns=32)
    fitted = fit_convnet(config, training, clips, targets, 2, seed=0, backbone=backbone)
    assert np.isfinite(fitted.curves[0].train_loss)


def test_onnx_runtime_gives_what_torch_gives_also_with_weights_of_half_the_size(backbone: Backbone) -> None:
    fitted = _fit(backbone, replace(TRAINING, epochs=1))
    clips, _ = _clips(5, seed=2)
    logits, embeddings = fitted.outputs(clips)
    whole = export_network(fitted.network.fold(), 32, 48)
    half = halve_weights(whole)
    assert len(half) < 0.62 * len(whole)
    for model, tolerance in ((whole, 1e-3), (half, 2e-2)):
        session = ort.InferenceSession(model, providers=["CPUExecutionProvider"])
        found = session.run(["logits", "embedding"], {"spectrogram": clips})
        assert np.allclose(found[0], logits, atol=tolerance)
        assert np.allclose(found[1], embeddings, atol=tolerance)
        assert session.run(["logits"], {"spectrogram": clips[:1]})[0].shape == (1, 2)


def test_the_learner_says_which_weights_a_fresh_model_has_and_members_differ(tmp_path: Path) -> None:
    from transformers import MobileNetV2Config, MobileNetV2Model

    torch.manual_seed(1)
    MobileNetV2Model(MobileNetV2Config()).save_pretrained(tmp_path / "weights")
    learner = FineTuneLearner(
        replace(NETWORK, frozen_stages=17), replace(TRAINING, epochs=1), backbone=str(tmp_path / "weights")
    )
    clips, targets = _clips(8)
    single = learner.fit(clips, targets, 2, seed=4)
    assert single.initial_weights == learner.expected_initial_weights(clips, 2, 4)
    assert learner.name == "tuned-gru"
    assert learner.quick().training.epochs == 1
    assert str(tmp_path) not in str(learner.describe())

    two = replace(learner, members=2)
    steps: list[Step] = []
    both = two.fit(clips, targets, 2, seed=4, checkpoint=tmp_path / "fold.checkpoint", progress=steps.append)
    assert two.name == "tuned-gru-x2"
    assert both.initial_weights == two.expected_initial_weights(clips, 2, 4) != single.initial_weights
    # The first member is the single network, and the answer is the mean of the members'.
    assert both.members[0].final_weights == single.final_weights != both.members[1].final_weights
    apart = [member.log_probabilities(clips) for member in both.members]
    assert np.allclose(both.log_probabilities(clips), log_softmax(np.mean(apart, axis=0)))
    assert both.outputs(clips)[1].shape == (8, 2 * single.outputs(clips)[1].shape[1])
    assert [(step.done, step.total) for step in steps] == [(1, 2), (2, 2)]
    assert not list(tmp_path.glob("fold*"))


def test_too_few_clips_and_too_wide_crops_are_refused(backbone: Backbone) -> None:
    clips, targets = _clips(2)
    with pytest.raises(InputError, match="two clips"):
        fit_convnet(NETWORK, TRAINING, clips[:1], targets[:1], 2, seed=0, backbone=backbone)
    with pytest.raises(InputError, match="do not fit"):
        fit_convnet(NETWORK, replace(TRAINING, crop_columns=256), clips, targets, 2, seed=0, backbone=backbone)


def test_weights_beyond_sixteen_bits_are_refused() -> None:
    from onnx import TensorProto, helper, numpy_helper

    weight = numpy_helper.from_array(np.full((64, 32), 1e6, np.float32), "w")
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 64])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 32])], [weight],
    )  # fmt: skip
    with pytest.raises(OverflowError):
        halve_weights(helper.make_model(graph).SerializeToString())
