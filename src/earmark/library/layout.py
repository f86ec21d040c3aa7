"""Tracks as points in a plane, close together if they sound alike: t-SNE in NumPy, the same every time."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.progress import Progress, Step, silent

# The exact method takes time with the square of their number: 4 s for so many on one core.
LANDMARKS = 1000
_STEPS = 500
_EXAGGERATED = 150
_PERPLEXITY = 30.0
_NEIGHBOURS = 6
_TASK = "drawing the map"


def layout(
    vectors: NDArray[np.float32], *, landmarks: int = LANDMARKS, seed: int = 0, progress: Progress = silent
) -> NDArray[np.float32]:
    """Places of tracks on a map.

    Parameters
    ----------
    vectors
        (n, k) float32, each of length 1.
    landmarks
        How many tracks are laid out exactly.
    seed
        Chooses the landmarks; the same seed gives the same map.

    Returns
    -------
    (n, 2) float32 in the unit square, with one scale for both axes.

    Notes
    -----
    Up to so many tracks are laid out by t-SNE (van der Maaten and Hinton, 2008) from their cosine distances, starting
    from the first two principal components (Kobak and Berens, 2019), so that the large picture is kept. Of more, so
    many are chosen at random as landmarks, and each other track is put between the landmarks that it is closest to.
    """
    count = len(vectors)
    if not count:
        return np.zeros((0, 2), np.float32)
    if count <= landmarks:
        return _to_square(_tsne(np.asarray(vectors), progress))
    chosen = np.sort(np.random.default_rng(seed).choice(count, landmarks, replace=False))
    exact = np.asarray(vectors[chosen])
    known = _to_square(_tsne(exact, progress))
    places = np.empty((count, 2), np.float32)
    for first in range(0, count, 4096):
        part = np.asarray(vectors[first : first + 4096])
        places[first : first + 4096] = _between_landmarks(part, exact, known, first)
    places[chosen] = known
    return _to_square(places)


def _tsne(vectors: NDArray[np.float32], progress: Progress) -> NDArray[np.float32]:
    count = len(vectors)
    places = _principal(vectors)
    if count < 5:
        return places
    likeness = _likeness(vectors, min(_PERPLEXITY, (count - 1) / 3))
    places *= 1e-4 / max(1e-12, float(places[:, 0].std()))
    speed = np.zeros_like(places)
    gains = np.ones_like(places)
    rate = max(count / 12.0, 50.0)
    for step in range(_STEPS):
        force = 12.0 if step < _EXAGGERATED else 1.0
        gradient = _gradient(places, likeness * np.float32(force))
        gains = np.where(np.sign(gradient) == np.sign(speed), gains * 0.8, gains + 0.2).clip(0.01)
        speed = (0.5 if step < _EXAGGERATED else 0.8) * speed - rate * gains * gradient
        places = places + speed
        places -= places.mean(axis=0)
        progress(Step(_TASK, step + 1, _STEPS))
    return np.asarray(places, np.float32)


def _gradient(places: NDArray[np.float32], likeness: NDArray[np.float32]) -> NDArray[np.float32]:
    """Of the divergence between likeness on the map and in the space; Student's t with one degree of freedom."""
    squares = (places * places).sum(axis=1)
    near = 1 / (1 + np.maximum(0, squares[:, None] + squares[None] - 2 * places @ places.T))
    np.fill_diagonal(near, 0)
    pull = (likeness - near / near.sum()) * near
    result: NDArray[np.float32] = 4 * (pull.sum(axis=1)[:, None] * places - pull @ places)
    return result


def _likeness(vectors: NDArray[np.float32], perplexity: float) -> NDArray[np.float32]:
    """Symmetric probabilities (n, n) that two tracks are neighbours, each track having about `perplexity` of them."""
    distance = np.maximum(0, 2 - 2 * (vectors @ vectors.T)).astype(np.float64)
    np.fill_diagonal(distance, np.inf)
    low, high = np.full(len(vectors), 1e-8), np.full(len(vectors), 1e8)
    # Bisection of each track's precision, on a logarithmic scale, until its entropy is that of the perplexity.
    for _ in range(48):
        precision = np.sqrt(low * high)
        rows, entropy = _rows(distance, precision)
        wide = entropy > np.log(perplexity)
        low, high = np.where(wide, precision, low), np.where(wide, high, precision)
    both = rows + rows.T
    return np.asarray(np.maximum(both / both.sum(), 1e-12), np.float32)


def _rows(distance: NDArray[Any], precision: NDArray[Any]) -> tuple[NDArray[Any], NDArray[Any]]:
    scaled = -(distance - distance.min(axis=1, keepdims=True)) * precision[:, None]
    weights = np.exp(scaled)
    rows = weights / weights.sum(axis=1, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        entropy = -np.where(rows > 0, rows * np.log(rows), 0).sum(axis=1)
    return rows, entropy


def _principal(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """The first two principal components (n, 2); zeros where there are none."""
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T @ centred)
    directions = directions[:, ::-1][:, :2]
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    places = np.zeros((len(vectors), 2), np.float32)
    places[:, : directions.shape[1]] = centred @ directions
    # Equal vectors would stay on one point for ever.
    return places + np.random.default_rng(0).normal(0, 1e-6, places.shape).astype(np.float32)


def _between_landmarks(
    vectors: NDArray[np.float32], landmarks: NDArray[np.float32], known: NDArray[np.float32], first: int
) -> NDArray[np.float32]:
    scores = vectors @ landmarks.T
    nearest = np.argpartition(-scores, _NEIGHBOURS, axis=1)[:, :_NEIGHBOURS]
    best = np.take_along_axis(scores, nearest, axis=1)
    weights = np.exp((best - best.max(axis=1, keepdims=True)) * 30)
    weights /= weights.sum(axis=1, keepdims=True)
    places = (known[nearest] * weights[..., None]).sum(axis=1)
    # So that tracks with the same neighbours can be told apart.
    return np.asarray(places + np.random.default_rng(first + 1).normal(0, 0.002, places.shape), np.float32)


def _to_square(places: NDArray[np.float32]) -> NDArray[np.float32]:
    if not len(places):
        return places
    low, high = places.min(axis=0), places.max(axis=0)
    span = float((high - low).max()) or 1.0
    return np.asarray((places - (low + high) / 2) / span + 0.5, np.float32)
