"""Vectors to search with, kept beside the catalogue as a memory-mapped file and made anew when it has changed.

A track's vector has three parts, each of length 1, that count alike: its embedding, its timbre
(:mod:`earmark.library.timbre`) and the square roots of its genres' probabilities (whose product for two tracks is the
Bhattacharyya coefficient of the two mixtures). Embedding and timbre are fitted to the library at hand: the mean is
taken away (raw ones share a large part that says nothing), they are projected on principal components, and each
component is divided by the square root of its standard deviation, so that the few strongest do not decide alone.
``benchmarks/similar.py`` measures what each part and step is worth. Search over these vectors is exact.
"""

from __future__ import annotations

import contextlib
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import InputError
from earmark.files import write_json
from earmark.library.catalogue import Catalogue
from earmark.progress import Progress, Step, silent

FORMAT = 1
_PARTS = ("embedding", "timbre")
DIRECTIONS = (96, 32)
"""How many principal components embedding and timbre keep at most."""
# Enough tracks for a mean and 96 directions; more would only take time.
_SAMPLE = 8192
# Directions with less than this share of the strongest one's deviation are rounding noise.
_NOISE = 1e-3


@dataclass(frozen=True, eq=False)
class Projection:
    """A mean (d,) to take away and directions (d, k) to look along, both float32."""

    mean: NDArray[np.float32]
    directions: NDArray[np.float32]

    def apply(self, values: NDArray[np.float32]) -> NDArray[np.float32]:
        """(..., d) to (..., k), of length 1."""
        return normalised((values - self.mean) @ self.directions)


