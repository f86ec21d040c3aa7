"""Which number tells what a model has not learnt? Candidates, tried on the development kinds of sound alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.features import mfcc_statistics
from earmark.metrics import log_softmax
from earmark.novelty import Classes, Timbres
from earmark.progress import Progress, Step, silent
from earmark.robustness.ears import Ears, classifier_of
from earmark.robustness.genres import auroc
from earmark.spectrogram import fit_window, spectrogram
from earmark.train_novelty import REFUSED

Floats = NDArray[np.float64]
_NEIGHBOURS = 5
_CHUNK = 16


@dataclass(frozen=True)
class Rule:
    """One candidate, judged at the threshold that refuses :data:`earmark.train_novelty.REFUSED` of known music.

    Parameters
    ----------
    name
        In words.
    auroc
        Chance that it finds a sound that is no music stranger than an out-of-fold clip.
    accepted
        Share of the sounds that it accepts, mean over the folds' models.
    """

    name: str
    auroc: float
    accepted: float


def compare_rules(
    dataset: Dataset, ears: Ears, sounds: Sequence[NDArray[np.float32]], *, progress: Progress = silent
) -> list[Rule]:
    """Judge every candidate by out-of-fold clips and by sounds that are no music.

    Parameters
    ----------
    dataset
        With spectrograms.
    ears
        A bundle per fold.
    sounds
        Mono samples at the bundles' rate, of development kinds.
    """
    if not ears.out_of_fold or dataset.spectrograms is None:
        raise InputError("Rules are compared out of fold: give bundles of folds and a dataset with spectrograms.")
    front_end = ears.first.front_end
    pictures = np.stack([spectrogram(fit_window(sound, front_end), front_end) for sound in sounds])
    timbres, odd = mfcc_statistics(dataset.spectrograms), mfcc_statistics(pictures)
    known: dict[str, list[Floats]] = {}
    strange: dict[str, list[Floats]] = {}
    files = sorted(set(ears.files.values()))
    for number, file in enumerate(files):
        progress(Step("comparing rules", number, len(files), file.stem))
        test = np.array([ears.of(clip.id) == file for clip in dataset.clips])
        logits, embeddings = _hear(file, dataset.spectrograms)
        own_logits, own_embeddings = _hear(file, pictures)
        train = (embeddings[~test], dataset.targets[~test], timbres[~test])
        for name, values in _scores(train, logits[test], embeddings[test], timbres[test]).items():
            known.setdefault(name, []).append(values)
        for name, values in _scores(train, own_logits, own_embeddings, odd).items():
            strange.setdefault(name, []).append(values)
    progress(Step("comparing rules", len(files), len(files)))
    rules = []
    for name in known:
        limit = np.quantile(np.concatenate(known[name]), 1 - REFUSED)
        told = [auroc(values, own) for own, values in zip(known[name], strange[name], strict=True)]
        accepted = np.mean([(values <= limit).mean() for values in strange[name]])
        rules.append(Rule(name, float(np.mean(told)), float(accepted)))
    return rules


def _hear(file: Path, pictures: NDArray[np.uint8]) -> tuple[Floats, Floats]:
    """Logits and embeddings of spectrograms."""
    classifier = classifier_of(file)
    parts = [
        classifier.logits_and_embeddings(pictures[first : first + _CHUNK])
        for first in range(0, len(pictures), _CHUNK)
    ]
    logits, embeddings = (np.concatenate(part).astype(np.float64) for part in zip(*parts, strict=True))
    return logits, embeddings


def _scores(
    train: tuple[Floats, NDArray[np.int64], NDArray[np.float32]],
    logits: Floats,
    embeddings: Floats,
    timbres: NDArray[np.float32],
) -> dict[str, Floats]:
    """Every candidate for each sound; higher is stranger."""
    learnt, targets, learnt_timbres = train
    logs = log_softmax(logits)
    chances = np.exp(logs)
    ranked = np.sort(chances, axis=1)
    top = logits.max(axis=1)
    genres = Classes.fit(learnt, targets)
    everything = Classes.fit(learnt, np.zeros_like(targets))
    near, all_alike = genres.distances(embeddings), everything.distances(embeddings)
    unit = learnt / np.linalg.norm(learnt, axis=1, keepdims=True)
    asked = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    neighbours = 1 - np.sort(asked @ unit.T, axis=1)[:, -_NEIGHBOURS]
    return {
        "highest probability": -ranked[:, -1],
        "margin between the two highest": ranked[:, -2] - ranked[:, -1],
        "entropy": -(chances * logs).sum(axis=1),
        "energy (log-sum-exp of the logits)": -(top + np.log(np.exp(logits - top[:, None]).sum(axis=1))),
        "length of the logits": -np.linalg.norm(logits - logits.mean(axis=1, keepdims=True), axis=1),
        f"cosine distance to the {_NEIGHBOURS}th nearest embedding": neighbours,
        "Mahalanobis' distance of the embedding": near,
        "the same, relative to all clips together": near**2 - all_alike**2,
        "distance to the nearest timbre": Timbres.fit(learnt_timbres).distances(timbres),
    }
