"""The network with a machine on musical features beside it: one answer in torch, in NumPy and in a bundle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest
import torch
from torch import nn

from earmark import varied_machine
from earmark.errors import InputError
from earmark.exports import export_of, fused_export, tuned_export
from earmark.finetune import FittedConvNet
from earmark.fused_learner import FUSED, FittedFusion, FusedLearner, make_tuned
from earmark.metrics import log_softmax
from earmark.models.backbone import Backbone
from earmark.models.convnet import new_convnet
from earmark.models.convnet_config import AugmentConfig, ConvNetConfig, FineTuneConfig, TimeHeadConfig
from earmark.models.fused import SupportVectors
from earmark.models.storage import halve_weights, quarter_weights
from earmark.musical_features import SIZE, musical_features
from earmark.tuned_learner import FineTuneLearner, FittedMembers
from earmark.varied_machine import VARIED, VariedMachine, musical

LABELS, BINS, COLUMNS = 3, 32, 64


def _clips(count: int = 30, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Three "genres": noise, steady tones, and pulses."""
    random = np.random.default_rng(seed)
    targets = (np.arange(count) % LABELS).astype(np.int64)
    levels = random.normal(60, 15, (count, BINS, COLUMNS))
    for row, target in enumerate(targets):
        if target == 1:
            levels[row, random.integers(4, BINS - 4, 4)] += 150
        elif target == 2:
            levels[row, :, random.integers(0, 6) :: 8] += 120
    return levels.clip(0, 255).astype(np.uint8), targets


@pytest.fixture(scope="module")
def fitted() -> FittedFusion:
    from transformers import MobileNetV2Config, MobileNetV2Model

    torch.manual_seed(0)
    network = MobileNetV2Model(MobileNetV2Config(depth_multiplier=0.35))
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)
        elif isinstance(layer, nn.BatchNorm2d):
            layer.running_var.fill_(1 - layer.eps)
    config = ConvNetConfig(TimeHeadConfig("gru", projection=16, units=8))
    members = [
        FittedConvNet(new_convnet(config, Backbone(network, "random").freeze(), LABELS, seed).eval())
        for seed in (1, 2)
    ]
    clips, targets = _clips()
    machine = VariedMachine().fit(clips, targets, LABELS, seed=0)
    return FittedFusion(FittedMembers(tuple(members)), machine, (1.0, 0.4))


def test_the_machine_in_torch_is_the_machine(fitted: FittedFusion) -> None:
    clips, targets = _clips(21, seed=5)
    wanted = fitted.machine.log_probabilities(clips)
    with torch.no_grad():
        found = SupportVectors(fitted.machine.machine)(torch.from_numpy(musical(clips))).numpy()
    assert np.allclose(found, wanted, atol=1e-3)
    assert (found.argmax(axis=1) == targets).mean() > 0.8


def test_a_machine_that_lacks_a_label_is_refused(fitted: FittedFusion) -> None:
    with pytest.raises(ValueError, match="label"):
        SupportVectors(replace(fitted.machine.machine, labels=LABELS + 1))


def test_the_fused_answer_is_the_weighted_sum_of_both(fitted: FittedFusion) -> None:
    clips, _ = _clips(6, seed=3)
    network = fitted.network.log_probabilities(clips)
    machine = fitted.machine.log_probabilities(clips)
    assert np.allclose(fitted.log_probabilities(clips), log_softmax(network + 0.4 * machine))
    alone = replace(fitted, weights=(1.0, 0.0))
    assert np.allclose(alone.log_probabilities(clips), network)


def test_the_graph_gives_what_the_models_give_with_weights_of_a_quarter_of_the_size(fitted: FittedFusion) -> None:
    clips, _ = _clips(5, seed=8)
    exported = fused_export(BINS, COLUMNS)(fitted)
    session = ort.InferenceSession(exported.model, providers=["CPUExecutionProvider"])
    taken = {item.name: item.shape[1:] for item in session.get_inputs()}
    assert taken == {"spectrogram": [BINS, COLUMNS], "musical": [SIZE]}
    fed = {"spectrogram": clips, "musical": musical_features(clips)}
    logits, embedding = session.run(["logits", "embedding"], fed)
    wanted, embedded = fitted.outputs(clips)
    assert np.allclose(log_softmax(logits), log_softmax(wanted), atol=0.15)
    assert embedding.shape == (5, exported.embedding_size) == embedded.shape
    assert np.allclose(exported.embed(clips), embedded)
    plain = tuned_export(BINS, COLUMNS)(fitted.network)
    session = ort.InferenceSession(plain.model, providers=["CPUExecutionProvider"])
    found = session.run(["logits"], {"spectrogram": clips})[0]
    assert np.allclose(found, fitted.network.log_probabilities(clips), atol=0.15)


