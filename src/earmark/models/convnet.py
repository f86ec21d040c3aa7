"""A MobileNetV2 that can be fine-tuned, on a spectrogram drawn 1:1, and heads that keep the time axis.

The ImageNet weights come with their batch normalisation folded: it scales by 1, and its statistics are those of
nothing. :func:`estimate_statistics` puts real statistics in without changing what the network computes; without it,
training begins from a network that the first batch tears apart.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from torch import Tensor, nn

from earmark.models.backbone import Backbone
from earmark.models.convnet_config import STRIDE, ConvNetConfig, PictureKind, TimeHeadConfig

# As MobileNetV2's normalisation has it.
_EPSILON = 1e-3
# torch's own default; the folded model's 0.997 would leave the statistics those of the last batch alone.
_MOMENTUM = 0.1


class _StridedDepthwise(torch.autograd.Function):
    """Depthwise 3x3 convolution of stride 2; the gradient to its input is that of stride 1 on one spread with zeros.

    oneDNN's own gradient to the input is ten to forty times slower in the strided kind on a CPU in bfloat16 (half of
    all training time); the result is the same. Its gradient to the weights is the fast one.
    """

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: Tensor) -> Tensor:
        padded = nn.functional.pad(features, (0, 1, 0, 1))
        ctx.save_for_backward(padded, weight)
        return nn.functional.conv2d(padded, weight, stride=2, groups=weight.shape[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        padded, weight = ctx.saved_tensors
        gradient = gradients[0]
        count, channels, height, width = padded.shape
        spread = torch.zeros((count, height - 1, width - 1, channels), dtype=gradient.dtype, device=gradient.device)
        spread = spread.permute(0, 3, 1, 2)
        spread[:, :, 1::2, 1::2] = gradient
        one, two, none = [1, 1], [2, 2], [0, 0]
        back = torch.ops.aten.convolution_backward
        # Of the input's values only the shape counts for the gradient to it.
        to_input = back(
            spread, spread, weight, None, one, one, one, False, none, channels, [True, False, False]
        )[0]  # fmt: skip
        to_weight = back(
            gradient, padded, weight, None, two, none, one, False, none, channels, [False, True, False]
        )[1]  # fmt: skip
        return to_input, to_weight


class ConvNorm(nn.Module):
    """Convolution with TensorFlow's "SAME" padding, normalisation and, where wanted, ReLU6."""

    def __init__(
        self,
        convolution: nn.Conv2d,
        normalisation: nn.BatchNorm2d,
        active: bool,
        stride: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        size = convolution.kernel_size[0]
        steps = cast(tuple[int, int], stride or convolution.stride)
        self.convolution = nn.Conv2d(
            convolution.in_channels, convolution.out_channels, size, steps, groups=convolution.groups, bias=False,
            padding=size // 2 if steps == (1, 1) else 0,
        )  # fmt: skip
        self.normalisation: nn.Module = nn.BatchNorm2d(convolution.out_channels, eps=_EPSILON, momentum=_MOMENTUM)
        with torch.no_grad():
            self.convolution.weight.copy_(convolution.weight)
            self.normalisation.load_state_dict(normalisation.state_dict())
        self.active = active

    def forward(self, features: Tensor) -> Tensor:
        features = self.normalisation(self._convolve(features))
        # In place while training: what comes before remembers its input, not this.
        return nn.functional.relu6(features, inplace=self.training) if self.active else features

    def _convolve(self, features: Tensor) -> Tensor:
        convolution = self.convolution
        down, along = convolution.stride
        if (down, along) == (1, 1):
            return cast(Tensor, convolution(features))
        height, width = int(features.shape[2]), int(features.shape[3])
        even = height % 2 == 0 and width % 2 == 0
        depthwise = convolution.groups > 1
        if even and depthwise and convolution.bias is None and features.device.type == "cpu" and self.training:
            return cast(Tensor, _StridedDepthwise.apply(features, convolution.weight.to(features.dtype)))  # type: ignore[no-untyped-call]
        before = (1 if along == 1 else width % 2, 1 if down == 1 else height % 2)
        return cast(Tensor, convolution(nn.functional.pad(features, (before[0], 1, before[1], 1))))

    def fold(self) -> None:
        """Make the normalisation, as it stands, a part of the convolution: the same function for good."""
        if not isinstance(self.normalisation, nn.BatchNorm2d):
            return
        scale, shift = _affine(self.normalisation)
        with torch.no_grad():
            weight = self.convolution.weight
            weight.copy_((weight.double() * scale.view(-1, 1, 1, 1)).to(weight.dtype))
            self.convolution.bias = nn.Parameter(shift.to(weight.dtype))
        self.normalisation = nn.Identity()


class InvertedResidual(nn.Module):
    """MobileNetV2's block: widen, filter each channel, narrow; added to its input where the shapes agree."""

    def __init__(self, block: nn.Module) -> None:
        super().__init__()
        self.residual = bool(block.use_residual)
        self.expand = _conv_norm(block.expand_1x1)
        self.depthwise = _conv_norm(block.conv_3x3)
        self.reduce = _conv_norm(block.reduce_1x1)

    def forward(self, features: Tensor) -> Tensor:
        found = self.reduce(self.depthwise(self.expand(features)))
        return cast(Tensor, features + found if self.residual else found)


class Stem(nn.Module):
    """The first convolution and the narrowing behind it."""

    def __init__(self, stem: Any, config: ConvNetConfig) -> None:
        super().__init__()
        first = stem.first_conv
        self.first = ConvNorm(first.convolution, first.normalization, True, config.stem_stride)
        self.depthwise = _conv_norm(stem.conv_3x3)
        self.reduce = _conv_norm(stem.reduce_1x1)
        if config.picture == "grey":
            colour = self.first.convolution
            grey = nn.Conv2d(
                1,
                colour.out_channels,
                colour.kernel_size[0],
                config.stem_stride,
                padding=cast(tuple[int, int], colour.padding),
                bias=False,
            )
            with torch.no_grad():
                # The same grey in all three channels gives the sum of the channels' kernels, exactly.
                grey.weight.copy_(colour.weight.sum(dim=1, keepdim=True))
            self.first.convolution = grey

    def forward(self, picture: Tensor) -> Tensor:
        return cast(Tensor, self.reduce(self.depthwise(self.first(picture))))


def _conv_norm(layer: Any) -> ConvNorm:
    return ConvNorm(layer.convolution, layer.normalization, layer.activation is not None)


def _stages(backbone: Backbone, config: ConvNetConfig) -> nn.ModuleList:
    network: Any = backbone.network
    blocks = [InvertedResidual(block) for block in network.layer]
    return nn.ModuleList([Stem(network.conv_stem, config), *blocks, _conv_norm(network.conv_1x1)])


# Brings what lies around a band's mean, and steps between columns, to about the range of the levels.
_RELIEF, _CHANGE = 2.5, 4.0


def draw(levels: Tensor, picture: PictureKind) -> Tensor:
    """A spectrogram as the network's picture, low frequencies at the bottom.

    Parameters
    ----------
    levels
        (n, bins, columns), 0 to 1.
    picture
        See :class:`earmark.models.convnet_config.ConvNetConfig`.

    Returns
    -------
    (n, 1, bins, columns) for ``"grey"``, (n, 3, bins, columns) for ``"relief"``, about -1 to 1.
    """
    levels = levels.flip(1)
    grey = 2.0 * levels - 1.0
    if picture == "grey":
        return grey[:, None]
    relief = _RELIEF * (levels - levels.mean(dim=2, keepdim=True))
    change = _CHANGE * (levels[:, :, 1:] - levels[:, :, :-1])
    return torch.stack([grey, relief, nn.functional.pad(change, (1, 0))], dim=1)


class SeededDropout(nn.Module):
    """Dropout that draws from a generator of its own, where it is given one, and not from torch's."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or not self.share:
            return values
        kept = torch.rand(values.shape, generator=self.generator, device=values.device) >= self.share
        return values * kept / (1.0 - self.share)


class TimeHead(nn.Module):
    """From a feature map, (n, channels, frequencies, frames), to logits."""

    def __init__(self, config: TimeHeadConfig, channels: int, labels: int) -> None:
        super().__init__()
        self.config = config
        self.dropout = SeededDropout(config.dropout)
        size = channels
        if config.kind == "mean-deviation":
            size = 2 * channels
        elif config.kind == "attention":
            self.score = nn.Linear(channels, 1)
        elif config.kind == "gru":
            self.projection = nn.Linear(channels, config.projection)
            self.gru = nn.GRU(config.projection, config.units, batch_first=True, bidirectional=True)
            size = 2 * config.units + (channels if config.beside_mean else 0)
        self.embedding_size = size
        self.dense = nn.Linear(size, labels)

    def embed(self, feature_map: Tensor) -> Tensor:
        """(n, channels, frequencies, frames) -> (n, embedding_size): the vector before the dense layer."""
        kind = self.config.kind
        if kind == "mean":
            return feature_map.mean(dim=(2, 3))
        if kind == "attention":
            places = feature_map.flatten(2).transpose(1, 2)
            return (places * torch.softmax(self.score(places), dim=1)).sum(dim=1)
        frames = feature_map.mean(dim=2).transpose(1, 2)
        mean = frames.mean(dim=1)
        if kind == "mean-deviation":
            deviation = ((frames - mean[:, None]) ** 2).mean(dim=1).add(1e-6).sqrt()
            return torch.cat([mean, deviation], dim=1)
        steps = torch.relu(self.projection(self.dropout(frames)))
        states = self.gru(steps)[0].mean(dim=1)
        return torch.cat([states, mean], dim=1) if self.config.beside_mean else cast(Tensor, states)

    def forward(self, feature_map: Tensor) -> tuple[Tensor, Tensor]:
        """(n, channels, frequencies, frames) -> logits (n, labels), embedding (n, embedding_size)."""
        embedding = self.embed(feature_map)
        return cast(Tensor, self.dense(self.dropout(embedding))), embedding


class ConvNet(nn.Module):
    """Spectrogram to logits and embedding: picture drawn 1:1, MobileNetV2, a head over time.

    Parameters
    ----------
    config
        The head, and how many stages stay frozen.
    backbone
        MobileNetV2 with its ImageNet weights; copied.
    labels
        Number of genres.

    Notes
    -----
    The network is convolutional in time: it is trained on crops of a clip and looks at the whole window at once
    afterwards. Columns beyond a multiple of 32 are left out, half of them on each side.
    """

    def __init__(self, config: ConvNetConfig, backbone: Backbone, labels: int) -> None:
        super().__init__()
        self.config = config
        stages = _stages(backbone, config)
        self.frozen = stages[: config.frozen_stages]
        self.tuned = stages[config.frozen_stages :]
        for layer in self.frozen.modules():
            if isinstance(layer, ConvNorm):
                layer.fold()
        for parameter in self.frozen.parameters():
            parameter.requires_grad_(False)
        channels = int(cast(ConvNorm, stages[-1]).convolution.out_channels)
        self.head = TimeHead(config.head, channels, labels)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def draw(self, spectrogram: Tensor) -> Tensor:
        """uint8 (n, bins, columns) -> float32 (n, channels, bins, columns - columns % 32); see :func:`draw`."""
        picture = draw(spectrogram.float() / 255.0, self.config.picture)
        columns = int(spectrogram.shape[2])
        first = columns % STRIDE // 2
        return picture[:, :, :, first : first + columns - columns % STRIDE]

    def frozen_features(self, picture: Tensor) -> Tensor:
        """(n, channels, bins, columns) -> what the frozen stages make of it; the picture where there are none."""
        for stage in self.frozen:
            picture = stage(picture)
        return picture

    def feature_map(self, features: Tensor) -> Tensor:
        """What the frozen stages gave -> (n, 1280, frequencies, frames), 32 times smaller (16 for steps of 1)."""
        for stage in self.tuned:
            features = stage(features)
        return features

    def forward(self, spectrogram: Tensor) -> tuple[Tensor, Tensor]:
        """uint8 (n, bins, columns) -> logits (n, labels), embedding (n, embedding_size)."""
        feature_map = self.feature_map(self.frozen_features(self.draw(spectrogram)))
        return cast(tuple[Tensor, Tensor], self.head(feature_map))

    def rates(self, head: float, backbone: float, decay: float) -> list[tuple[nn.Module, float]]:
        """The parts that learn and their learning rates: the head's, and the stages' from the last one down."""
        stages = list(self.tuned)
        parts: list[tuple[nn.Module, float]] = [(self.head, head)]
        parts += [(stage, head * backbone * decay**depth) for depth, stage in enumerate(reversed(stages))]
        return parts

    def fold(self) -> ConvNet:
        """Evaluation mode with all normalisation inside the convolutions: the same function, ready to export."""
        self.eval()
        for layer in self.modules():
            if isinstance(layer, ConvNorm):
                layer.fold()
        return self


@torch.no_grad()
def estimate_statistics(network: nn.Module, run: Iterable[None]) -> None:
    """Give batch normalisation the statistics of real data without changing what the network computes.

    Parameters
    ----------
    network
        Put into evaluation mode and left there.
    run
        Passed through once; each turn runs the network on one batch.

    Notes
    -----
    A layer that computes ``a x + b`` gets the mean m and variance v of its own inputs, the scale
    ``a sqrt(v + eps)`` and the shift ``b + a m``: in evaluation mode it then still computes ``a x + b``, and in
    training mode nearly so.
    """
    layers = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    sums: dict[nn.BatchNorm2d, tuple[float, Any, Any]] = dict.fromkeys(layers, (0.0, 0.0, 0.0))

    def add(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        values = inputs[0] if inputs[0].device.type == "mps" else inputs[0].double()
        count, total, squares = sums[cast(nn.BatchNorm2d, layer)]
        places = values.numel() / values.shape[1]
        sums[cast(nn.BatchNorm2d, layer)] = (
            count + places,
            total + values.sum(dim=(0, 2, 3)),
            squares + (values * values).sum(dim=(0, 2, 3)),
        )

    network.eval()
    hooks = [layer.register_forward_pre_hook(add) for layer in layers]
    try:
        for _ in run:
            pass
    finally:
        for hook in hooks:
            hook.remove()
    for layer, (count, total, squares) in sums.items():
        if not count:
            continue
        mean = total / count
        variance = (squares / count - mean * mean).clamp_min(0.0)
        scale, shift = _affine(layer)
        cast(Tensor, layer.running_mean).copy_(mean)
        cast(Tensor, layer.running_var).copy_(variance)
        layer.weight.copy_(scale * torch.sqrt(variance + layer.eps))
        layer.bias.copy_(shift + mean * scale)


def _affine(layer: nn.BatchNorm2d) -> tuple[Tensor, Tensor]:
    """Scale and shift that the layer applies in evaluation mode, in double precision."""
    mean, variance = cast(Tensor, layer.running_mean).double(), cast(Tensor, layer.running_var).double()
    scale = layer.weight.detach().double() / torch.sqrt(variance + layer.eps)
    return scale, layer.bias.detach().double() - mean * scale


def new_convnet(config: ConvNetConfig, backbone: Backbone, labels: int, seed: int) -> ConvNet:
    """A network with the backbone's weights and a fresh head; the same seed gives the same head."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return ConvNet(config, backbone, labels)
