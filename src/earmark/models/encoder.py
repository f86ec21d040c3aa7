"""Any pretrained network of ``transformers`` as a backbone: from a window's numbers to one vector."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn

from earmark.errors import InputError, MissingExtraError
from earmark.models.backbone import quiet_transformers
from earmark.models.encoder_files import EncoderFiles, check_weights, find_files
from earmark.models.encoder_settings import PictureSettings, picture_settings, sound_front_end
from earmark.models.families import SHORT_NAMES, Family, family_of
from earmark.models.network import Draw
from earmark.models.weights import weights_hash
from earmark.sound_front_end import SoundFrontEnd

Layer = int | str | None
MEAN_LAYER = "mean"
# Raise it when embeddings change for the same weights and front end: it is part of every cache key.
_FORMAT = 1
# What a checkpoint may lack: parts that are not used, and what only training on masked sound needs.
_UNUSED = ("pooler.", "masked_spec_embed", "audio_projection.", "num_batches_tracked", "position_ids")


class Encoder(nn.Module):
    """A pretrained network, and how its output becomes one vector for a window.

    Parameters
    ----------
    network
        The ``transformers`` model.
    files
        What it was loaded from.
    layer
        For families with a stack of layers of one width: None takes the network's own last output, a number the
        output of that layer (0: what goes into the first), ``"mean"`` the mean over all of them.
    front_end
        For networks that hear; None: it looks at pictures.
    """

    def __init__(
        self, network: nn.Module, files: EncoderFiles, layer: Layer = None, front_end: SoundFrontEnd | None = None
    ) -> None:
        super().__init__()
        self.network = network
        self.family: Family = family_of(files.config, files.named)
        self.kind = files.kind
        self.source, self.licence = files.source, files.licence
        self.layer = layer
        self.front_end = front_end
        self.picture: PictureSettings | None = None if front_end else picture_settings(files, self.family)
        self.fused = bool(getattr(network.config, "enable_fusion", False))

    # ------------------------------------------------------------------ what it is

    @property
    def sees(self) -> bool:
        """Whether it looks at a drawn spectrogram; else it hears."""
        return self.picture is not None

    @cached_property
    def size(self) -> int:
        """Length of the vector."""
        config: Any = self.network.config
        if self.family.takes == "clap":
            return int(cast(Any, self.network).audio_model.audio_encoder.num_features)
        if self.family.takes == "picture":
            return self._probe_size()
        return int(getattr(config, "d_model", 0) or config.hidden_size)

    @cached_property
    def rows(self) -> int:
        """How many vectors :meth:`summaries` gives: one of each layer and the network's own, or that one alone."""
        config: Any = self.network.config
        if not self.family.layers:
            return 1
        return int(getattr(config, "encoder_layers", None) or config.num_hidden_layers) + 2

    def fingerprint(self) -> str:
        """16 hexadecimal digits over all weights, for the record of a run or bundle."""
        return self._fingerprint

    @cached_property
    def _fingerprint(self) -> str:
        return weights_hash(self.network)[:16]

    @property
    def feature(self) -> str:
        """What its vectors are called in a dataset and a run: family, weights, layer; no matter where it lies."""
        layer = "" if self.layer is None else f"-{self.layer}" if self.layer == MEAN_LAYER else f"-layer{self.layer}"
        return f"{SHORT_NAMES.get(self.kind, self.kind)}-{self.fingerprint()[:8]}{layer}"

    def key(self) -> str:
        """16 hexadecimal digits that differ whenever :meth:`summaries` may: weights, settings, front end."""
        how = asdict(self.picture) if self.picture is not None else self.front_end and self.front_end.to_dict()
        text = json.dumps([_FORMAT, self.kind, self.fingerprint(), how], sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:16]

    def describe(self) -> dict[str, Any]:
        """What a run or bundle says of it."""
        return {
            "source": self.source,
            "type": self.kind,
            "fingerprint": self.fingerprint(),
            "layer": "last" if self.layer is None else self.layer,
            "parameters": sum(parameter.numel() for parameter in self.network.parameters()),
            "licence": self.licence or "not stated",
            **({"picture": asdict(self.picture)} if self.picture is not None else {}),
        }

    def freeze(self) -> Encoder:
        """Evaluation mode, no gradients."""
        self.eval()
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        return self

    # ------------------------------------------------------------------ what it computes

    def forward(self, numbers: Tensor) -> Tensor:
        """One vector per piece, (n, size), of the layer that was chosen.

        `numbers` are drawn pictures float32 (n, 3, height, width) with colours from 0 to 1, or segments as the front
        end makes them: (n, samples) or (n, frames, bands).
        """
        output, hidden = self._run(numbers)
        if self.layer is None:
            return self._summary(output)
        means = [layer.mean(dim=1) for layer in hidden]
        return torch.stack(means).mean(dim=0) if self.layer == MEAN_LAYER else means[int(self.layer)]

    def summaries(self, numbers: Tensor) -> Tensor:
        """The vectors of all layers and, last, the network's own, (n, rows, size), of what :meth:`forward` takes."""
        output, hidden = self._run(numbers)
        return torch.stack([*(layer.mean(dim=1) for layer in hidden), self._summary(output)], dim=1)

    def pick(self, rows: Tensor | Any) -> Any:
        """Of (n, rows, size) the (n, size) of the layer that was chosen; as :meth:`forward`."""
        if self.layer is None:
            return rows[:, -1]
        return rows[:, :-1].mean(1) if self.layer == MEAN_LAYER else rows[:, int(self.layer)]

    def _run(self, numbers: Tensor) -> tuple[Any, tuple[Tensor, ...]]:
        network: Any = self.network
        takes, wanted = self.family.takes, self.family.layers
        if self.picture is not None:
            output = network(pixel_values=self._scaled(numbers))
        elif takes == "clap":
            # As CLAP's own extractor: one channel, or for the fused kind four alike, none of them of longer sound.
            frames = numbers[:, None].expand(-1, 4 if self.fused else 1, -1, -1)
            longer = torch.zeros(numbers.shape[0], 1, dtype=torch.bool, device=numbers.device)
            output = network.audio_model(input_features=frames, is_longer=longer)
        elif takes == "whisper":
            output = network.encoder(numbers.transpose(1, 2), output_hidden_states=wanted)
        else:
            output = network(input_values=numbers, output_hidden_states=wanted)
        return output, tuple(output.hidden_states) if wanted else ()

    def _scaled(self, picture: Tensor) -> Tensor:
        settings = cast(PictureSettings, self.picture)
        mean = torch.tensor(settings.mean, device=picture.device)[:, None, None]
        deviation = torch.tensor(settings.deviation, device=picture.device)[:, None, None]
        scaled = (picture - mean) / deviation
        return scaled.flip(1) if settings.blue_first else scaled

    def _summary(self, output: Any) -> Tensor:
        family = self.family
        if family.pool == "pooler":
            return cast(Tensor, output.pooler_output).flatten(1)
        if family.pool == "map":
            return cast(Tensor, output.last_hidden_state).mean(dim=(2, 3))
        return cast(Tensor, output.last_hidden_state)[:, family.skip :].mean(dim=1)

    @torch.no_grad()
    def _probe_size(self) -> int:
        settings = cast(PictureSettings, self.picture)
        with _evaluating(self):
            device = next(self.network.parameters()).device
            picture = torch.zeros(1, 3, settings.height, settings.width, device=device)
            return int(self(picture).shape[1])