def test_eight_bits_round_to_half_a_step_of_each_row() -> None:
    from onnx import helper, numpy_helper

    weight = np.random.default_rng(0).normal(0, 1, (40, 50)).astype(np.float32) * np.geomspace(1e-3, 10, 40)[:, None]
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["y"])], "g",
        [helper.make_tensor_value_info("x", 1, [40, 40])], [helper.make_tensor_value_info("y", 1, [40, 50])],
        [numpy_helper.from_array(weight.astype(np.float32), "w")],
    )  # fmt: skip
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8).SerializeToString()
    small = quarter_weights(model)
    assert len(small) < 0.75 * len(halve_weights(model))
    session = ort.InferenceSession(small, providers=["CPUExecutionProvider"])
    found = session.run(["y"], {"x": np.eye(40, dtype=np.float32)})[0]
    step = np.abs(weight).max(axis=1, keepdims=True) / 127
    assert np.all(np.abs(found - weight) <= step / 2 * 1.001)


def test_musical_features_are_computed_once_and_are_those_of_the_clip() -> None:
    clips, _ = _clips(4, seed=9)
    first = musical(clips)
    assert np.array_equal(first, musical_features(clips))
    assert np.array_equal(musical(clips[::-1]), first[::-1])


def test_a_varied_version_depends_on_the_clip_alone() -> None:
    from earmark.baselines import BASELINES

    clips, targets = _clips(12, seed=4)
    asked, _ = _clips(7, seed=6)
    machine = VariedMachine(versions=2)
    whole = machine.fit(clips, targets, LABELS, seed=0)
    varied_machine._kept.clear()
    again = machine.fit(clips, targets, LABELS, seed=0)
    assert np.array_equal(whole.log_probabilities(asked), again.log_probabilities(asked))
    varied_machine._kept.clear()
    settings = machine.augment
    alone = np.concatenate([varied_machine._varied(clips[row : row + 1], 1, settings) for row in (2, 0, 1)])
    varied_machine._kept.clear()
    together = varied_machine._varied(clips[:3], 1, settings)
    assert np.array_equal(alone[[1, 2, 0]], together)
    assert not np.allclose(together, musical(clips[:3]))
    assert not np.allclose(together, varied_machine._varied(clips[:3], 2, settings))
    none = VariedMachine(versions=0).fit(clips, targets, LABELS, seed=0)
    plain = BASELINES["musical-svm"].fit(musical(clips), targets, LABELS, seed=0)
    assert np.array_equal(none.log_probabilities(asked), plain.log_probabilities(musical(asked)))
    assert not np.allclose(whole.log_probabilities(asked), none.log_probabilities(asked))
    with pytest.raises(InputError, match="versions"):
        VariedMachine(versions=-1)


@pytest.mark.shared
def test_varied_training_holds_better_on_a_band_limit(shared: Path) -> None:
    with np.load(shared / "gtzan" / "mel.npz") as archive:
        mel, ids = archive["mel"][::4], archive["ids"][::4]
    names = [str(clip).partition(".")[0] for clip in ids]
    targets = np.unique(names, return_inverse=True)[1].astype(np.int64)
    training, tested = np.arange(len(mel)) % 2 == 0, np.arange(len(mel)) % 2 == 1
    limited = mel[tested].copy()
    # Above 5.5 kHz there is nothing: the upper 36 of 128 mel bands.
    limited[:, 92:] = 0
    scores = [
        (machine.fit(mel[training], targets[training], 10, seed=0).log_probabilities(limited).argmax(1)
         == targets[tested]).mean()
        for machine in (VariedMachine(versions=0), VariedMachine())
    ]  # fmt: skip
    assert scores[1] > scores[0] + 0.05


def test_a_machine_alone_is_refused_as_a_bundle_before_it_is_trained() -> None:
    with pytest.raises(InputError, match="no embedding"):
        export_of(VariedMachine(), None, BINS, COLUMNS)


