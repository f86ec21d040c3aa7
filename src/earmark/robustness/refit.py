"""Give a finished bundle, and the bundles of its folds, what tells sound that is unlike anything they have learnt.

It needs nothing of how the models were trained: their graphs are asked for the embeddings of the training clips. So
it serves any kind of model, and a bundle of before.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from earmark.bundle import Bundle, load_bundle, save_bundle
from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.folds import Fold
from earmark.novelty import Novelty
from earmark.predict import Classifier
from earmark.progress import Progress, Step, silent
from earmark.robustness.ears import fold_bundles
from earmark.train_novelty import learn_novelty, novelty_like, timbres_of

_CHUNK = 16


def add_novelty(bundle: Path, folds: Path, dataset: Dataset, *, progress: Progress = silent) -> Novelty:
    """Write the part into a bundle and into those of its folds, in place.

    Parameters
    ----------
    bundle
        The model trained on all clips.
    folds
        Folder of its folds' bundles (:func:`earmark.robustness.ears.fold_bundles`); the limits are set by what each
        fold's model makes of the clips that it never heard.
    dataset
        The training clips with their spectrograms.

    Raises
    ------
    InputError
        If there are no spectrograms, or the folds are of other clips.
    """
    ears = fold_bundles(folds)
    spectrograms, timbres = dataset.spectrograms, timbres_of(dataset)
    if spectrograms is None or timbres is None:
        raise InputError(f"{dataset.name} holds no spectrograms; give the archive that the model was trained on.")
    missing = [clip.id for clip in dataset.clips if ears.of(clip.id) is None]
    if missing:
        raise InputError(f"No bundle of {folds} was kept from {missing[0]}; the folds must be of the same clips.")
    files = sorted(set(ears.files.values()))
    everybody = np.arange(len(dataset.clips))
    dealt, embeddings = [], []
    for number, file in enumerate(files):
        progress(Step("asking the models for embeddings", number, len(files) + 1, file.stem))
        test = np.array([ears.of(clip.id) == file for clip in dataset.clips])
        nobody = np.empty(0, np.int64)
        dealt.append(Fold(0, number, 0, everybody[~test], nobody, everybody[test]))
        embeddings.append(_embeddings(load_bundle(file), spectrograms))
    final = load_bundle(bundle)
    progress(Step("asking the models for embeddings", len(files), len(files) + 1, final.card.name))
    own = _embeddings(final, spectrograms)
    novelty = learn_novelty(dataset, dealt, own, fold_embeddings=embeddings)
    assert novelty is not None, "there are timbres, as was seen above"
    for file, fold, rows in zip(files, dealt, embeddings, strict=True):
        before = load_bundle(file)
        part = novelty_like(novelty, timbres[fold.train], dataset.targets[fold.train], rows[fold.train])
        save_bundle(file, before.card, before.model, part)
    save_bundle(bundle, final.card, final.model, novelty)
    progress(Step("asking the models for embeddings", len(files) + 1, len(files) + 1))
    return novelty


def _embeddings(bundle: Bundle, spectrograms: NDArray[np.uint8]) -> NDArray[np.float32]:
    hears = Classifier(bundle)
    chunks = (spectrograms[first : first + _CHUNK] for first in range(0, len(spectrograms), _CHUNK))
    return np.concatenate([hears.logits_and_embeddings(chunk)[1] for chunk in chunks])
