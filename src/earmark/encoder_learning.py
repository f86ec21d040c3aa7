"""From ``--backbone`` to something that can be cross-validated, and on to a bundle."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark.bundle import Bundle, save_bundle
from earmark.dataset import Dataset, load_dataset
from earmark.encoder_learner import EncoderTuneLearner, TuneConfig
from earmark.errors import InputError
from earmark.extract import Failure, extract
from earmark.folds import Protocol
from earmark.learners import HeadLearner
from earmark.models.backbone import ENVIRONMENT_VARIABLE, HUB_NAME
from earmark.models.config import ARCHITECTURES, HeadConfig, TrainingConfig
from earmark.models.encoder_files import EncoderFiles, find_files, is_local
from earmark.prepare import front_end_named, front_end_of
from earmark.probe import ProbeLearner
from earmark.processors import usable_processors
from earmark.progress import Progress, Step, silent
from earmark.runs import Run
from earmark.sound_front_end import AnyFrontEnd
from earmark.store import cache_folder
from earmark.train import card_of, measure_and_fit, usual_protocol

if TYPE_CHECKING:
    from earmark.models.encoder import Encoder

TUNED = "tuned"
MODELS = (*ARCHITECTURES, TUNED)
"""What can be learnt on any backbone: the report's heads on its frozen vectors, or all of it."""
_SPECTROGRAM = "spectrogram"


@dataclass(frozen=True)
class Prepared:
    """All that cross-validation and training need.

    Parameters
    ----------
    dataset
        With the learner's features.
    learner
        A head, or the whole network.
    encoder
        The backbone.
    failures
        Clips that could not be used and are left out.
    """

    dataset: Dataset
    learner: ProbeLearner | EncoderTuneLearner
    encoder: Encoder
    failures: list[Failure]

    @property
    def hearing(self) -> AnyFrontEnd:
        """The front end of what the network takes."""
        return self.encoder.front_end or front_end_of(self.dataset)


def other_backbone(named: str | None, model: str) -> EncoderFiles | None:
    """The backbone that a user wants in place of the usual MobileNetV2; None: that one will do.

    Parameters
    ----------
    named
        What ``--backbone`` says; None: what the environment variable ``EARMARK_BACKBONE`` says.
    model
        What is to be learnt; models without a backbone need none.

    Raises
    ------
    InputError
        If it is named and cannot be found, or the model goes with other backbones only.
    """
    files: EncoderFiles | None = None
    chosen = named or os.environ.get(ENVIRONMENT_VARIABLE)
    if model in MODELS and chosen and chosen != HUB_NAME:
        # What the variable names is looked for only when something needs it.
        wanted = named or not is_local(chosen) or (Path(chosen).expanduser() / "config.json").is_file()
        files = find_files(chosen) if wanted else None
    if files is not None and files.kind == "mobilenet_v2" and files.config.get("depth_multiplier", 1.0) == 1.0:
        files = None
    if files is None and model == TUNED:
        raise InputError(
            "The model tuned needs --backbone: a folder or hub name of another network than MobileNetV2 1.0, for "
            "example --backbone MIT/ast-finetuned-audioset-10-10-0.4593."
        )
    return files


