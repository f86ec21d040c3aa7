"""Set the limits of :mod:`earmark.novelty` from the folds of a cross-validation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.features import MFCC, mfcc_statistics
from earmark.folds import Fold
from earmark.noise import LEAST, togetherness
from earmark.novelty import EMBEDDING, TIMBRE, Classes, Novelty, Timbres

# Share of music from the training genres that may be refused as strange. One song in twenty is what it costs to keep
# out nearly all of what is no music.
REFUSED = 0.05
_STEPS = 40

Floats = NDArray[np.float64]


def timbres_of(dataset: Dataset) -> NDArray[np.float32] | None:
    """Timbre statistics of a dataset's clips, (n, 80); None if it has neither them nor spectrograms."""
    found = dataset.features.get(MFCC)
    if found is not None:
        return found
    return None if dataset.spectrograms is None else mfcc_statistics(dataset.spectrograms)


def learn_novelty(
    dataset: Dataset,
    folds: Sequence[Fold],
    embeddings: NDArray[np.floating] | None = None,
    *,
    fold_embeddings: Sequence[NDArray[np.floating]] | None = None,
    refused: float = REFUSED,
) -> Novelty | None:
    """What the bundle of a model trained on all clips should know of them.

    Limits come from the folds: what a fold's training clips make of its test clips, which it knows no more of than of
    any other new song.

    Parameters
    ----------
    dataset
        With timbre statistics or spectrograms; None is returned where it has neither.
    folds
        Of a cross-validation (:attr:`earmark.folds.Protocol.folds`): they say who is new to whom.
    embeddings
        (n, d) of all clips by the final model; None: only timbre is looked at.
    fold_embeddings
        For each fold (n, d) of all clips by the model of that fold, where training changes the embedding; None: it is
        the same for all (a frozen backbone's).
    refused
        Share of test clips that may be beyond one limit or the other, 0 to 1.

    Raises
    ------
    InputError
        If the embeddings do not fit the clips or folds.
    """
    timbres = timbres_of(dataset)
    if timbres is None:
        return None
    if fold_embeddings is not None and (embeddings is None or len(fold_embeddings) != len(folds)):
        raise InputError("Embeddings by fold need one array per fold, and those of the final model.")
    distances: dict[str, list[Floats]] = {TIMBRE: []}
    if embeddings is not None:
        distances[EMBEDDING] = []
    for number, fold in enumerate(folds):
        known = Timbres.fit(timbres[fold.train])
        distances[TIMBRE].append(known.distances(timbres[fold.test]))
        if embeddings is not None:
            own = embeddings if fold_embeddings is None else fold_embeddings[number]
            distances[EMBEDDING].append(_embedding_distances(own, dataset, fold))
    limits = set_limits({name: np.concatenate(parts) for name, parts in distances.items()}, refused)
    classes = None if embeddings is None else Classes.fit(embeddings, dataset.targets)
    return Novelty(
        Timbres.fit(timbres), limits[TIMBRE], classes, limits.get(EMBEDDING, float("inf")), _least_together(dataset)
    )


def _least_together(dataset: Dataset) -> float:
    """The limit for noise where no training clip comes near it: a model of rain may not refuse rain."""
    if dataset.spectrograms is None:
        return 0.0
    return LEAST if min(map(togetherness, dataset.spectrograms)) > LEAST else 0.0


def _embedding_distances(embeddings: NDArray[np.floating], dataset: Dataset, fold: Fold) -> Floats:
    if len(embeddings) != len(dataset.clips):
        raise InputError(f"{len(dataset.clips)} clips but {len(embeddings)} embeddings.")
    known = Classes.fit(embeddings[fold.train], dataset.targets[fold.train])
    return known.distances(embeddings[fold.test])


def set_limits(distances: Mapping[str, Floats], refused: float) -> dict[str, float]:
    """Limits at one quantile of each distance, such that the wanted share of clips is beyond any of them.

    Parameters
    ----------
    distances
        By name, each (n,), of the same clips in the same order.
    refused
        The share, 0 to 1; with few clips what is refused is the nearest share below.
    """
    if not 0 <= refused < 1:
        raise InputError(f"The share that may be refused is between 0 and 1, not {refused:g}.")

    def limits(quantile: float) -> dict[str, float]:
        return {name: float(np.quantile(values, quantile)) for name, values in distances.items()}

    def beyond(chosen: Mapping[str, float]) -> float:
        return float(np.mean(np.any([distances[name] > limit for name, limit in chosen.items()], axis=0)))

    low, high = 1 - refused, 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if beyond(limits(middle)) > refused else (low, middle)
    found = limits(high)
    # A distance of zero as limit (all clips alike) would refuse everything else.
    return {name: max(limit, 1e-6) for name, limit in found.items()}


def novelty_like(
    like: Novelty,
    timbres: NDArray[np.floating],
    targets: NDArray[np.int64],
    embeddings: NDArray[np.floating] | None,
) -> Novelty:
    """What a fold's model knows of its own training clips, with the limits of the model that ships.

    Parameters
    ----------
    like
        Of the model trained on all clips.
    timbres, targets, embeddings
        Of the fold's training clips, (n, 80), (n,) and (n, d) by the fold's model.
    """
    classes = Classes.fit(embeddings, targets) if like.classes is not None and embeddings is not None else None
    limit = like.embedding_limit if classes is not None else float("inf")
    return Novelty(Timbres.fit(timbres), like.limit, classes, limit, like.least_together)
