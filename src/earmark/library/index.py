"""Vectors to search with, kept beside the catalogue as a memory-mapped file and made anew when it has changed.

An embedding is turned into a search vector in three steps, fitted to the library at hand: its mean is taken away (raw
embeddings share a large part that says nothing), it is projected on at most 128 principal components, and each
component is divided by the square root of its standard deviation, so that the few strongest do not decide alone;
then the vector is brought to length 1. ``benchmarks/similar.py`` measures what each step is worth. Search over these
vectors is exact.
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
LARGEST = 128
# Enough tracks for a mean and 128 directions; more would only take time.
_SAMPLE = 8192
# Directions with less than this share of the strongest one's deviation are rounding noise.
_NOISE = 1e-4


@dataclass(frozen=True, eq=False)
class Index:
    """What is searched.

    Parameters
    ----------
    numbers
        int64 (n,): tracks by their numbers in the catalogue, rising.
    vectors
        float32 (n, k), each of length 1 (or 0), usually memory-mapped.
    mean, projection
        float32 (d,) and (d, k): how an embedding becomes a vector.
    """

    numbers: NDArray[np.int64]
    vectors: NDArray[np.float32]
    mean: NDArray[np.float32]
    projection: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.numbers)

    def rows(self, numbers: list[int]) -> NDArray[np.intp]:
        """Rows of tracks; those that are not here are left out."""
        places = np.minimum(np.searchsorted(self.numbers, numbers), max(0, len(self) - 1))
        return places[self.numbers[places] == numbers] if len(self) else places[:0]

    def vector(self, embedding: NDArray[np.float32]) -> NDArray[np.float32]:
        """The search vector (k,) of an embedding (d,)."""
        return normalised((embedding - self.mean) @ self.projection)

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
            numbers, mean, projection = archive["numbers"], archive["mean"], archive["projection"]
        vectors = np.load(part.with_suffix(".npy"), mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, KeyError, AttributeError, EOFError):
        # It is only a copy of what the catalogue knows.
        return None
    if vectors.shape != (len(numbers), projection.shape[-1]) or vectors.dtype != np.float32:
        return None
    return Index(numbers, vectors, mean, projection)


def _build(catalogue: Catalogue, bundle: int, folder: Path, state: dict[str, object], progress: Progress) -> Index:
    total = catalogue.count(bundle)
    mean, projection = fit_projection(_sample(catalogue, bundle, total))
    token = secrets.token_hex(8)
    vectors: NDArray[np.float32] | None = None
    # Where nothing can be written the vectors are only kept in memory.
    with contextlib.suppress(OSError):
        folder.mkdir(exist_ok=True)
        if total:
            shape = (total, projection.shape[1])
            vectors = np.lib.format.open_memmap(folder / f"{token}.npy", "w+", dtype=np.float32, shape=shape)
    written = vectors is not None
    if vectors is None:
        vectors = np.empty((total, projection.shape[1]), np.float32)
    numbers = np.empty(total, np.int64)
    done = 0
    for some, embeddings in catalogue.embeddings(bundle):
        # A scan may be adding tracks at this moment; they wait for the next time.
        count = min(len(some), total - done)
        numbers[done : done + count] = some[:count]
        vectors[done : done + count] = normalised((embeddings[:count] - mean) @ projection)
        done += count
        progress(Step("preparing the search", done, total))
    if written and done == total:
        with contextlib.suppress(OSError, InputError):
            vectors.flush()  # type: ignore[attr-defined]
            np.savez(folder / f"{token}.npz", numbers=numbers, mean=mean, projection=projection)
            write_json(folder / "index.json", {**state, "part": token})
            _remove_others(folder, token)
    return Index(numbers[:done], vectors[:done], mean, projection)


def fit_projection(sample: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean (d,) and projection (d, k) for embeddings like those of a sample (n, d).

    k is at most :data:`LARGEST`, and smaller where the sample has fewer directions; at least 1.
    """
    size = sample.shape[1]
    if not len(sample):
        return np.zeros(size, np.float32), np.zeros((size, 1), np.float32)
    mean = sample.mean(axis=0, dtype=np.float64)
    centred = sample - mean
    values, directions = np.linalg.eigh(centred.T @ centred / len(sample))
    values, directions = values[::-1][:LARGEST], directions[:, ::-1][:, :LARGEST]
    deviations = np.sqrt(np.maximum(values, 0))
    kept = deviations > max(_NOISE * deviations[0], 1e-9)
    if not kept.any():
        return mean.astype(np.float32), np.zeros((size, 1), np.float32)
    directions = directions[:, kept]
    # A direction's sign is arbitrary; fixing it makes maps and files the same everywhere.
    directions = directions * np.sign(directions[np.abs(directions).argmax(axis=0), np.arange(directions.shape[1])])
    return mean.astype(np.float32), (directions / np.sqrt(deviations[kept])).astype(np.float32)


def _sample(catalogue: Catalogue, bundle: int, total: int) -> NDArray[np.float32]:
    step = max(1, -(-total // _SAMPLE))
    parts, place = [], 0
    for _, embeddings in catalogue.embeddings(bundle):
        parts.append(embeddings[-place % step :: step])
        place += len(embeddings)
    return np.concatenate(parts) if parts else np.zeros((0, 1), np.float32)


def _remove_others(folder: Path, token: str) -> None:
    for path in folder.iterdir():
        if path.suffix in (".npy", ".npz") and path.stem != token:
            # Another program may be reading it; Windows then keeps it for the next time.
            with contextlib.suppress(OSError):
                path.unlink()
