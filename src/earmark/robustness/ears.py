"""Who may hear which clip: one bundle for all, or a bundle per fold that never heard the clips it is asked about."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from earmark.bundle import Bundle, load_bundle
from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.predict import Classifier, packaged_bundle

TABLE = "clips.csv"
HELD_OUT = "held_out"


def clips_fingerprint(ids: Iterable[str]) -> str:
    """16 hexadecimal digits that differ for different sets of clips; a fold's bundle carries that of its own."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Ears:
    """Bundles, and who hears which clip.

    Parameters
    ----------
    files
        The bundles by name; one alone hears every clip.
    first
        Any of them, read: labels and front end are those of all.
    places
        Clip id to the name of its bundle; None: there is one for all.
    source
        What to call them.
    """

    files: Mapping[str, Path]
    first: Bundle
    places: Mapping[str, str] | None
    source: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Genres, in the bundles' order."""
        return self.first.labels

    @property
    def out_of_fold(self) -> bool:
        """Whether every clip is heard by a model that never heard it, its artist or its recording."""
        return self.places is not None

    def of(self, clip: str) -> Path | None:
        """The bundle that hears a clip; None if none may."""
        if self.places is None:
            return next(iter(self.files.values()))
        name = self.places.get(clip)
        return None if name is None else self.files[name]

    def trained_on(self, dataset: Dataset) -> bool:
        """Whether the one bundle says that it was trained on clips of this dataset."""
        if self.out_of_fold:
            return False
        provenance = self.first.card.provenance
        return provenance.get("fingerprint") == dataset.fingerprint or (
            dataset.is_gtzan and provenance.get("dataset") == "GTZAN"
        )


@lru_cache(maxsize=16)
def classifier_of(path: Path) -> Classifier:
    """The classifier of a bundle, loaded once in a process."""
    return Classifier(path)


def one_bundle(path: Path | str | None = None) -> Ears:
    """One bundle for all clips; None: the packaged one."""
    path = packaged_bundle() if path is None else Path(path)
    bundle = load_bundle(path)
    return Ears({bundle.card.name: path}, bundle, None, bundle.card.name)


def fold_bundles(folder: Path | str) -> Ears:
    """The bundles of a cross-validation, as :func:`earmark.fold_bundles.write_fold_bundles` leaves them.

    Parameters
    ----------
    folder
        With ``clips.csv`` (columns clip and bundle: a file name in the folder) and the bundles.

    Raises
    ------
    InputError
        If something is missing, or a bundle does not vouch for the clips that it is to be asked about.
    StoreError
        If a bundle is damaged.
    """
    folder = Path(folder)
    table = folder / TABLE
    try:
        with table.open(newline="", encoding="utf-8") as handle:
            places = {row["clip"]: row["bundle"] for row in csv.DictReader(handle)}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"There are no bundles of folds in {folder}: {TABLE} cannot be read.") from error
    except KeyError as error:
        raise InputError(f"{table} lacks the column {error}.") from error
    if not places:
        raise InputError(f"{table} names no clip.")
    bundles: dict[str, Bundle] = {}
    for name in sorted(set(places.values())):
        if Path(name).name != name:
            raise InputError(f"{table} names {name!r}, which is not the name of a file beside it.")
        bundle = load_bundle(folder / name)
        mine = clips_fingerprint(clip for clip, place in places.items() if place == name)
        if bundle.card.provenance.get(HELD_OUT) != mine:
            raise InputError(
                f"The bundle {folder / name} does not say that it never heard the clips that {TABLE} gives it. "
                "Make the folder again with scripts/make_fold_bundles.py."
            )
        bundles[name] = bundle
    first = next(iter(bundles.values()))
    for name, bundle in bundles.items():
        if bundle.labels != first.labels or bundle.front_end != first.front_end:
            raise InputError(f"The bundle {folder / name} knows other genres or hears otherwise than the first one.")
    return Ears({name: folder / name for name in bundles}, first, places, folder.name)
