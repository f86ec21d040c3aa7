"""How good similar tracks are: precision at 10 on GTZAN, against MFCC statistics; and how sure prints are.

    python benchmarks/similar.py --folds FOLDS --stored MEL.npz [--shared FOLDER] [--json FILE]
    python benchmarks/similar.py [--shared FOLDER] [--json FILE]

For every clip the 10 nearest others are looked at: how many have its genre, how many its artist (of clips whose
artist has others), and how many have its genre where its own artist and recording are left out. Nothing of the search
is fitted to genres or artists.

FOLDS are the bundles of a cross-validation (scripts/make_bundle.py, scripts/make_fold_bundles.py) and MEL.npz the
spectrograms of all clips. Then embeddings and probabilities of a clip are those of the bundle that never heard it,
its artist or its recording. Each bundle has a space of its own, so the neighbours of a clip are looked for among the
clips that the same bundle did not hear: about 200, and for MFCC statistics among the same ones.

Without them, embeddings are those of the frozen backbone that ship with the package, neighbours are looked for among
all clips, and the probabilities are those of a logistic regression, out of fold.

With the real clips at hand, prints are compared: unrelated clips with each other, and clips with coded, cut and
distorted copies of themselves.
"""

from __future__ import annotations

import argparse
import io
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.preprocessing import StandardScaler

from earmark import audio
from earmark.dataset import Dataset, load_dataset
from earmark.features import BACKBONE, MFCC, mfcc_statistics
from earmark.front_end import MEL
from earmark.gtzan import load
from earmark.library.index import DIRECTIONS, fit_projection, normalised
from earmark.library.prints import SAME, Print, agreement, make_print
from earmark.metrics import apply_temperature
from earmark.robustness.ears import Ears, classifier_of, fold_bundles
from earmark.spectrogram import fit_window, spectrogram

RATE = 22050
NEIGHBOURS = 10


@dataclass(frozen=True)
class Pool:
    """Clips among which neighbours are looked for: their rows, and what is known of each."""

    rows: NDArray[np.intp]
    embedding: NDArray[np.float32]
    timbre: NDArray[np.float32]
    probabilities: NDArray[np.float64]


def out_of_fold(features: NDArray[np.float32], labels: NDArray[Any], groups: NDArray[Any]) -> NDArray[np.float64]:
    """Probabilities (n, genres) by models that saw nothing of the clip's group."""
    result = np.zeros((len(labels), len(set(labels))))
    for train, test in StratifiedGroupKFold(5, shuffle=True, random_state=0).split(features, labels, groups):
        scaler = StandardScaler().fit(features[train])
        model = LogisticRegression(C=0.003, max_iter=500).fit(scaler.transform(features[train]), labels[train])
        result[test] = model.predict_proba(scaler.transform(features[test]))
    return result


def frozen_pool() -> tuple[Dataset, list[Pool]]:
    """All clips, with the packaged features and probabilities of a logistic regression on them."""
    data = load()
    labels = np.array([clip.label for clip in data.clips])
    groups = np.array([clip.group or clip.id for clip in data.clips])
    embedding = data.features[BACKBONE]
    probabilities = out_of_fold(embedding, labels, groups)
    return data, [Pool(np.arange(len(labels)), embedding, data.features[MFCC], probabilities)]


def fold_pools(stored: Path, ears: Ears) -> tuple[Dataset, list[Pool]]:
    """The clips that each fold's bundle never heard, with what it makes of them."""
    data = load_dataset(stored)
    if data.spectrograms is None:
        raise SystemExit(f"{stored} holds no spectrograms.")
    pools = []
    for place in ears.files.values():
        rows = np.array([row for row, clip in enumerate(data.clips) if ears.of(clip.id) == place])
        classifier, spectrograms = classifier_of(place), np.asarray(data.spectrograms[rows])
        found = [classifier.logits_and_embeddings(spectrograms[k : k + 1]) for k in range(len(rows))]
        logits, embeddings = (np.concatenate(part) for part in zip(*found, strict=True))
        probabilities = apply_temperature(logits, classifier.bundle.temperature)
        pools.append(Pool(rows, embeddings, mfcc_statistics(spectrograms), probabilities))
    return data, pools


