"""The loop that fine-tunes a network: vary, crop, blank and mix the clips of an epoch, then take its steps.

On a GPU one step is recorded as a CUDA graph and played again: MobileNetV2's kernels are so short that starting them
one by one from Python takes several times longer than what they compute.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from earmark.augment import blank, crop, vary
from earmark.errors import InputError
from earmark.models.convnet import ConvNet, draw, estimate_statistics
from earmark.models.convnet_config import FineTuneConfig

# Batches whose statistics normalisation begins with.
_STATISTICS_BATCHES = 16
_LARGEST_GRADIENT = 5.0
# Clips that are varied together: what a CPU's cache holds, what fills a GPU but bounds its memory.
_CHUNK = {"cpu": 8}
_LARGE_CHUNK = 128
# Steps before recording, in which libraries choose and allocate what must not happen while a graph is recorded.
_REHEARSALS = 3


class TuningLoop:
    """Network, running mean of its weights, optimizer: what an epoch changes and a checkpoint holds.

    Parameters
    ----------
    training
        How to train.
    device
        ``cpu``, ``cuda`` or ``mps``.
    """

    def __init__(self, training: FineTuneConfig, device: str = "cpu") -> None:
        self.training, self.device = training, device
        self._bfloat16 = training.bfloat16 and _multiplies_bfloat16(device)
        self._recorded: _RecordedStep | None = None

    def begin(
        self,
        network: ConvNet,
        spectrograms: NDArray[np.uint8],
        targets: NDArray[np.int64],
        labels: int,
        seed: int,
        *,
        statistics: bool = True,
    ) -> None:
        """Take up a network and the clips (n, bins, columns) that it is to be trained on.

        Parameters
        ----------
        statistics
            Give the layers that will be trained the normalisation statistics of these clips first, which a
            pretrained network with folded normalisation needs.

        Raises
        ------
        InputError
            If the clips are narrower than the crops.
        """
        if self.training.crop_columns > spectrograms.shape[2]:
            raise InputError(
                f"Crops of {self.training.crop_columns} columns do not fit into clips of {spectrograms.shape[2]}."
            )
        self.seed = seed
        self.clips = torch.from_numpy(np.ascontiguousarray(spectrograms)).to(self.device)
        self.wanted = nn.functional.one_hot(torch.from_numpy(targets), labels).float().to(self.device)
        self.size = min(self.training.batch_size, len(targets))
        self.steps = len(targets) // self.size
        if self._recorded is None or self._recorded.size != self.size:
            self.network = copy.deepcopy(network).to(self.device)
            self.averaged = copy.deepcopy(self.network).eval()
            self.chance = torch.Generator(self.device)
            self.network.head.dropout.generator = self.chance
            self.optimizer = _optimizer(self.network, self.training, self.device)
            self.sums = torch.zeros(2, device=self.device)
            self.decay = torch.zeros((), device=self.device)
            self._means, self._values = _learnt(self.averaged), _learnt(self.network)
            if self.device == "cuda":
                self._recorded = _RecordedStep(self)
        self.network.load_state_dict(network.state_dict())
        for state in self.optimizer.state.values():
            for value in state.values():
                value.zero_()
        self.tally = torch.zeros((self.training.epochs, 2), device=self.device)
        if statistics:
            estimate_statistics(self.network.tuned, self._some_batches())
        self.averaged.load_state_dict(self.network.state_dict())

    def epoch(self, epoch: int) -> None:
        """One pass over the clips; epochs count from 1."""
        generator = np.random.default_rng([self.seed, epoch])
        order = generator.permutation(len(self.clips))[: self.steps * self.size]
        pictures, wanted = self._mixed(*self._pictures(order, generator), generator)
        self.network.train()
        self.network.frozen.eval()
        self.sums.zero_()
        self.chance.manual_seed(int(generator.integers(2**62)))
        for step in range(self.steps):
            done = (epoch - 1) * self.steps + step
            self._set_rate(done / (self.training.epochs * self.steps))
            # Early on the mean is over the steps so far: the weights that training began from are soon forgotten.
            self.decay.fill_(min(self.training.averaging, (1 + done) / (10 + done)))
            batch = slice(step * self.size, (step + 1) * self.size)
            if self._recorded is None:
                self.step(pictures[batch], wanted[batch])
            else:
                self._recorded.play(pictures[batch], wanted[batch])
        self.tally[epoch - 1] = self.sums / self.steps
        self.tally[epoch - 1, 1] /= self.size

    def tallies(self) -> list[tuple[float, float]]:
        """Each epoch's mean loss, and the share of clips whose own label was the network's first."""
        return [(float(loss), float(accuracy)) for loss, accuracy in self.tally.tolist()]

    def result(self) -> ConvNet:
        """The running mean of the weights, in evaluation mode, on the CPU: a copy.

        ``averaged`` itself must never be moved: on a GPU a GRU that is moved, be it to where it is, lays its weights
        somewhere else (cuDNN wants them in one piece), and the recorded step goes on averaging into the old place.
        """
        return copy.deepcopy(self.averaged).to("cpu").eval()

    def step(self, pictures: Tensor, wanted: Tensor) -> None:
        """One step of the optimizer on (n, channels, bins, columns) and (n, labels)."""
        with torch.autocast(self.device, torch.bfloat16, enabled=self._bfloat16):
            feature_map = self.network.feature_map(self.network.frozen_features(pictures)).float()
        if feature_map.requires_grad and self.device == "cpu":
            # The gradient of a mean is one value many times over, on which normalisation is fifteen times slower.
            feature_map.register_hook(lambda gradient: gradient.contiguous(memory_format=torch.channels_last))
        logits, _ = self.network.head(feature_map)
        loss = -(wanted * torch.log_softmax(logits, dim=1)).sum(dim=1).mean()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _LARGEST_GRADIENT, foreach=True)
        self.optimizer.step()
        with torch.no_grad():
            torch._foreach_mul_(self._means, self.decay)
            torch._foreach_add_(self._means, torch._foreach_mul(self._values, 1.0 - self.decay))
            self.sums[0] += loss.detach()
            self.sums[1] += (logits.detach().argmax(dim=1) == wanted.argmax(dim=1)).sum()

    def state(self) -> dict[str, Tensor]:
        """Everything that a resumed training needs, by name."""
        tensors = {f"network/{name}": value for name, value in self.network.state_dict().items()}
        tensors |= {f"averaged/{name}": value for name, value in self.averaged.state_dict().items()}
        for number, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"adam/{number}/{name}": value for name, value in state.items()}
        tensors["tally"] = self.tally
        return {name: value.detach().cpu().contiguous() for name, value in tensors.items()}

    def load_state(self, tensors: dict[str, Tensor]) -> None:
        """Go on from :meth:`state`."""
        for part, module in (("network/", self.network), ("averaged/", self.averaged)):
            module.load_state_dict({n.removeprefix(part): v for n, v in tensors.items() if n.startswith(part)})
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in tensors.items():
            if name.startswith("adam/"):
                _, parameter, key = name.split("/")
                state.setdefault(int(parameter), {})[key] = value
        live = self.optimizer.state_dict()
        if live["state"]:
            # In place: what was recorded knows these tensors and no others.
            for number, found in state.items():
                for key, value in found.items():
                    live["state"][number][key].copy_(value)
        else:
            self.optimizer.load_state_dict({"state": state, "param_groups": live["param_groups"]})
        self.tally.copy_(tensors["tally"])

    def _pictures(self, rows: NDArray[np.int64], generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Varied, cropped and blanked pictures (m, channels, bins, crop) of clips, and their labels (m, labels)."""
        augment, columns = self.training.augment, self.training.crop_columns
        chance = torch.Generator(self.device).manual_seed(int(generator.integers(2**62)))
        starts = torch.from_numpy(generator.integers(0, self.clips.shape[2] - columns + 1, len(rows)))
        chosen, starts = torch.from_numpy(rows).to(self.device), starts.to(self.device)
        parts = []
        chunk = _CHUNK.get(self.device, _LARGE_CHUNK)
        for first in range(0, len(rows), chunk):
            part = slice(first, first + chunk)
            pictures = draw(vary(self.clips[chosen[part]], chance, augment), self.network.config.picture)
            parts.append(blank(crop(pictures, starts[part], columns), chance, augment))
        return torch.cat(parts).contiguous(memory_format=torch.channels_last), self.wanted[chosen]

    def _mixed(self, pictures: Tensor, wanted: Tensor, generator: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Mix each clip with another one of the epoch, its own share being the larger, and smooth the labels."""
        alpha, smoothing = self.training.augment.mixup, self.training.label_smoothing
        if alpha:
            partners = torch.from_numpy(generator.permutation(len(pictures))).to(self.device)
            shares = generator.beta(alpha, alpha, len(pictures))
            kept = torch.from_numpy(np.maximum(shares, 1 - shares).astype(np.float32)).to(self.device)
            pictures = torch.lerp(pictures[partners], pictures, kept[:, None, None, None])
            wanted = torch.lerp(wanted[partners], wanted, kept[:, None])
        return pictures, wanted * (1 - smoothing) + smoothing / wanted.shape[1]

    def _some_batches(self) -> Iterator[None]:
        generator = np.random.default_rng([self.seed, 0])
        for _ in range(_STATISTICS_BATCHES):
            rows = generator.integers(0, len(self.clips), self.size)
            pictures, _ = self._pictures(rows, generator)
            yield cast(None, self.network.feature_map(self.network.frozen_features(pictures)))

    def _set_rate(self, done: float) -> None:
        """Rise linearly, then fall along half a cosine; `done` is the share of all steps, 0 to 1."""
        rise = self.training.warm_up
        share = done / rise if done < rise else 0.5 * (1 + math.cos(math.pi * (done - rise) / (1 - rise)))
        for group in self.optimizer.param_groups:
            rate = group["peak"] * max(share, 1e-3)
            if isinstance(group["lr"], Tensor):
                group["lr"].fill_(rate)
            else:
                group["lr"] = rate


class _RecordedStep:
    """A step as a CUDA graph over tensors that stay where they are."""

    def __init__(self, loop: TuningLoop) -> None:
        self.size = loop.size
        channels = 1 if loop.network.config.picture == "grey" else 3
        shape = (loop.size, channels, loop.clips.shape[1], loop.training.crop_columns)
        self.pictures = torch.randn(shape, device="cuda").contiguous(memory_format=torch.channels_last)
        self.wanted = torch.full((loop.size, loop.wanted.shape[1]), 1.0 / loop.wanted.shape[1], device="cuda")
        # Different kernels round differently: the same ones every time, so that a seed gives the same numbers.
        torch.backends.cudnn.deterministic = True
        loop.network.train()
        loop.network.frozen.eval()
        aside = torch.cuda.Stream()
        aside.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(aside):
            for _ in range(_REHEARSALS):
                loop.step(self.pictures, self.wanted)
        torch.cuda.current_stream().wait_stream(aside)
        loop.optimizer.zero_grad(set_to_none=True)
        self.graph = torch.cuda.CUDAGraph()
        self.graph.register_generator_state(loop.chance)
        with torch.cuda.graph(self.graph):
            loop.step(self.pictures, self.wanted)

    def play(self, pictures: Tensor, wanted: Tensor) -> None:
        """The recorded step on other clips."""
        self.pictures.copy_(pictures)
        self.wanted.copy_(wanted)
        self.graph.replay()


def _multiplies_bfloat16(device: str) -> bool:
    """Whether 16-bit products are the faster ones; on a CPU without instructions for them they are not."""
    if device != "cpu":
        return device == "cuda"
    # torch has no public name for the question.
    asked = [getattr(torch.cpu, f"_is_{kind}_supported", None) for kind in ("avx512_bf16", "amx_tile")]
    return any(ask is not None and ask() for ask in asked)


def _learnt(network: ConvNet) -> list[Tensor]:
    """Weights and statistics that training changes, in one order for all networks alike."""
    parts = (network.tuned, network.head)
    return [value for part in parts for value in part.state_dict().values() if value.is_floating_point()]


def _optimizer(network: ConvNet, training: FineTuneConfig, device: str) -> torch.optim.AdamW:
    cuda = device == "cuda"
    groups: dict[tuple[float, float], dict[str, Any]] = {}
    for part, rate in network.rates(training.learning_rate, training.backbone_rate, training.layer_decay):
        for parameter in part.parameters():
            decay = training.weight_decay if parameter.ndim > 1 else 0.0
            if (rate, decay) not in groups:
                lr = torch.tensor(rate, device=device) if cuda else rate
                groups[rate, decay] = {"params": [], "lr": lr, "peak": rate, "weight_decay": decay}
            groups[rate, decay]["params"].append(parameter)
    # A group's rate is a tensor on a GPU, so that a recorded step reads it anew.
    return torch.optim.AdamW(list(groups.values()), fused=device in ("cpu", "cuda"), capturable=cuda)