class WindowEncoder(nn.Module):
    """From what a bundle's front end makes of one window to the encoder's vector for it.

    A picture is drawn here, in magma colours; the segments of sound are encoded each and averaged.

    Parameters
    ----------
    encoder
        With its weights.
    shape
        Of the spectrograms, (bins, columns), where the encoder looks at pictures; else that of its front end.
    """

    def __init__(self, encoder: Encoder, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.encoder = encoder
        self.shape = shape
        settings = encoder.picture
        self.draw = Draw(shape[0], shape[1], settings.height, settings.width) if settings is not None else None

    def pieces(self, numbers: Tensor) -> Tensor:
        """(n, *shape) -> what the encoder takes, window by window: (n * pieces, ...)."""
        if self.draw is not None:
            return (cast(Tensor, self.draw(numbers)) + 1) / 2
        return numbers.flatten(0, 1)

    def forward(self, numbers: Tensor) -> Tensor:
        """uint8 (n, bins, columns), or float32 (n, segments, ...) -> (n, size)."""
        return self.averaged(self.encoder(self.pieces(numbers)))

    def summaries(self, numbers: Tensor) -> Tensor:
        """The same for all layers: (n, rows, size)."""
        return self.averaged(self.encoder.summaries(self.pieces(numbers)))

    def averaged(self, vectors: Tensor) -> Tensor:
        """(n * pieces, ...) -> (n, ...): the mean over the pieces of each window."""
        return vectors if self.draw is not None else vectors.unflatten(0, (-1, self.shape[0])).mean(dim=1)


def parse_layer(text: str | None) -> Layer:
    """``--layer``: a number, ``mean``, or ``last`` (None).

    Raises
    ------
    InputError
        If it is none of these.
    """
    if text is None or text == "last":
        return None
    if text == MEAN_LAYER:
        return MEAN_LAYER
    if text.isdigit():
        return int(text)
    raise InputError(f"A layer is a number from 0 on, or one of mean and last, not {text!r}.")


def load_encoder(source: str | EncoderFiles, *, layer: Layer = None) -> Encoder:
    """Load a pretrained network, frozen.

    Parameters
    ----------
    source
        A folder, or a name on the Hugging Face hub; see :func:`earmark.models.encoder_files.find_files`.
    layer
        See :class:`Encoder`.

    Raises
    ------
    InputError
        If it cannot be reached, is of a type that cannot be a backbone, has its weights in another format or not all
        of them, or has no such layer.
    MissingExtraError
        If transformers is not installed.
    """
    files = source if isinstance(source, EncoderFiles) else find_files(source)
    family = family_of(files.config, files.named)
    front_end = None if family.takes == "picture" else sound_front_end(files, family)
    check_weights(files)
    encoder = Encoder(_load(files, family), files, layer, front_end)
    if layer is not None and not family.layers:
        raise InputError(
            f"{files.named} ({files.kind}) has no layers of one width to choose from; leave --layer out."
        )
    if isinstance(layer, int) and layer > encoder.rows - 2:
        raise InputError(f"{files.named} has the layers 0 to {encoder.rows - 2}, not {layer}.")
    return encoder.freeze()


def _load(files: EncoderFiles, family: Family) -> nn.Module:
    try:
        import transformers
    except ImportError as error:
        raise MissingExtraError("A pretrained backbone", "train") from error
    model = getattr(transformers, family.model)
    # Attention written out: the graph for bundles is traced from it. Code from the model's folder is never run.
    options: dict[str, Any] = {
        "local_files_only": True, "use_safetensors": True, "trust_remote_code": False, "output_loading_info": True,
        "attn_implementation": "eager",
    }  # fmt: skip
    if files.kind == "mert_model":
        own = ("auto_map", "architectures", "model_type")
        known = {name: value for name, value in files.config.items() if name not in own}
        options["config"] = transformers.HubertConfig(**known)
    try:
        with quiet_transformers():
            network, report = model.from_pretrained(files.folder, **options)
    except Exception as error:
        # A configuration or weights that do not fit come back in the exceptions of four libraries.
        reason = " ".join(str(error).split())[:200]
        raise InputError(f"The weights of {files.named} cannot be loaded ({reason}).") from error
    used = [name for name in sorted(report["missing_keys"]) if not _unused(name, family)]
    if used or report["mismatched_keys"]:
        odd = used[0] if used else sorted(report["mismatched_keys"])[0]
        raise InputError(
            f"The weights of {files.named} are not those of a {files.kind}: {odd} is missing or has another shape."
        )
    network.config.apply_spec_augment = False
    for setting in ("layerdrop", "encoder_layerdrop"):
        if hasattr(network.config, setting):
            setattr(network.config, setting, 0.0)
    # Some files hold half precision, and transformers keeps it.
    return _without_the_rest(network, family).float()


def _unused(name: str, family: Family) -> bool:
    return any(part in name for part in _UNUSED if not (part == "pooler." and family.pool == "pooler"))


def _without_the_rest(network: Any, family: Family) -> nn.Module:
    """Drop the parts that are not used, some of them of random weights: the fingerprint is to name what computes."""
    for name in ("decoder", "audio_projection", "masked_spec_embed"):
        if hasattr(network, name):
            delattr(network, name)
    pooler = getattr(network, "pooler", None)
    if family.pool != "pooler" and isinstance(pooler, nn.Module) and list(pooler.parameters()):
        network.pooler = None
    return cast(nn.Module, network)


@contextlib.contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    modes = {part: part.training for part in module.modules()}
    module.eval()
    try:
        yield
    finally:
        for part, training in modes.items():
            part.training = training