def precision(
    similarity: NDArray[Any], labels: NDArray[Any], artists: NDArray[Any], groups: NDArray[Any]
) -> dict[str, NDArray[np.bool_]]:
    """Which of the 10 nearest have the same genre, the same artist, the same genre by someone else; (clips, 10)."""

    def nearest(left_out: NDArray[np.bool_]) -> NDArray[np.intp]:
        order = np.argsort(-np.where(left_out, -np.inf, similarity), axis=1, kind="stable")
        return order[:, :NEIGHBOURS]

    itself = np.eye(len(labels), dtype=bool)
    same_artist = (artists[:, None] == artists) & (artists != "")[:, None]
    found = nearest(itself)
    others = nearest(itself | same_artist | (groups[:, None] == groups))
    has_more = (same_artist & ~itself).any(axis=1)
    return {
        "same genre": labels[found] == labels[:, None],
        "same artist": np.take_along_axis(same_artist, found, axis=1)[has_more],
        "same genre, other artist": labels[others] == labels[:, None],
    }


def measure_search(data: Dataset, pools: list[Pool]) -> dict[str, dict[str, float]]:
    """Precision by what is searched, over the clips of all pools."""
    labels = np.array([clip.label for clip in data.clips])
    artists = np.array([clip.artist or "" for clip in data.clips])
    groups = np.array([clip.group or clip.id for clip in data.clips])
    hits: dict[str, dict[str, list[NDArray[np.bool_]]]] = {}
    for pool in pools:
        for side, similarity in similarities(pool).items():
            found = precision(similarity, labels[pool.rows], artists[pool.rows], groups[pool.rows])
            for name, hit in found.items():
                hits.setdefault(side, {}).setdefault(name, []).append(hit)
    return {
        side: {name: float(np.concatenate(parts).mean()) for name, parts in found.items()}
        for side, found in hits.items()
    }


def similarities(pool: Pool) -> dict[str, NDArray[Any]]:
    """How alike the clips of a pool are, (n, n), by what is searched."""
    embedding, mfcc = pool.embedding, pool.timbre

    def cosine(values: NDArray[Any]) -> NDArray[Any]:
        unit = normalised(values)
        return unit @ unit.T

    fitted = cosine(fit_projection(embedding, DIRECTIONS[0]).apply(embedding))
    timbre = cosine(fit_projection(mfcc, DIRECTIONS[1]).apply(mfcc))
    mixture = cosine(np.sqrt(pool.probabilities))
    return {
        "MFCC statistics, raw": cosine(mfcc),
        "MFCC statistics, standardised": cosine((mfcc - mfcc.mean(axis=0)) / mfcc.std(axis=0)),
        "embedding, raw": cosine(embedding),
        "embedding, as searched": fitted,
        "timbre, as searched": timbre,
        "probabilities, out of fold": mixture,
        "embedding and timbre": fitted + timbre,
        "embedding and probabilities": fitted + mixture,
        "all three (what Earmark searches)": fitted + timbre + mixture,
    }


