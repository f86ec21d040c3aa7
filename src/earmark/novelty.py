"""Is a sound unlike anything a model has learnt from? The part of a bundle that knows what it has learnt from.

A network's own confidence cannot tell: it shares out the whole probability among its genres, whatever it hears, and a
steady hum makes it as sure as a song does. Two distances can, and a bundle carries what they need:

- of timbre: statistics of mel-frequency cepstral coefficients (:func:`earmark.features.mfcc_statistics`) of a window
  against those of the nearest training clip. It does not depend on the network at all;
- of embedding: Mahalanobis' distance of the embedding, scaled to length 1, to the nearest genre's mean, with one
  shrunk covariance for all genres (Lee et al., *A Simple Unified Framework for Detecting Out-of-Distribution Samples
  and Adversarial Attacks*, NeurIPS 2018), among the leading principal components.

A sound is unlike the training clips if one of the distances is beyond its limit. The limits are set so that a fixed
small share of music from the training genres, heard out of fold, is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.errors import StoreError

Floats = NDArray[np.float32]

FORMAT = 1
TIMBRE, EMBEDDING = "timbre", "embedding"
# Root mean square of the loudest window under which there is hardly any sound, in decibels of full scale: 36 dB
# over the rounding noise of 16 bits, and 30 to 50 dB under the music that files hold.
FAINT = -60.0
# Principal components of the embedding that are looked at: on GTZAN 32 to 128 do alike.
COMPONENTS = 64
# Share of the mean variance that is mixed into the covariance, so that few clips do not make it singular.
SHRINKAGE = 0.1
# Training clips that timbres are compared with; more are thinned out evenly.
MOST_ROWS = 4000
_SMALL = 1e-9


@dataclass(frozen=True, eq=False)
class Timbres:
    """Timbres of the training clips.

    Parameters
    ----------
    mean, deviation
        (d,) of every statistic over the training clips.
    rows
        (n, d), the clips, less the mean, divided by the deviation.
    """

    mean: Floats
    deviation: Floats
    rows: Floats

    @classmethod
    def fit(cls, timbres: NDArray[np.floating]) -> Timbres:
        """From the statistics of the training clips, (n, d)."""
        values = np.asarray(timbres, np.float64)
        mean, deviation = values.mean(axis=0), values.std(axis=0) + _SMALL
        if len(values) > MOST_ROWS:
            values = values[np.linspace(0, len(values) - 1, MOST_ROWS).astype(np.intp)]
        rows = ((values - mean) / deviation).astype(np.float32)
        return cls(mean.astype(np.float32), deviation.astype(np.float32), rows)

    def distances(self, timbres: NDArray[np.floating]) -> NDArray[np.float64]:
        """(m, d) statistics of windows -> (m,) distances to the nearest clip."""
        asked = ((np.asarray(timbres, np.float32) - self.mean) / self.deviation).astype(np.float32)
        squares = (asked**2).sum(axis=1)[:, None] + self._squares - 2 * (asked @ self.rows.T)
        nearest: NDArray[np.float64] = np.sqrt(np.maximum(squares.min(axis=1), 0)).astype(np.float64)
        return nearest

    @cached_property
    def _squares(self) -> Floats:
        return np.asarray((self.rows**2).sum(axis=1))


@dataclass(frozen=True, eq=False)
class Classes:
    """Where the genres lie in the space of the embeddings.

    Parameters
    ----------
    projection
        (d, r): onto the leading components, and there to a covariance of one.
    centres
        (labels, r): the genres' means, projected.
    """

    projection: Floats
    centres: Floats

    @classmethod
    def fit(cls, embeddings: NDArray[np.floating], targets: NDArray[np.integer]) -> Classes:
        """From embeddings (n, d) and label numbers (n,) of the training clips."""
        values = _unit(np.asarray(embeddings, np.float64))
        centred = values - values.mean(axis=0)
        size = max(1, min(COMPONENTS, values.shape[1], len(values) // 4))
        _, basis = np.linalg.eigh(centred.T @ centred)
        basis = basis[:, ::-1][:, :size]
        reduced = values @ basis
        labels = np.unique(targets)
        centres = np.stack([reduced[targets == label].mean(axis=0) for label in labels])
        inside = reduced - centres[np.searchsorted(labels, targets)]
        covariance = inside.T @ inside / max(1, len(inside) - len(labels))
        covariance += (SHRINKAGE * np.trace(covariance) / size + _SMALL) * np.eye(size)
        whitening = np.linalg.cholesky(np.linalg.inv(covariance))
        return cls((basis @ whitening).astype(np.float32), (centres @ whitening).astype(np.float32))

    def distances(self, embeddings: NDArray[np.floating]) -> NDArray[np.float64]:
        """(m, d) embeddings -> (m,) distances to the nearest genre's mean."""
        placed = _unit(np.asarray(embeddings, np.float32)) @ self.projection
        gaps = placed[:, None] - self.centres
        nearest: NDArray[np.float64] = np.sqrt((gaps**2).sum(axis=2).min(axis=1)).astype(np.float64)
        return nearest


