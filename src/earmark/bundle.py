"""The bundle: everything that a finished model needs, in one file.

A ZIP archive, uncompressed, of ``model.onnx``, ``bundle.json``, ``manifest.json`` and, where the model knows what it
has learnt from (:mod:`earmark.novelty`), ``novelty.safetensors``. Nothing in it is pickle. The manifest holds size
and SHA-256 of the other parts, and they are checked before anything is used.
"""

from __future__ import annotations

import hashlib
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from earmark.errors import InputError, StoreError
from earmark.features import MUSICAL
from earmark.files import atomic_write
from earmark.musical_features import SIZE as MUSICAL_SIZE
from earmark.novelty import Novelty
from earmark.sound_front_end import AnyFrontEnd, SoundFrontEnd, graph_input, picture_front_end, read_front_end
from earmark.spectrogram import FrontEnd

if TYPE_CHECKING:
    import onnxruntime

FORMAT = 1
SUFFIX = ".earmark"
# Far above any bundle of ours, far below what would exhaust a machine.
LARGEST_PART = 2 * 1024**3
_PARTS = ("model.onnx", "bundle.json")
# Bundles may lack it, and versions of Earmark that do not know it pass over it.
_NOVELTY = "novelty.safetensors"


class Card(BaseModel):
    """What ``bundle.json`` says of a model.

    Parameters
    ----------
    name
        What to call the model.
    labels
        In the order of the logits.
    front_end
        ``to_dict`` of a :class:`earmark.spectrogram.FrontEnd` or :class:`earmark.sound_front_end.SoundFrontEnd`.
    temperature
        Logits are divided by it before softmax.
    unsure_below
        A track whose best calibrated probability is below this is reported as unsure.
    embedding_size
        Length of the embedding.
    provenance
        Data, protocol, seeds, versions, weights: how it was made.
    scores
        Out-of-fold scores with intervals, by protocol.
    licence
        Of weights and data, in words.
    limits
        What it is bad at, in words.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    format: Literal[1] = 1
    name: str = Field(min_length=1)
    labels: tuple[str, ...] = Field(min_length=1)
    front_end: dict[str, Any]
    temperature: float = Field(default=1.0, gt=0)
    unsure_below: float = Field(default=0.0, ge=0, le=1)
    embedding_size: int = Field(gt=0)
    provenance: dict[str, Any] = Field(default_factory=dict)
    scores: dict[str, Any] = Field(default_factory=dict)
    licence: str = ""
    limits: str = ""

    @model_validator(mode="after")
    def _labels_differ(self) -> Card:
        if len(set(self.labels)) != len(self.labels):
            raise ValueError("a label is listed twice")
        return self


@dataclass(frozen=True)
class Bundle:
    """A model that was read and checked.

    Parameters
    ----------
    card
        What it says of itself.
    model
        The ONNX graph: ``spectrogram`` uint8 (n, bins, columns), or ``sound`` float32 (n, segments, ...), to
        ``logits`` (n, labels) and ``embedding`` (n, embedding_size).
    id
        SHA-256 over all parts; equal for equal bundles wherever they lie.
    front_end
        How a window is drawn, at the rate and length that the network hears; see :attr:`hearing`.
    novelty
        What tells sound that is unlike anything the model has learnt; None where it came without.
    """

    card: Card
    model: bytes = field(repr=False)
    id: str
    front_end: FrontEnd
    novelty: Novelty | None = field(default=None, repr=False)

    @cached_property
    def hearing(self) -> AnyFrontEnd:
        """What the network takes: `front_end` itself where it looks at pictures, else sound or log-mel frames."""
        own = read_front_end(self.card.front_end)
        return own if isinstance(own, SoundFrontEnd) else self.front_end

    @property
    def labels(self) -> tuple[str, ...]:
        """Genres, in the order of the logits."""
        return self.card.labels

    @property
    def temperature(self) -> float:
        """What logits are divided by."""
        return self.card.temperature

    @property
    def unsure_below(self) -> float:
        """Calibrated probability under which a track is unsure."""
        return self.card.unsure_below

    @property
    def embedding_size(self) -> int:
        """Length of the embedding."""
        return self.card.embedding_size

    def session(self, *, threads: int = 1) -> onnxruntime.InferenceSession:
        """Start ONNX Runtime on the graph and check that the graph is the one the card describes.

        Raises
        ------
        StoreError
            If the graph cannot be loaded or takes another window.
        """
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        # Errors come back as exceptions; warnings about the graph are nothing a listener can act on.
        options.log_severity_level = 3
        # Spinning threads would take the processors from the decoders beside them.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            session = ort.InferenceSession(self.model, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # ONNX Runtime's exceptions share no public base class
            raise StoreError(f"The model in the bundle {self.card.name!r} cannot be loaded ({error}).") from error
        inputs = {i.name: (i.type, tuple(i.shape[1:])) for i in session.get_inputs()}
        outputs = {o.name: o.shape[-1] for o in session.get_outputs()}
        name, kind, shape = graph_input(self.hearing)
        # A machine beside the network takes the musical features of the same picture.
        beside = inputs.pop(MUSICAL, None)
        if inputs != {name: (kind, shape)} or beside not in (None, ("tensor(float)", (MUSICAL_SIZE,))):
            raise StoreError(
                f"The model in the bundle {self.card.name!r} takes {inputs}, but its front end makes "
                f"a {name} of {shape}."
            )
        if outputs != {"logits": len(self.labels), "embedding": self.embedding_size}:
            raise StoreError(
                f"The model in the bundle {self.card.name!r} gives {outputs}, but its card says {len(self.labels)} "
                f"labels and an embedding of {self.embedding_size}."
            )
        return session


def save_bundle(path: Path | str, card: Card, model: bytes, novelty: Novelty | None = None) -> Bundle:
    """Write a bundle, then read it back with all checks.

    Parameters
    ----------
    novelty
        What tells sound that is unlike anything the model has learnt; None: the bundle goes by confidence alone.

    Raises
    ------
    InputError
        If the place cannot be written.
    """
    parts = {"model.onnx": model, "bundle.json": card.model_dump_json(indent=2).encode()}
    if novelty is not None:
        parts[_NOVELTY] = novelty.to_bytes()
    listed = {name: {"size": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in parts.items()}
    manifest = {"format": FORMAT, "parts": listed}
    parts["manifest.json"] = json.dumps(manifest, indent=2).encode()
    with atomic_write(path) as handle, zipfile.ZipFile(handle, "w", zipfile.ZIP_STORED) as archive:
        for name, data in parts.items():
            # A fixed date: the same model makes the same file.
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return load_bundle(path)


def load_bundle(path: Path | str) -> Bundle:
    """Read a bundle and check every part of it.

    Raises
    ------
    InputError
        If there is no file, or it is not a bundle.
    StoreError
        If a part is missing, was changed, or comes from another version.
    """
    path = Path(path)
    if not path.is_file():
        raise InputError(f"There is no bundle at {path}. Make one with: earmark train DATASET -o {path.name}")
    try:
        with zipfile.ZipFile(path) as archive:
            manifest = json.loads(_part(archive, "manifest.json", 1024**2))
            if manifest["format"] != FORMAT:
                raise StoreError(
                    f"{path} is a bundle of format {manifest['format']}, and this version of Earmark reads {FORMAT}. "
                    "Update Earmark, or train the bundle again."
                )
            names = [*_PARTS, *([_NOVELTY] if _NOVELTY in manifest["parts"] else [])]
            data = {name: _checked(archive, name, manifest["parts"][name], path) for name in names}
    except (zipfile.BadZipFile, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"{path} is no Earmark bundle, or is damaged ({error}). Copy or train it again.") from error
    except (KeyError, TypeError, ValueError) as error:
        raise StoreError(f"The bundle {path} lacks a part ({error}). Copy or train it again.") from error
    except OSError as error:
        raise InputError(f"The bundle {path} cannot be read ({error.strerror or error}).") from error
    try:
        card = Card.model_validate_json(data["bundle.json"])
        front_end = picture_front_end(read_front_end(card.front_end))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the card"
        raise StoreError(f"The bundle {path} says something impossible: {where}: {first['msg']}.") from error
    digest = hashlib.sha256(data["bundle.json"] + hashlib.sha256(data["model.onnx"]).digest())
    novelty = None
    if _NOVELTY in data:
        digest.update(hashlib.sha256(data[_NOVELTY]).digest())
        novelty = Novelty.from_bytes(data[_NOVELTY], card.embedding_size)
    return Bundle(card, data["model.onnx"], digest.hexdigest(), front_end, novelty)


def _part(archive: zipfile.ZipFile, name: str, largest: int) -> bytes:
    with archive.open(name) as handle:
        data = handle.read(largest + 1)
    if len(data) > largest:
        raise ValueError(f"{name} is larger than {largest} bytes")
    return data


def _checked(archive: zipfile.ZipFile, name: str, promised: Mapping[str, Any], path: Path) -> bytes:
    size = int(promised["size"])
    if not 0 <= size <= LARGEST_PART:
        raise ValueError(f"{name} claims {size} bytes")
    data = _part(archive, name, size)
    if len(data) != size or hashlib.sha256(data).hexdigest() != promised["sha256"]:
        raise StoreError(f"The bundle {path} is damaged: {name} is not what its manifest says. Copy it again.")
    return data
