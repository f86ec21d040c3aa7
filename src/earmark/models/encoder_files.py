"""The files of a pretrained network: found in a folder or fetched from the hub, and read without running anything.

Weights are taken as safetensors only, because the other format, ``pytorch_model.bin``, is pickle: a program.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.errors import InputError, MissingExtraError
from earmark.models.hub import hub_reachable, quiet_hub

_WANTED = (
    "config.json", "preprocessor_config.json", "processor_config.json", "README.md", "model*.safetensors",
    "model.safetensors.index.json",
)  # fmt: skip
_CONVERTER = "https://huggingface.co/spaces/safetensors/convert"
# More than any of these files holds; what is larger is something else.
_LARGEST = 16 * 1024**2


@dataclass(frozen=True)
class EncoderFiles:
    """A folder with a model, and what its small files say.

    Parameters
    ----------
    named
        As the user named it, for messages.
    source
        Name and revision on the hub, or the folder's name, for the record.
    folder
        Where the files lie.
    config, preprocessing
        ``config.json``, and what the model's feature extractor or image processor was set to ({}: not known).
    licence
        Of the weights, as the model card's header says it; empty where it says nothing.
    """

    named: str
    source: str
    folder: Path
    config: Mapping[str, Any]
    preprocessing: Mapping[str, Any]
    licence: str

    @property
    def kind(self) -> str:
        """The ``model_type``."""
        return str(self.config.get("model_type", ""))


def is_local(named: str) -> bool:
    """Whether a name means a folder and not a model on the hub."""
    if Path(named).expanduser().exists() or named.startswith((".", "/", "~")):
        return True
    return named.partition("@")[0].count("/") != 1


def find_files(named: str) -> EncoderFiles:
    """Find a model's files and read the small ones.

    Parameters
    ----------
    named
        A folder, or a name on the Hugging Face hub: ``owner/name``, or ``owner/name@revision`` for a branch, tag,
        commit or pull request (``refs/pr/1``).

    Raises
    ------
    InputError
        If there is no such model, it cannot be reached, or its files are damaged.
    """
    if is_local(named):
        folder, source = Path(named).expanduser(), Path(named).expanduser().resolve().name
    else:
        folder, source = _fetch(named), named
    if not (folder / "config.json").is_file():
        raise InputError(
            f"{named} is not a folder with a transformers model (it has no config.json). Give a folder that "
            "save_pretrained wrote, or a name on the Hugging Face hub such as m-a-p/MERT-v1-95M."
        )
    config = _json(folder / "config.json")
    preprocessing: Mapping[str, Any] = {}
    if (folder / "preprocessor_config.json").is_file():
        preprocessing = _json(folder / "preprocessor_config.json")
    elif (folder / "processor_config.json").is_file():
        # Where one file holds the settings of all parts of a processor.
        whole = _json(folder / "processor_config.json")
        found = whole.get("feature_extractor") or whole.get("image_processor")
        preprocessing = found if isinstance(found, dict) else {}
    return EncoderFiles(named, source, folder, config, preprocessing, _licence(folder / "README.md"))


def check_weights(files: EncoderFiles) -> None:
    """Make sure that the weights are there, as safetensors.

    Raises
    ------
    InputError
        If not; the sentence says how to come by them.
    """
    if any(files.folder.glob("model*.safetensors")):
        return
    if is_local(files.named) and any(files.folder.glob("pytorch_model*.bin")):
        way = "Save the model once more with save_pretrained, which writes safetensors"
    elif is_local(files.named):
        raise InputError(f"{files.named} has no weights: there is no model.safetensors beside its config.json.")
    else:
        way = (
            f"Have the hub convert it ({_CONVERTER} opens a pull request), then name that: "
            f"--backbone {files.named.partition('@')[0]}@refs/pr/NUMBER"
        )
    raise InputError(
        f"The weights of {files.named} are not there as safetensors, and Earmark reads no pickled ones. {way}."
    )


def _fetch(named: str) -> Path:
    name, _, revision = named.partition("@")
    try:
        from huggingface_hub import errors, snapshot_download
        from huggingface_hub.utils.tqdm import are_progress_bars_disabled, disable_progress_bars, enable_progress_bars
    except ImportError as error:
        raise MissingExtraError("A backbone from the hub", "train") from error
    shown = not are_progress_bars_disabled()
    disable_progress_bars()
    try:
        with quiet_hub():
            return Path(
                snapshot_download(
                    name,
                    revision=revision or None,
                    allow_patterns=list(_WANTED),
                    local_files_only=not hub_reachable(),
                )
            )
    except errors.GatedRepoError as error:
        raise InputError(
            f"{name} is on the hub only for those who accepted its terms: accept them on "
            f"https://huggingface.co/{name}, then sign in with: hf auth login"
        ) from error
    except errors.RevisionNotFoundError as error:
        raise InputError(f"There is no revision {revision!r} of {name} on the Hugging Face hub.") from error
    except errors.RepositoryNotFoundError as error:
        raise InputError(
            f"There is no model {name} on the Hugging Face hub (or it is private), and no such folder here."
        ) from error
    except Exception as error:
        # The hub's client lets through what three network libraries raise; all of it means: not fetched.
        raise InputError(
            f"{named} cannot be fetched from the Hugging Face hub, and is not in its cache here. Connect to the "
            f"network, or fetch it elsewhere (hf download {name} --local-dir FOLDER) and give the folder."
        ) from error
    finally:
        if shown:
            enable_progress_bars()


def _json(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST:
            raise ValueError(f"it is larger than {_LARGEST} bytes")
        found = json.loads(path.read_text("utf-8"))
        if not isinstance(found, dict):
            raise ValueError("it holds no object")
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read ({error}). Get the model again.") from error
    return found


def _licence(card: Path) -> str:
    """The licence in the header of a model card."""
    try:
        with card.open(encoding="utf-8", errors="replace") as handle:
            text = handle.read(_LARGEST)
    except OSError:
        return ""
    header = re.match(r"---\s*\n(.*?)\n---", text, re.DOTALL)
    if header is None:
        return ""
    found = dict(re.findall(r"^(license(?:_name)?):[ \t]*[\"']?([^\"'\n]+?)[\"']?[ \t]*$", header[1], re.MULTILINE))
    licence = str(found.get("license", ""))
    return str(found.get("license_name", licence)) if licence == "other" else licence