@dataclass(frozen=True, eq=False)
class Novelty:
    """What a bundle knows of what its model has learnt from.

    Parameters
    ----------
    timbres, limit
        Timbres of the training clips, and the distance beyond which a sound is unlike all of them.
    classes, embedding_limit
        The same of embeddings; None where a model came without.
    least_together
        How much the bands of all training clips move together (:mod:`earmark.noise`) at least; a sound with less is
        noise. 0 where some training clip is noise by that measure itself, or nothing is known of it.
    """

    timbres: Timbres
    limit: float
    classes: Classes | None = None
    embedding_limit: float = float("inf")
    least_together: float = 0.0

    @property
    def limits(self) -> dict[str, float]:
        """Both limits by name."""
        found = {TIMBRE: self.limit}
        return found if self.classes is None else found | {EMBEDDING: self.embedding_limit}

    def ratios(self, timbres: NDArray[np.floating], embedding: NDArray[np.floating]) -> dict[str, float]:
        """Each distance of one track divided by its limit: above 1 the track is unlike the training clips.

        Parameters
        ----------
        timbres
            (windows, d); their median counts, so that one odd window does not make a song strange.
        embedding
            (d,), the track's.
        """
        found = {TIMBRE: float(np.median(self.timbres.distances(timbres))) / self.limit}
        if self.classes is not None:
            found[EMBEDDING] = float(self.classes.distances(embedding[None])[0]) / self.embedding_limit
        return found

    def strange(
        self, timbres: NDArray[np.floating], embedding: NDArray[np.floating], together: Sequence[float] = ()
    ) -> bool:
        """Whether a distance is beyond its limit, or :func:`earmark.noise.togetherness` of the windows too low."""
        noise = len(together) > 0 and float(np.median(np.asarray(together))) < self.least_together
        return noise or max(self.ratios(timbres, embedding).values()) > 1

    def to_bytes(self) -> bytes:
        """As a safetensors file."""
        from safetensors.numpy import save

        tensors = {f"{TIMBRE}.{name}": getattr(self.timbres, name) for name in ("mean", "deviation")}
        # Half precision moves a distance by less than a thousandth.
        tensors[f"{TIMBRE}.rows"] = self.timbres.rows.astype(np.float16)
        if self.classes is not None:
            tensors[f"{EMBEDDING}.projection"] = self.classes.projection.astype(np.float32)
            tensors[f"{EMBEDDING}.centres"] = self.classes.centres
        told = {"format": FORMAT, "limits": self.limits, "least_together": self.least_together}
        facts = json.dumps(told, sort_keys=True)
        return bytes(save({name: np.ascontiguousarray(v) for name, v in tensors.items()}, {"earmark": facts}))

    @classmethod
    def from_bytes(cls, data: bytes, embedding_size: int) -> Novelty:
        """What :meth:`to_bytes` wrote.

        Raises
        ------
        StoreError
            If it is something else, of another version, or of a model with another embedding.
        """
        try:
            tensors, facts = _read(data)
            if facts["format"] != FORMAT:
                raise StoreError(
                    f"What the bundle knows of strange sounds has format {facts['format']}, and this version of "
                    f"Earmark reads {FORMAT}. Update Earmark, or train the bundle again."
                )
            limits = {name: float(value) for name, value in facts["limits"].items()}
            timbres = Timbres(*(tensors[f"{TIMBRE}.{name}"] for name in ("mean", "deviation", "rows")))
            # Parts that were written before noise was known do not say anything of it.
            made = cls(timbres, limits[TIMBRE], least_together=float(facts.get("least_together", 0.0)))
            if EMBEDDING in limits:
                classes = Classes(tensors[f"{EMBEDDING}.projection"], tensors[f"{EMBEDDING}.centres"])
                made = replace(made, classes=classes, embedding_limit=limits[EMBEDDING])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise StoreError(f"What the bundle knows of strange sounds cannot be read ({error}).") from error
        made._check(embedding_size)
        return made

    def _check(self, embedding_size: int) -> None:
        t, c = self.timbres, self.classes
        arrays = [t.mean, t.deviation, t.rows]
        fits = t.rows.ndim == 2 and len(t.rows) > 0 and t.mean.shape == t.deviation.shape == t.rows.shape[1:]
        if c is not None:
            arrays += [c.projection, c.centres]
            fits = fits and c.projection.ndim == c.centres.ndim == 2 and len(c.centres) > 0
            fits = fits and c.projection.shape == (embedding_size, c.centres.shape[1])
        fits = fits and all(np.isfinite(values).all() for values in arrays) and bool((t.deviation > 0).all())
        fits = fits and bool(np.isfinite(self.least_together)) and self.least_together >= 0
        if not fits or not all(np.isfinite(v) and v > 0 for v in self.limits.values()):
            raise StoreError(
                "What the bundle knows of strange sounds does not fit its model. Train the bundle again."
            )


def _read(data: bytes) -> tuple[Mapping[str, Floats], Mapping[str, Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load

    try:
        tensors = {name: value.astype(np.float32) for name, value in load(data).items()}
    except SafetensorError as error:
        raise ValueError(str(error)) from error
    # The library reads a header's metadata from files alone; the header is 8 bytes of length, then JSON.
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    facts = json.loads(header["__metadata__"]["earmark"])
    if not isinstance(facts, dict):
        raise TypeError("its header is no table")
    return tensors, facts


def _unit(values: NDArray[np.floating]) -> NDArray[np.floating]:
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=-1, keepdims=True), _SMALL))
