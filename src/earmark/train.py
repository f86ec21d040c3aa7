"""Train on every clip and make a bundle of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from earmark.bundle import Bundle, Card, save_bundle
from earmark.crossval import crossval, features_of
from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.exports import export_of
from earmark.fold_worker import one_thread
from earmark.folds import GROUPED, RANDOM, Protocol, default_protocol, make_protocol
from earmark.learners import HeadLearner, Learner
from earmark.metrics import apply_temperature, fit_temperature, threshold_for_precision
from earmark.models.backbone import Backbone
from earmark.prepare import front_end_of
from earmark.progress import Progress, Step, silent
from earmark.run_writer import versions
from earmark.runs import Run
from earmark.sound_front_end import AnyFrontEnd
from earmark.train_novelty import learn_novelty

# Answers above the threshold of "unsure" should be right at least this often, out of fold.
WANTED_PRECISION = 0.9
# Where no threshold gets there, only the surer half is answered.
FALLBACK_COVERAGE = 0.5
LIMITS = (
    "Knows only its own genres: sound of any other kind is reported as unsure or, at worst, as one of them. "
    "Scores hold for music like the training clips."
)


@dataclass(frozen=True)
class Calibration:
    """What out-of-fold predictions say of confidence.

    Parameters
    ----------
    temperature
        Logits are divided by it.
    unsure_below
        The threshold of "unsure".
    precision, coverage
        Share of right answers above the threshold, and share of clips above it, out of fold.
    """

    temperature: float
    unsure_below: float
    precision: float
    coverage: float


def calibrate(run: Run) -> Calibration:
    """Temperature and threshold from a run's out-of-fold predictions."""
    found = run.predictions
    if found is None:
        raise InputError(f"The run {run.folder} holds no predictions to calibrate with.")
    logits = np.log(np.maximum(found.probabilities, 1e-12))
    temperature = fit_temperature(logits, found.y_true)
    confidence = apply_temperature(logits, temperature).max(axis=1)
    correct = found.predicted == found.y_true
    threshold = threshold_for_precision(confidence, correct, WANTED_PRECISION)
    if threshold is not None:
        return Calibration(temperature, threshold.confidence, threshold.accuracy, threshold.coverage)
    cut = float(np.quantile(confidence, 1 - FALLBACK_COVERAGE))
    above = confidence >= cut
    return Calibration(temperature, cut, float(correct[above].mean()), float(above.mean()))


