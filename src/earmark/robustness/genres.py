"""Leave one genre out: is music of a genre that a model never heard told from music of those that it knows?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.fold_worker import one_thread
from earmark.folds import Protocol
from earmark.learners import Learner
from earmark.metrics import Interval, apply_temperature, wilson
from earmark.novelty import EMBEDDING, TIMBRE, Classes, Timbres
from earmark.progress import Progress, Step, silent
from earmark.train_novelty import REFUSED, set_limits, timbres_of

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class GenreOut:
    """One genre that was left out of training, heard out of fold beside those that were not.

    Parameters
    ----------
    genre
        Its name.
    known, unknown
        Confidence for clips of the other genres (n,) and of this one (m,).
    known_strange, unknown_strange
        Whether each is unlike the training clips (:mod:`earmark.novelty`).
    """

    genre: str
    known: Floats
    unknown: Floats
    known_strange: Bools
    unknown_strange: Bools

    def accepted(self, coverage: float, *, novelty: bool) -> Interval:
        """Share of the unknown clips that are accepted where this share of the known ones is, with Wilson's interval.

        Parameters
        ----------
        coverage
            Share of the clips of known genres that are answered, above 0 and at most 1.
        novelty
            Whether strange sounds are refused before confidence is asked; with it, a coverage above what is left
            cannot be had, and all that is not strange is accepted.
        """
        known = np.where(self.known_strange, -1.0, self.known) if novelty else self.known
        unknown = np.where(self.unknown_strange, -1.0, self.unknown) if novelty else self.unknown
        threshold = max(0.0, float(np.sort(known)[::-1][max(0, round(coverage * len(known)) - 1)]))
        return wilson(int((unknown >= threshold).sum()), len(unknown))

    def auroc(self) -> float:
        """Chance that a known clip gets more confidence than an unknown one; a half is guessing."""
        return auroc(self.known, self.unknown)


def auroc(higher: Floats, lower: Floats) -> float:
    """Chance that one of `higher` is above one of `lower`, ties counted by half (Mann and Whitney, 1947)."""
    order = np.sort(lower)
    below, upto = np.searchsorted(order, higher, "left"), np.searchsorted(order, higher, "right")
    return float((below + upto).mean() / (2 * len(lower)))


def leave_one_genre_out(
    dataset: Dataset,
    learner: Learner,
    protocol: Protocol,
    *,
    temperature: float = 1.0,
    device: str = "cpu",
    genres: Sequence[str] | None = None,
    progress: Progress = silent,
) -> list[GenreOut]:
    """Train each fold once for each genre, without it, and hear the fold's test clips.

    Parameters
    ----------
    dataset
        With the learner's features, and timbre statistics or spectrograms.
    learner, protocol
        What to train; a fold's test clips share no artist with its training clips where the protocol is grouped.
    temperature
        Of the confidence.
    genres
        Those to leave out, one after the other; None: all.

    Raises
    ------
    InputError
        If features or timbres are missing.
    """
    features, timbres = dataset.features.get(learner.feature), timbres_of(dataset)
    if features is None or timbres is None:
        raise InputError(f"{dataset.name} lacks the features {learner.feature!r} or spectrograms.")
    targets, found = dataset.targets, []
    chosen = dataset.labels if genres is None else tuple(genres)
    for count, genre in enumerate(chosen):
        out = dataset.labels.index(genre)
        confidence: list[Floats] = []
        distances: dict[str, list[Floats]] = {TIMBRE: [], EMBEDDING: []}
        for fold in protocol.folds:
            progress(Step("leaving genres out", count, len(chosen), f"{genre}, {fold.name}"))
            train = fold.train[targets[fold.train] != out]
            # Numbers without a gap: those above the genre that is left out move down by one.
            wanted = targets[train] - (targets[train] > out)
            with one_thread():
                fitted = learner.fit(features[train], wanted, len(dataset.labels) - 1, seed=fold.seed, device=device)
                spoken = fitted.log_probabilities(features[fold.test])
            confidence.append(apply_temperature(spoken, temperature).max(axis=1))
            distances[TIMBRE].append(Timbres.fit(timbres[train]).distances(timbres[fold.test]))
            embed = getattr(fitted, "embeddings", None)
            if embed is None:
                distances.pop(EMBEDDING, None)
            else:
                classes = Classes.fit(embed(features[train]), wanted)
                distances[EMBEDDING].append(classes.distances(embed(features[fold.test])))
        unknown = targets[np.concatenate([fold.test for fold in protocol.folds])] == out
        joined = {name: np.concatenate(parts) for name, parts in distances.items()}
        limits = set_limits({name: values[~unknown] for name, values in joined.items()}, REFUSED)
        strange = np.any([joined[name] > limit for name, limit in limits.items()], axis=0)
        sure = np.concatenate(confidence)
        found.append(GenreOut(genre, sure[~unknown], sure[unknown], strange[~unknown], strange[unknown]))
    progress(Step("leaving genres out", len(chosen), len(chosen)))
    return found