def test_the_learner_trains_both_and_says_so(monkeypatch: pytest.MonkeyPatch, fitted: FittedFusion) -> None:
    clips, targets = _clips()
    seen = {}

    def fit(self: FineTuneLearner, features: np.ndarray, *args: object, **options: object) -> FittedMembers:
        seen.update(options, clips=len(features))
        return fitted.network

    # The network's own training has tests of its own and needs weights of full width.
    monkeypatch.setattr(FineTuneLearner, "fit", fit)
    learner = FusedLearner()
    made = learner.fit(clips, targets, LABELS, seed=4)
    assert seen["clips"] == len(clips)
    assert seen["seed"] == 4
    assert np.allclose(made.log_probabilities(clips), fitted.log_probabilities(clips))
    assert made.final_weights != fitted.network.final_weights
    assert made.initial_weights == fitted.network.initial_weights
    assert learner.name == FUSED
    assert learner.describe()["weights"] == [1.0, 0.4]
    assert learner.quick().network.training.epochs < learner.network.training.epochs


def test_models_by_name() -> None:
    assert make_tuned("tuned-gru", epochs=3).training == FineTuneConfig(epochs=3)
    made = make_tuned(FUSED, backbone="somewhere")
    assert isinstance(made, FusedLearner)
    assert made.network.backbone == "somewhere"
    assert make_tuned(VARIED) == made.machine
    with pytest.raises(InputError, match="mel"):
        make_tuned(FUSED, kind="stft")
    with pytest.raises(InputError, match="tuned-gru"):
        make_tuned("tuned")
    with pytest.raises(InputError, match="member"):
        FineTuneLearner(members=0)


def test_a_fused_bundle_hears(fitted: FittedFusion, tmp_path: Path) -> None:
    from earmark.bundle import Card, save_bundle
    from earmark.front_end import FrontEnd
    from earmark.predict import Classifier

    front_end = FrontEnd(kind="mel", sample_rate=22050, n_fft=2048, hop_length=512, n_mels=BINS, seconds=3.0)
    bins, columns = front_end.shape
    exported = fused_export(bins, columns)(fitted)
    card = Card(
        name="fused", labels=("a", "b", "c"), front_end=front_end.to_dict(), embedding_size=exported.embedding_size
    )
    classifier = Classifier(save_bundle(tmp_path / "fused.earmark", card, exported.model))
    tone = np.sin(2 * np.pi * 440 * np.arange(6 * 22050) / 22050).astype(np.float32)
    found = classifier.classify_samples(tone, 22050)
    assert len(found.timeline) == 2
    picture = classifier.look(tone[: 3 * 22050])
    assert np.allclose(
        list(found.timeline[0].probabilities.values()),
        np.exp(fitted.log_probabilities(picture[None])[0]),
        atol=0.03,
    )


def test_a_kept_network_is_found_again_and_only_by_the_same_training(tmp_path: Path) -> None:
    from transformers import MobileNetV2Config, MobileNetV2Model

    torch.set_num_threads(1)
    MobileNetV2Model(MobileNetV2Config()).save_pretrained(tmp_path / "weights")
    clips, targets = _clips(18)
    learner = FineTuneLearner(
        ConvNetConfig(TimeHeadConfig("mean")), FineTuneConfig(epochs=2, batch_size=6, crop_columns=32),
        backbone=str(tmp_path / "weights"), kept=tmp_path / "networks",
    )  # fmt: skip
    steps: list[object] = []
    first = learner.fit(clips, targets, LABELS, seed=0, progress=steps.append)
    assert len(steps) == 2
    again = learner.fit(clips, targets, LABELS, seed=0, progress=steps.append)
    assert len(steps) == 2
    assert again.final_weights == first.final_weights
    assert [row.train_loss for row in again.curves] == [row.train_loss for row in first.curves]
    # Two members begin with the single network, and train the other one alone.
    both = replace(learner, members=2).fit(clips, targets, LABELS, seed=0, progress=steps.append)
    assert len(steps) == 4
    assert both.members[0].final_weights == first.members[0].final_weights
    others = [
        replace(learner, training=replace(learner.training, label_smoothing=0.0)).fit(clips, targets, LABELS, seed=0),
        learner.fit(clips, np.roll(targets, 1), LABELS, seed=0),
        learner.fit(clips, targets, LABELS, seed=5),
    ]
    assert len({first.final_weights, *(other.final_weights for other in others)}) == 4
    assert len(list((tmp_path / "networks").glob("*.safetensors"))) == 5
    plain = replace(learner, kept=None)
    assert plain.describe() == learner.describe()
    assert plain.fit(clips, targets, LABELS, seed=0).final_weights == first.final_weights


def test_a_way_of_varying_that_is_not_used_does_not_change_the_draw() -> None:
    """The figures of the record and the bundle that ships are from before samples could be cut off."""
    settings = varied_machine._settings(AugmentConfig())
    assert "distortion" not in settings and "band_limit=0.15, masks=1" in settings
    assert varied_machine._settings(AugmentConfig(distortion=0.5)) == repr(AugmentConfig(distortion=0.5))
