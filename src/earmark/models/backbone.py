"""The pretrained convolutional network: MobileNetV2 with ImageNet weights, frozen."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from torch import Tensor, nn

from earmark.errors import InputError, MissingExtraError
from earmark.models.hub import hub_reachable, quiet_hub
from earmark.models.weights import weights_hash

HUB_NAME = "google/mobilenet_v2_1.0_224"
ENVIRONMENT_VARIABLE = "EARMARK_BACKBONE"
FEATURES = 1280


@contextlib.contextmanager
def quiet_transformers() -> Iterator[None]:
    """Keep the loading bar and remarks of transformers off the terminal, and put its settings back afterwards."""
    from transformers.utils import logging

    shown, level = logging.is_progress_bar_enabled(), logging.get_verbosity()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    try:
        yield
    finally:
        logging.set_verbosity(level)
        if shown:
            logging.enable_progress_bar()


class Backbone(nn.Module):
    """MobileNetV2 without its classifier (Sandler et al., 2018), with TensorFlow ("SAME") padding.

    Parameters
    ----------
    network
        A ``transformers`` ``MobileNetV2Model``.
    source
        Where its weights came from, for the record.
    """

    name = "mobilenetv2_1.00_224"

    def __init__(self, network: nn.Module, source: str) -> None:
        super().__init__()
        self.network = network
        self.source = source

    def forward(self, image: Tensor) -> Tensor:
        """(n, 3, height, width) in [-1, 1] -> feature map (n, 1280, height / 32, width / 32)."""
        return cast(Tensor, self.network(image).last_hidden_state)

    def freeze(self) -> Backbone:
        """Evaluation mode, no gradients: as the report uses it."""
        self.eval()
        for parameter in self.parameters():
            parameter.requires_grad_(False)
        return self

    def values(self) -> int:
        """Number of values the weights hold, BatchNorm's running statistics included (as Keras counts)."""
        counted = sum(parameter.numel() for parameter in self.parameters())
        return counted + sum(b.numel() for name, b in self.named_buffers() if "num_batches" not in name)

    def fingerprint(self) -> str:
        """16 hexadecimal digits over all weights, for the record of a run or bundle."""
        return weights_hash(self)[:16]


def load_backbone(source: str | Path | None = None, *, revision: str = "main") -> Backbone:
    """Load MobileNetV2 with ImageNet weights, frozen.

    Parameters
    ----------
    source
        A folder with a ``transformers`` model, or a name on the Hugging Face hub. None: the folder or name in the
        environment variable ``EARMARK_BACKBONE``, else ``google/mobilenet_v2_1.0_224`` from the hub or its cache.
    revision
        Branch, tag or commit on the hub; ignored for a folder.

    Raises
    ------
    InputError
        If no weights can be reached; the message names the ways to give them.
    MissingExtraError
        If transformers is not installed.
    """
    named = str(source or os.environ.get(ENVIRONMENT_VARIABLE) or HUB_NAME)
    ways = f"Give a folder with --backbone, or set {ENVIRONMENT_VARIABLE} to one, or connect to the network."
    folder = Path(named).expanduser()
    looks_local = folder.exists() or named.startswith((".", "/", "~")) or named.count("/") != 1
    if looks_local and not (folder / "config.json").is_file():
        raise InputError(f"{named} is not a folder with a transformers model (it has no config.json). {ways}")
    try:
        with quiet_transformers(), quiet_hub():
            from transformers import MobileNetV2Config, MobileNetV2Model

            # Of another model's folder transformers would make a MobileNetV2 of random weights.
            place = str(folder) if looks_local else named
            at: dict[str, Any] = {"revision": revision, "local_files_only": looks_local or not hub_reachable()}
            kind = MobileNetV2Config.get_config_dict(place, **at)[0].get("model_type", "mobilenet_v2")
            if kind != "mobilenet_v2":
                raise InputError(
                    f"{named} is a model of the type {kind!r}, and this needs a MobileNetV2. Other backbones go with "
                    "earmark crossval and earmark train."
                )
            network = MobileNetV2Model.from_pretrained(place, **at)
    except ImportError as error:
        raise MissingExtraError("The MobileNetV2 backbone", "train") from error
    except (OSError, ValueError) as error:
        raise InputError(f"The ImageNet weights of MobileNetV2 cannot be loaded from {named}. {ways}") from error
    if network.config.depth_multiplier != 1.0:
        raise InputError(f"{named} is a MobileNetV2 of another width ({network.config.depth_multiplier}, not 1.0).")
    return Backbone(network, "folder" if looks_local else f"{named}@{revision}").freeze()
