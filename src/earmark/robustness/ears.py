"""Who may hear which clip: one bundle for all, or a bundle per fold that never heard the clips it is asked about."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from earmark.bundle import Bundle, load_bundle
from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.predict import Classifier

TABLE = "clips.csv"
HELD_OUT = "held_out"


def clips_fingerprint(ids: Iterable[str]) -> str:
    """16 hexadecimal digits that differ for different sets of clips; a fold's bundle carries that of its own."""
    return hashlib.sha256("\n".join(sorted(ids)).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Ears:
    """Classifiers, and who hears which clip.

    Parameters
    ----------
    classifiers
        By name; with one alone it hears every clip.
    places
        Clip id to the name of its classifier; None: there is one for all.
    source
        What to call them.
    """

    classifiers: Mapping[str, Classifier]
    places: Mapping[str, str] | None
    source: str

    def __post_init__(self) -> None:
        first = self.first.bundle
        for name, classifier in self.classifiers.items():
            bundle = classifier.bundle
            if bundle.labels != first.labels or bundle.front_end != first.front_end:
                raise InputError(f"The bundle {name} knows other genres or hears otherwise than the first one.")

    @property
    def first(self) -> Classifier:
        """Any of them: labels and front end are those of all."""
        return next(iter(self.classifiers.values()))

    @property
    def labels(self) -> tuple[str, ...]:
        """Genres, in the bundles' order."""
        return self.first.labels

    @property
    def out_of_fold(self) -> bool:
        """Whether every clip is heard by a model that never heard it, its artist or its recording."""
        return self.places is not None

    def of(self, clip: str) -> Classifier | None:
        """Who hears a clip; None if nobody may."""
        if self.places is None:
            return self.first
        name = self.places.get(clip)
        return None if name is None else self.classifiers[name]

    def trained_on(self, dataset: Dataset) -> bool:
        """Whether the one bundle says that it was trained on clips of this dataset."""
        if self.out_of_fold:
            return False
        provenance = self.first.bundle.card.provenance
        return provenance.get("fingerprint") == dataset.fingerprint or (
            dataset.is_gtzan and provenance.get("dataset") == "GTZAN"
        )


def one_bundle(bundle: Bundle | Path | str | None = None) -> Ears:
    """One bundle for all clips; None: the packaged one."""
    classifier = Classifier(bundle)
    return Ears({classifier.bundle.card.name: classifier}, None, classifier.bundle.card.name)


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
    classifiers = {}
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
        classifiers[name] = Classifier(bundle)
    return Ears(classifiers, places, folder.name)
