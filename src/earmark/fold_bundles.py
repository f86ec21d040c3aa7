"""A bundle per fold: models that can be asked about clips they never heard, through the whole audio path."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.bundle import Bundle, Card, save_bundle
from earmark.crossval import features_of
from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.exports import Export, Exported
from earmark.files import atomic_folder
from earmark.fold_worker import one_thread
from earmark.folds import Fold, Protocol
from earmark.learners import Learner
from earmark.novelty import Novelty
from earmark.prepare import front_end_of
from earmark.progress import Progress, Step, silent
from earmark.robustness.ears import HELD_OUT, TABLE, clips_fingerprint
from earmark.train_novelty import novelty_like, timbres_of


def write_fold_bundles(
    dataset: Dataset,
    learner: Learner,
    protocol: Protocol,
    out: Path | str,
    export: Export,
    *,
    like: Bundle,
    device: str = "cpu",
    progress: Progress = silent,
) -> Path:
    """Train every fold and write a folder of bundles that :func:`earmark.robustness.ears.fold_bundles` reads.

    Parameters
    ----------
    dataset
        With the learner's features and the front end they were made by.
    learner, protocol
        What to train on which clips; one repeat.
    out
        The folder to write, outside the repository: it must not exist.
    export
        From a trained model to a graph.
    like
        The bundle of the same kind of model trained on all clips: its temperature and its rule for "unsure" are
        the folds' too, so that the rule that ships is the one that is measured. They are a few numbers from
        out-of-fold predictions of all clips; what a fold's model itself has learnt is from its own clips alone.

    Raises
    ------
    InputError
        If the folder exists, features are missing, or a clip would be tested twice.
    """
    features = features_of(dataset, learner)
    if protocol.grouped is False and len(set(dataset.groups)) < len(dataset.clips):
        raise InputError(f"The protocol {protocol.name} splits artists: its folds would not be out of fold.")
    tested = np.concatenate([fold.test for fold in protocol.folds])
    if len(set(tested.tolist())) != len(tested):
        raise InputError("A clip is tested more than once; give a protocol with one repeat (one seed).")
    front_end = front_end_of(dataset)
    rows: list[tuple[str, str]] = []
    with atomic_folder(out) as folder:
        for number, fold in enumerate(protocol.folds):
            progress(Step("training folds", number, len(protocol.folds), fold.name))
            with one_thread():
                fitted = learner.fit(
                    features[fold.train], dataset.targets[fold.train], len(dataset.labels), seed=fold.seed,
                    device=device,
                )  # fmt: skip
            made = export(fitted)
            ids = [dataset.clips[row].id for row in fold.test]
            card = Card(
                name=f"{like.card.name}-{fold.name}",
                labels=dataset.labels,
                front_end=front_end.to_dict(),
                temperature=like.temperature,
                unsure_below=like.unsure_below,
                embedding_size=made.embedding_size,
                provenance={
                    "dataset": dataset.name, "clips": len(fold.train), "model": learner.describe(),
                    "protocol": protocol.name, "fold": fold.name, HELD_OUT: clips_fingerprint(ids),
                },
                licence=like.card.licence,
                limits=f"A model of one fold, for measuring. {like.card.limits}",
            )  # fmt: skip
            name = f"{fold.name}.earmark"
            save_bundle(folder / name, card, made.model, _novelty(like, dataset, fold, made, features))
            rows += [(clip, name) for clip in ids]
        with (folder / TABLE).open("w", newline="", encoding="utf-8") as handle:
            writer = csv.writer(handle, lineterminator="\n")
            writer.writerow(("clip", "bundle"))
            writer.writerows(sorted(rows))
        progress(Step("training folds", len(protocol.folds), len(protocol.folds)))
    return Path(out)


def _novelty(like: Bundle, dataset: Dataset, fold: Fold, made: Exported, features: NDArray[Any]) -> Novelty | None:
    """What the fold's model knows of its training clips, where the bundle that ships knows of its own."""
    timbres = None if like.novelty is None else timbres_of(dataset)
    if like.novelty is None or timbres is None:
        return None
    embeddings = made.embed(features[fold.train]) if like.novelty.classes is not None else None
    return novelty_like(like.novelty, timbres[fold.train], dataset.targets[fold.train], embeddings)