def coded(samples: NDArray[np.float32], bit_rate: int) -> NDArray[np.float32]:
    """Through MP3 and back."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as target:
        stream = target.add_stream("libmp3lame", rate=RATE, layout="mono")
        stream.bit_rate = bit_rate
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples[None]), format="fltp", layout="mono")
        frame.sample_rate = RATE
        queue = av.AudioFifo()
        queue.write(frame)
        while (part := queue.read(1152)) is not None:
            target.mux(stream.encode(part))
        target.mux(stream.encode(None))
    buffer.seek(0)
    return audio.load(buffer, RATE).samples


def copies(samples: NDArray[np.float32]) -> Iterator[tuple[str, NDArray[np.float32]]]:
    """The same recording as other files might hold it."""
    silence = np.zeros(len(samples), np.float32)
    yield "MP3, 32 kbit/s", coded(samples, 32_000)
    yield "MP3, 64 kbit/s", coded(samples, 64_000)
    yield "quieter", samples * 0.1
    yield "clipped", np.clip(samples * 4, -1, 1)
    yield "without bass", np.diff(samples, prepend=0).astype(np.float32)
    for seconds in (0.13, 0.5, 1.0, 2.0, 3.5):
        cut = int(seconds * RATE)
        yield f"begins {seconds} s later", np.concatenate([samples[cut:], silence[:cut]])
        yield f"begins {seconds} s earlier, MP3, 48 kbit/s", coded(np.concatenate([silence[:cut], samples]), 48_000)


def measure_prints(shared: Path) -> dict[str, Any]:
    """Agreement of unrelated clips, and of clips with copies of themselves."""

    def print_of(samples: NDArray[np.float32]) -> Print:
        return make_print(0.0, spectrogram(fit_window(samples, MEL), MEL), MEL)

    with np.load(shared / "gtzan" / "mel.npz") as archive:
        prints = [make_print(0.0, mel, MEL) for mel in archive["mel"]]
        ids = [str(name) for name in archive["ids"]]
    groups = {clip.id: clip.group for clip in load().clips}
    rng = np.random.default_rng(0)
    unrelated = []
    for _ in range(20_000):
        a, b = rng.choice(len(prints), 2, replace=False)
        if groups[ids[a]] is None or groups[ids[a]] != groups[ids[b]]:
            unrelated.append(agreement(prints[a], prints[b]))
    same: dict[str, list[float]] = {}
    for file in sorted((shared / "gtzan" / "audio").rglob("*.flac"))[::4]:
        samples = audio.load(file, RATE).samples
        original = print_of(samples)
        for name, copy in copies(samples):
            same.setdefault(name, []).append(agreement(original, print_of(copy)))
    return {
        "unrelated pairs": len(unrelated),
        "unrelated, median": float(np.median(unrelated)),
        "unrelated, highest": float(max(unrelated)),
        "threshold": SAME,
        "copies, lowest": {name: float(min(values)) for name, values in same.items()},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    beside = Path(__file__).resolve().parent.parent.parent / "shared"
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("EARMARK_SHARED", beside)))
    parser.add_argument("--folds", type=Path, help="bundles of a cross-validation; with --stored")
    parser.add_argument("--stored", type=Path, help="the spectrograms of all clips, such as gtzan/mel.npz")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if (options.folds is None) != (options.stored is None):
        parser.error("--folds and --stored go together")
    data, pools = frozen_pool() if options.folds is None else fold_pools(options.stored, fold_bundles(options.folds))
    figures: dict[str, Any] = {"pools": [len(pool.rows) for pool in pools], "by": "the packaged features"}
    if options.folds is not None:
        figures["by"] = classifier_of(next(iter(fold_bundles(options.folds).files.values()))).bundle.card.name
    print(f"{len(data.clips)} clips, neighbours among {figures['pools']}, embeddings by {figures['by']}\n")
    figures["precision at 10"] = measure_search(data, pools)
    names = ("same genre", "same artist", "same genre, other artist")
    print(f"{'precision at 10':36s}" + "".join(f"{name:>26s}" for name in names))
    for side, found in figures["precision at 10"].items():
        print(f"{side:36s}" + "".join(f"{found[name]:26.3f}" for name in names))
    if (options.shared / "gtzan" / "mel.npz").is_file():
        figures["prints"] = found = measure_prints(options.shared)
        print(
            f"\nprints of {found['unrelated pairs']} unrelated pairs: median {found['unrelated, median']:.3f},",
            end=" ",
        )
        print(f"highest {found['unrelated, highest']:.3f}; the same from {found['threshold']} on")
        for name, value in found["copies, lowest"].items():
            print(f"  lowest of copies, {name:40s} {value:.3f}")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