def prepare_encoder(
    source: str | Path,
    files: EncoderFiles,
    model: str,
    *,
    layer: str | None = None,
    epochs: int | None = None,
    batch_size: int | None = None,
    learning_rate: float | None = None,
    kind: str = "mel",
    cache: Path | None = None,
    jobs: int | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> Prepared:
    """Load a backbone and a dataset, and compute what the learner needs.

    Parameters
    ----------
    source
        See :func:`earmark.dataset.load_dataset`.
    files
        From :func:`other_backbone`.
    model
        One of :data:`MODELS`.
    layer
        A number, ``mean``, or ``last`` (None); see :class:`earmark.models.encoder.Encoder`.
    epochs, batch_size, learning_rate
        None: the usual ones of a head or of fine-tuning.
    kind
        Front end of pictures: ``mel`` or ``stft``. Sound goes through the backbone's own.

    Raises
    ------
    InputError
        If there is nothing to work with.
    """
    from earmark.encoder_features import sound_feature, with_encoder_features, with_sound
    from earmark.models.encoder import load_encoder, parse_layer

    pictures = front_end_named(kind)
    given: dict[str, Any] = {"epochs": epochs, "batch_size": batch_size, "learning_rate": learning_rate}
    settings = {name: value for name, value in given.items() if value is not None}
    # Settings that make no sense are found before anything is loaded.
    tuning = TuneConfig(**settings) if model == TUNED else None
    training = TrainingConfig(**settings) if tuning is None else None
    chosen = parse_layer(layer)
    dataset = load_dataset(source)
    encoder = load_encoder(files, layer=chosen)
    folder, workers = cache if cache is not None else cache_folder(), jobs or usable_processors()
    failures: list[Failure] = []
    if dataset.spectrograms is None and any(clip.path is not None for clip in dataset.clips):
        # Also for a backbone that hears: repeated recordings are found, and reports drawn, by these.
        dataset, failures = extract(dataset, pictures, cache=folder, jobs=workers, progress=progress)
    front_end = encoder.front_end
    own = front_end.to_dict() if front_end is not None else None
    learner: ProbeLearner | EncoderTuneLearner
    left: list[Failure] = []
    if tuning is None:
        dataset, left = with_encoder_features(
            dataset, encoder, cache=folder, jobs=workers, device=device, progress=progress
        )
        head = HeadLearner(HeadConfig(model), training or TrainingConfig(), encoder.feature)  # type: ignore[arg-type]
        return Prepared(dataset, ProbeLearner(head, encoder.describe(), own), encoder, [*failures, *left])
    if front_end is not None:
        dataset, left = with_sound(dataset, front_end, cache=folder, jobs=workers, progress=progress)
        feature = sound_feature(front_end)
    else:
        feature = _SPECTROGRAM
        if dataset.spectrograms is None:
            raise InputError(f"{dataset.name} has neither sound nor spectrograms to fine-tune {encoder.source} on.")
        seen: Any = dataset.spectrograms
        dataset = replace(dataset, features={**dataset.features, feature: seen})
    learner = EncoderTuneLearner(
        encoder.describe(), str(files.folder), feature, encoder.feature, chosen, tuning, own
    )  # fmt: skip
    return Prepared(_with_thumbnails(dataset), learner, encoder, [*failures, *left])


def _with_thumbnails(dataset: Dataset) -> Dataset:
    from earmark.features import thumbnails

    if dataset.thumbnails is not None or dataset.spectrograms is None:
        return dataset
    return replace(dataset, thumbnails=thumbnails(dataset.spectrograms))


def train_encoder(
    prepared: Prepared,
    out: Path | str,
    *,
    protocol: Protocol | None = None,
    runs: Path | None = None,
    seed: int = 0,
    jobs: int | None = None,
    device: str = "cpu",
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> tuple[Bundle, Run]:
    """Cross-validate, then train on all clips, and write the bundle: :func:`earmark.train.train` for any backbone.

    The backbone and its front end are in the bundle, so that nothing but ONNX Runtime is needed to hear with it.

    Raises
    ------
    InputError
        If the backbone is too large for a bundle, or no bundle could hear as the dataset's spectrograms were made.
    StoreError
        If the exported graph does not compute what the network computes.
    """
    from earmark.models.encoder import WindowEncoder
    from earmark.models.encoder_network import ProbeNetwork, check_graph, check_size, export_encoder_network
    from earmark.models.storage import halve_weights

    out = Path(out)
    dataset, learner, encoder, hearing = prepared.dataset, prepared.learner, prepared.encoder, prepared.hearing
    check_size(encoder)
    fitted: Any
    run, fitted = measure_and_fit(
        dataset, learner, protocol or usual_protocol(dataset, seed), runs or out.with_suffix(".run"), seed=seed,
        jobs=jobs, device=device, command=command, progress=progress,
    )  # fmt: skip
    if isinstance(learner, ProbeLearner):
        windows = WindowEncoder(encoder, hearing.shape)
        network: Any = ProbeNetwork(windows, fitted.fitted.head, fitted.mean, fitted.deviation).eval()
    else:
        network = fitted.network
    card = card_of(
        dataset, out.stem, learner, run, front_end=hearing, embedding_size=network.embedding_size, seed=seed,
        backbone=encoder.describe(), licence=_licence(encoder),
    )  # fmt: skip
    progress(Step("writing the bundle", 0, 1))
    graph = export_encoder_network(network)
    check_graph(graph, network)
    bundle = save_bundle(out, card, halve_weights(graph))
    progress(Step("writing the bundle", 1, 1))
    return bundle, run


def _licence(encoder: Encoder) -> str:
    told = f"{encoder.licence}, says its model card" if encoder.licence else "its model card does not say"
    sentence = f"The weights come from {encoder.source}; their licence: {told}."
    if "-nc" in encoder.licence.lower():
        sentence += " It forbids commercial use, of this model too."
    return f"{sentence} The model inherits what that licence and those of its training sounds ask for."