def train(
    dataset: Dataset,
    out: Path | str,
    *,
    backbone: Backbone,
    learner: Learner | None = None,
    protocol: Protocol | None = None,
    runs: Path | None = None,
    seed: int = 0,
    jobs: int | None = None,
    device: str = "cpu",
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> tuple[Bundle, Run]:
    """Cross-validate, then train on all clips, and write the bundle.

    Cross-validation comes first because the bundle must know how sure it may be: temperature, threshold and the
    scores on its card are from out-of-fold predictions.

    Parameters
    ----------
    dataset
        With the learner's features, and with the front end they were made by.
    out
        The bundle to write; its suffix is ``.earmark`` by custom.
    backbone
        The one that the features were computed with.
    protocol
        For the cross-validation; None: by artist where groups are known, with as many folds as there can be up to 5.
    runs
        Folder for the cross-validation's run; None: beside the bundle.

    Returns
    -------
    bundle, run
    """
    out = Path(out)
    learner = learner or HeadLearner()
    # A model that cannot be put into a bundle is refused before it is trained, not after.
    export_of(learner, backbone, *front_end_of(dataset).shape)
    protocol = protocol or usual_protocol(dataset, seed)
    run, fitted = measure_and_fit(
        dataset, learner, protocol, runs or out.with_suffix(".run"), seed=seed, jobs=jobs, device=device,
        command=command, progress=progress,
    )  # fmt: skip
    progress(Step("writing the bundle", 0, 1))
    bundle = finish(dataset, out, learner, fitted, run, protocol, backbone=backbone, seed=seed)
    progress(Step("writing the bundle", 1, 1))
    return bundle, run


def finish(
    dataset: Dataset,
    out: Path,
    learner: Learner,
    fitted: Any,
    run: Run,
    protocol: Protocol,
    *,
    backbone: Backbone,
    seed: int,
) -> Bundle:
    """Write the bundle of a model trained on all clips, with what its cross-validation says of it.

    Parameters
    ----------
    fitted
        What ``learner.fit`` gave for all clips of the dataset.
    run, protocol
        The cross-validation of the same learner, and its folds.
    """
    front_end = front_end_of(dataset)
    exported = export_of(learner, backbone, *front_end.shape)(fitted)
    card = card_of(
        dataset, out.stem, learner, run, front_end=front_end, embedding_size=exported.embedding_size, seed=seed,
        backbone={"source": Path(backbone.source).name, "fingerprint": backbone.fingerprint()},
        licence="The model inherits what the licences of its training sounds and of the ImageNet weights ask for.",
    )  # fmt: skip
    # A frozen backbone's pooled features are the plain head's embedding, in every fold.
    plain = isinstance(learner, HeadLearner) and fitted.head.gru is None
    embeddings = dataset.features[learner.feature] if plain else None
    return save_bundle(out, card, exported.model, learn_novelty(dataset, protocol.folds, embeddings))


def measure_and_fit(
    dataset: Dataset,
    learner: Learner,
    protocol: Protocol,
    runs: Path,
    *,
    seed: int,
    jobs: int | None,
    device: str,
    command: Sequence[str],
    progress: Progress,
) -> tuple[Run, Any]:
    """Cross-validate a learner, then train it on all clips.

    Returns
    -------
    run, fitted
        The second is what ``learner.fit`` gave for all clips.
    """
    run = crossval(
        dataset, learner, protocol, runs, jobs=jobs, device=device, command=command, progress=progress
    )  # fmt: skip
    with one_thread():
        fitted = learner.fit(
            features_of(dataset, learner), dataset.targets, len(dataset.labels), seed=seed, device=device,
            progress=lambda step: progress(Step("training on all clips", step.done, step.total, step.note)),
        )  # fmt: skip
    return run, fitted


def card_of(
    dataset: Dataset,
    name: str,
    learner: Learner,
    run: Run,
    *,
    front_end: AnyFrontEnd,
    embedding_size: int,
    backbone: Mapping[str, Any],
    licence: str,
    seed: int,
) -> Card:
    """The card of a model trained on all clips, with what its cross-validation says of it.

    Parameters
    ----------
    run
        The cross-validation of the same learner.
    front_end
        Of what the network takes.
    backbone
        Where its weights come from, and their fingerprint.
    """
    calibration = calibrate(run)
    return Card(
        name=name,
        labels=dataset.labels,
        front_end=front_end.to_dict(),
        temperature=calibration.temperature,
        unsure_below=calibration.unsure_below,
        embedding_size=embedding_size,
        provenance={
            "dataset": dataset.name,
            "clips": len(dataset.clips),
            "fingerprint": dataset.fingerprint,
            "model": learner.describe(),
            "backbone": dict(backbone),
            "seed": seed,
            "versions": versions(),
        },
        scores={run.protocol["name"]: scores_of(run, calibration)},
        licence=licence,
        limits=LIMITS,
    )


def usual_protocol(dataset: Dataset, seed: int) -> Protocol:
    """By artist where groups are known, else random; with as many folds as there can be, up to 5."""
    name = default_protocol(dataset)
    counts = dataset.label_counts() if name == RANDOM else {k: len(v) for k, v in dataset.label_groups().items()}
    fewest = min(counts.values())
    if fewest < 2 and name == GROUPED:
        name, fewest = RANDOM, min(dataset.label_counts().values())
    return make_protocol(dataset, name, folds=max(2, min(5, fewest)), seeds=[seed])


def scores_of(run: Run, calibration: Calibration) -> dict[str, Any]:
    """What a bundle's card says of the cross-validation that came before it."""
    metrics: Mapping[str, Any] = run.metrics or {}
    return {
        "protocol": dict(run.protocol),
        "accuracy": metrics["accuracy"],
        "macro_f1": metrics["macro_f1"],
        "sure": {"precision": calibration.precision, "coverage": calibration.coverage},
    }
