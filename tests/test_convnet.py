"""The trainable MobileNetV2: the same function as the pretrained one, statistics, heads, gradients."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from torch import nn

from earmark.errors import InputError
from earmark.models.backbone import Backbone
from earmark.models.convnet import (
    ConvNorm,
    SeededDropout,
    TimeHead,
    _StridedDepthwise,
    draw,
    estimate_statistics,
    new_convnet,
)
from earmark.models.convnet_config import STAGES, TIME_HEADS, ConvNetConfig, FineTuneConfig, TimeHeadConfig


@pytest.fixture(scope="module")
def backbone() -> Backbone:
    """A narrow MobileNetV2 with random weights and folded normalisation, as the pretrained weights come."""
    from transformers import MobileNetV2Config, MobileNetV2Model

    torch.manual_seed(0)
    network = MobileNetV2Model(MobileNetV2Config(depth_multiplier=0.35))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.bias, 0.1, 0.3)
            layer.running_var.fill_(1 - layer.eps)
    return Backbone(network, "random").freeze()


def _spectrograms(count: int = 3, columns: int = 70) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(1).integers(0, 256, (count, 64, columns), dtype=np.uint8))


@pytest.mark.parametrize("frozen", [0, 4, STAGES])
@pytest.mark.parametrize("columns", [64, 70, 99])
def test_the_feature_map_is_that_of_the_pretrained_network_on_the_grey_picture(
    backbone: Backbone, frozen: int, columns: int
) -> None:
    network = new_convnet(ConvNetConfig(frozen_stages=frozen), backbone, 10, seed=0).eval()
    spectrograms = _spectrograms(columns=columns)
    with torch.no_grad():
        picture = network.draw(spectrograms)
        ours = network.feature_map(network.frozen_features(picture))
        theirs = backbone(picture.expand(-1, 3, -1, -1))
    assert ours.shape == theirs.shape
    assert torch.allclose(ours, theirs, atol=2e-4)


@pytest.mark.parametrize("columns", [31, 45])
def test_odd_sizes_are_padded_as_tensorflow_does(backbone: Backbone, columns: int) -> None:
    network = new_convnet(ConvNetConfig(frozen_stages=0), backbone, 10, seed=0).eval()
    picture = torch.randn(2, 1, 37, columns)
    with torch.no_grad():
        assert torch.allclose(network.feature_map(picture), backbone(picture.expand(-1, 3, -1, -1)), atol=2e-4)


def test_low_frequencies_are_drawn_at_the_bottom_and_columns_one_to_one(backbone: Backbone) -> None:
    network = new_convnet(ConvNetConfig(), backbone, 10, seed=0)
    spectrogram = torch.zeros(1, 64, 67, dtype=torch.uint8)
    spectrogram[0, 0, 1:65] = 255
    picture = network.draw(spectrogram)
    assert picture.shape == (1, 1, 64, 64)
    assert torch.all(picture[0, 0, -1] == 1)
    assert torch.all(picture[0, 0, :-1] == -1)


def test_relief_is_blind_to_an_equaliser_and_a_stem_that_steps_by_one_keeps_time(backbone: Backbone) -> None:
    levels = torch.rand(2, 64, 96) / 2
    filtered = levels + torch.linspace(0, 0.4, 64)[None, :, None]
    plain, changed = draw(levels, "relief"), draw(filtered, "relief")
    assert plain.shape == (2, 3, 64, 96)
    assert torch.allclose(plain[:, 1:], changed[:, 1:], atol=1e-5)
    assert not torch.allclose(plain[:, 0], changed[:, 0], atol=0.1)
    network = new_convnet(ConvNetConfig(picture="relief", stem_stride=(2, 1)), backbone, 10, seed=0).eval()
    with torch.no_grad():
        found = network.feature_map(network.draw(_spectrograms(columns=96)))
    assert found.shape[2:] == (2, 6)


def test_dropout_draws_from_its_own_generator() -> None:
    dropout = SeededDropout(0.5)
    values = torch.ones(1000)
    assert torch.equal(dropout.eval()(values), values)
    dropout.train()
    dropout.generator = torch.Generator().manual_seed(4)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    first = dropout(values)
    assert torch.equal(torch.get_rng_state(), before)
    dropout.generator.manual_seed(4)
    assert torch.equal(dropout(values), first)
    assert set(first.tolist()) == {0.0, 2.0}
    assert 400 < int((first > 0).sum()) < 600


def test_statistics_do_not_change_the_function_and_are_those_of_the_data(backbone: Backbone) -> None:
    network = new_convnet(ConvNetConfig(frozen_stages=2), backbone, 10, seed=0).eval()
    features = network.frozen_features(network.draw(_spectrograms(8)))
    with torch.no_grad():
        before = network.feature_map(features)
        estimate_statistics(network.tuned, (network.feature_map(features) for _ in range(2)))  # type: ignore[misc]
        after = network.feature_map(features)
        network.train()
        with_batch_statistics = network.feature_map(features)
    assert torch.allclose(before, after, atol=2e-4)
    # The batch is the data that the statistics were taken from, so training mode agrees too.
    assert torch.allclose(before, with_batch_statistics, atol=2e-3)
    first = network.tuned[0].expand.normalisation
    assert float(first.running_var.std()) > 0


def test_folding_keeps_the_function(backbone: Backbone) -> None:
    network = new_convnet(ConvNetConfig(frozen_stages=3), backbone, 10, seed=0).eval()
    with torch.no_grad():
        before = network(_spectrograms())
        after = network.fold()(_spectrograms())
    assert not any(isinstance(layer, nn.BatchNorm2d) for layer in network.modules())
    for one, other in zip(before, after, strict=True):
        assert torch.allclose(one, other, atol=2e-4)


@pytest.mark.parametrize("size", [(8, 8), (6, 10)])
def test_the_quick_gradient_of_strided_depthwise_convolution_is_the_gradient(size: tuple[int, int]) -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, *size, generator=generator, dtype=torch.double, requires_grad=True)
    weight = torch.randn(5, 1, 3, 3, generator=generator, dtype=torch.double, requires_grad=True)
    assert torch.autograd.gradcheck(_StridedDepthwise.apply, (features, weight))
    plain = nn.functional.conv2d(nn.functional.pad(features, (0, 1, 0, 1)), weight, stride=2, groups=5)
    assert torch.allclose(_StridedDepthwise.apply(features, weight), plain)


@pytest.mark.parametrize(("kind", "beside"), [*product(TIME_HEADS, [False]), ("gru", True)])
def test_each_head_takes_any_number_of_frames(kind: str, beside: bool) -> None:
    config = TimeHeadConfig(kind=kind, projection=12, units=7, beside_mean=beside)  # type: ignore[arg-type]
    head = TimeHead(config, 20, 4).eval()
    for frames in (1, 2, 12):
        logits, embedding = head(torch.rand(3, 20, 4, frames))
        assert logits.shape == (3, 4)
        assert embedding.shape == (3, head.embedding_size)


def test_the_gru_hears_the_order_and_the_mean_does_not() -> None:
    frames = torch.rand(2, 20, 4, 9)
    for kind, differs in (("gru", True), ("mean", False)):
        torch.manual_seed(0)
        head = TimeHead(TimeHeadConfig(kind=kind), 20, 4).eval()  # type: ignore[arg-type]
        with torch.no_grad():
            there, back = head.embed(frames), head.embed(frames[..., [3, 1, 0, 2, 8, 5, 4, 7, 6]])
        assert torch.allclose(there, back, atol=1e-6) != differs


def test_recurrent_weights_learn_where_there_is_time() -> None:
    torch.manual_seed(0)
    head = TimeHead(TimeHeadConfig(kind="gru", projection=8, units=5), 20, 4)
    head(torch.rand(2, 20, 4, 6))[0].square().sum().backward()
    gradient = head.gru.weight_hh_l0.grad
    assert gradient is not None
    assert float(gradient.abs().max()) > 0


def test_rates_fall_from_the_head_down_and_frozen_stages_have_none(backbone: Backbone) -> None:
    network = new_convnet(ConvNetConfig(frozen_stages=15), backbone, 10, seed=0)
    rates = [rate for _, rate in network.rates(1.0, 0.5, 0.5)]
    assert rates == [1.0, 0.5, 0.25, 0.125]
    learning = [parameter for part, _ in network.rates(1.0, 1.0, 1.0) for parameter in part.parameters()]
    assert len(learning) == sum(parameter.requires_grad for parameter in network.parameters())


def test_one_seed_one_head(backbone: Backbone) -> None:
    first, second, other = (new_convnet(ConvNetConfig(), backbone, 10, seed).head.dense.weight for seed in (1, 1, 2))
    assert torch.equal(first, second)
    assert not torch.equal(first, other)


def test_the_backbone_that_was_given_stays_as_it_was(backbone: Backbone) -> None:
    before = backbone.fingerprint()
    network = new_convnet(ConvNetConfig(frozen_stages=0), backbone, 10, seed=0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(1)
    assert backbone.fingerprint() == before


def test_configurations_survive_json_and_refuse_nonsense() -> None:
    config = ConvNetConfig(TimeHeadConfig("attention"), "relief", (2, 1), frozen_stages=6)
    assert ConvNetConfig.from_dict(config.to_dict()) == config
    training = FineTuneConfig(epochs=3)
    assert FineTuneConfig.from_dict(training.to_dict()) == training
    for wrong in (
        lambda: ConvNetConfig(picture="red"),  # type: ignore[arg-type]
        lambda: ConvNetConfig(stem_stride=(3, 1)),
        lambda: TimeHeadConfig("lstm"),  # type: ignore[arg-type]
        lambda: TimeHeadConfig(units=0),
        lambda: TimeHeadConfig(dropout=1.0),
        lambda: ConvNetConfig(frozen_stages=19),
        lambda: FineTuneConfig(epochs=0),
        lambda: FineTuneConfig(batch_size=1),
        lambda: FineTuneConfig(crop_columns=8),
        lambda: FineTuneConfig(learning_rate=0),
        lambda: FineTuneConfig(averaging=1.0),
    ):
        with pytest.raises(InputError):
            wrong()


def test_every_normalisation_of_the_frozen_stages_is_folded(backbone: Backbone) -> None:
    network = new_convnet(ConvNetConfig(frozen_stages=5), backbone, 10, seed=0)
    frozen = [layer for layer in network.frozen.modules() if isinstance(layer, ConvNorm)]
    tuned = [layer for layer in network.tuned.modules() if isinstance(layer, ConvNorm)]
    assert len(frozen) == 15
    assert all(isinstance(layer.normalisation, nn.Identity) for layer in frozen)
    assert all(isinstance(layer.normalisation, nn.BatchNorm2d) for layer in tuned)