@dataclass(frozen=True, eq=False)
class Index:
    """What is searched.

    Parameters
    ----------
    numbers
        int64 (n,): tracks by their numbers in the catalogue, rising.
    vectors
        float32 (n, k), each of length 1, usually memory-mapped.
    embedding, timbre
        How these become parts of a vector.
    """

    numbers: NDArray[np.int64]
    vectors: NDArray[np.float32]
    embedding: Projection
    timbre: Projection

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, numbers: list[int]) -> NDArray[np.intp]:
        """Rows of tracks; those that are not here are left out."""
        places = np.minimum(np.searchsorted(self.numbers, numbers), max(0, len(self) - 1))
        return places[self.numbers[places] == numbers] if len(self) else places[:0]

    def vector(
        self, embedding: NDArray[np.float32], timbre: NDArray[np.float32], probabilities: NDArray[np.float32]
    ) -> NDArray[np.float32]:
        """The search vector (k,) of a track that is not in the catalogue; probabilities in the bundle's order."""
        return _join(self.embedding, self.timbre, embedding, timbre, probabilities)

    def scores(self, query: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cosine similarity (n,) of every track with a vector (k,) of length 1."""
        result: NDArray[np.float32] = self.vectors @ query
        return result


def normalised(vectors: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """Vectors (..., k) brought to length 1; zeros stay."""
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, 1e-12), np.float32)


def open_index(catalogue: Catalogue, *, progress: Progress = silent) -> Index:
    """The catalogue's index, made or made anew where it is missing, stale or damaged.

    Raises
    ------
    InputError
        If there is nothing to search yet.
    """
    newest = catalogue.newest_bundle()
    if newest is None:
        raise InputError("Nothing was heard yet. Fill the catalogue with: earmark scan FOLDER")
    folder = catalogue.path.with_name(catalogue.path.name + ".index")
    identity, revision = catalogue.state
    state = {"format": FORMAT, "identity": identity, "revision": revision, "bundle": newest[1]}
    index = _read(folder, state) or _build(catalogue, newest[0], folder, state, progress)
    if not len(index):
        raise InputError("There is no track to compare with yet. Fill the catalogue with: earmark scan FOLDER")
    return index


def _read(folder: Path, state: dict[str, object]) -> Index | None:
    try:
        said = json.loads((folder / "index.json").read_text("utf-8"))
        if {name: said.get(name) for name in state} != state:
            return None
        part = folder / str(said["part"])
        with np.load(part.with_suffix(".npz"), allow_pickle=False) as archive:
            numbers = archive["numbers"]
            parts = [Projection(archive[f"{name} mean"], archive[f"{name} directions"]) for name in _PARTS]
        vectors = np.load(part.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, AttributeError, EOFError):
        # It is only a copy of what the catalogue knows.
        return None
    if vectors.ndim != 2 or len(vectors) != len(numbers) or vectors.dtype != np.float32:
        return None
    return Index(numbers, vectors, *parts)


def _build(catalogue: Catalogue, bundle: int, folder: Path, state: dict[str, object], progress: Progress) -> Index:
    total = catalogue.count(bundle)
    samples = _samples(catalogue, bundle, total)
    embedding, timbre = (fit_projection(s, k) for s, k in zip(samples, DIRECTIONS, strict=True))
    size = embedding.directions.shape[1] + timbre.directions.shape[1] + len(catalogue.labels_of(bundle))
    token = secrets.token_hex(8)
    vectors: NDArray[np.float32] | None = None
    # Where nothing can be written the vectors are only kept in memory.
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        if total:
            vectors = np.lib.format.open_memmap(folder / f"{token}.npy", "w+", dtype=np.float32, shape=(total, size))
    written = vectors is not None
    if vectors is None:
        vectors = np.empty((total, size), np.float32)
    numbers = np.empty(total, np.int64)
    done = 0
    for some, *sounds in catalogue.sounds(bundle):
        # A scan may be adding tracks at this moment; they wait for the next time.
        count = min(len(some), total - done)
        numbers[done : done + count] = some[:count]
        vectors[done : done + count] = _join(embedding, timbre, *(part[:count] for part in sounds))
        done += count
        progress(Step("preparing the search", done, total))
    if written and done == total:
        with contextlib.suppress(OSError, InputError):
            vectors.flush()  # type: ignore[attr-defined]
            arrays: dict[str, Any] = {"numbers": numbers}
            for name, part in zip(_PARTS, (embedding, timbre), strict=True):
                arrays |= {f"{name} mean": part.mean, f"{name} directions": part.directions}
            np.savez(folder / f"{token}.npz", **arrays)
            write_json(folder / "index.json", {**state, "part": token})
            _remove_others(folder, token)
    return Index(numbers[:done], vectors[:done], embedding, timbre)


def _join(embedding: Projection, timbre: Projection, *sounds: NDArray[np.float32]) -> NDArray[np.float32]:
    """Embeddings, timbres and probabilities (..., d) to vectors (..., k)."""
    parts = [embedding.apply(sounds[0]), timbre.apply(sounds[1]), normalised(np.sqrt(sounds[2]))]
    return normalised(np.concatenate(parts, axis=-1))


def fit_projection(sample: NDArray[np.float32], largest: int) -> Projection:
    """The projection for values like those of a sample (n, d), on at most `largest` directions, at least 1."""
    size = sample.shape[1]
    if not len(sample):
        return Projection(np.zeros(size, np.float32), np.zeros((size, 1), np.float32))
    mean = sample.mean(axis=0, dtype=np.float64).astype(np.float32)
    centred = sample - mean
    # Products in single precision are four times as fast and far more exact than a few thousand tracks are typical.
    values, directions = np.linalg.eigh((centred.T @ centred).astype(np.float64) / len(sample))
    values, directions = values[::-1][:largest], directions[:, ::-1][:, :largest]
    deviations = np.sqrt(np.maximum(values, 0))
    kept = deviations > max(_NOISE * deviations[0], 1e-9)
    if not kept.any():
        return Projection(mean, np.zeros((size, 1), np.float32))
    directions = directions[:, kept]
    # A direction's sign is arbitrary; fixing it makes maps and files the same everywhere.
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    return Projection(mean, (directions / np.sqrt(deviations[kept])).astype(np.float32))


def _samples(catalogue: Catalogue, bundle: int, total: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings and timbres of evenly spread tracks."""
    step = max(1, -(-total // _SAMPLE))
    embeddings, timbres, place = [], [], 0
    for some, embedding, timbre, _ in catalogue.sounds(bundle):
        # Copies, as views would keep all of the portion.
        embeddings.append(embedding[-place % step :: step].copy())
        timbres.append(timbre[-place % step :: step].copy())
        place += len(some)
    if not embeddings:
        return np.zeros((0, 1), np.float32), np.zeros((0, 1), np.float32)
    return np.concatenate(embeddings), np.concatenate(timbres)


def _remove_others(folder: Path, token: str) -> None:
    for path in folder.iterdir():
        if path.suffix in (".npy", ".npz") and path.stem != token:
            # Another program may be reading it; Windows then keeps it for the next time.
            with contextlib.suppress(OSError):
                path.unlink()
