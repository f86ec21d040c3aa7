"""From whatever a user has to a dataset with the features that a model needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from earmark.dataset import Dataset, load_dataset
from earmark.errors import InputError
from earmark.extract import Failure, extract
from earmark.features import BACKBONE
from earmark.front_end import MEL, REPORT, FrontEnd
from earmark.processors import usable_processors
from earmark.progress import Progress, silent
from earmark.store import cache_folder

if TYPE_CHECKING:
    from earmark.models.backbone import Backbone

KINDS = {"mel": MEL, "stft": REPORT}


def prepare(
    source: str | Path,
    *,
    feature: str = BACKBONE,
    kind: str = "mel",
    backbone: str | Path | Backbone | None = None,
    cache: Path | None = None,
    jobs: int | None = None,
    device: str = "cpu",
    progress: Progress = silent,
) -> tuple[Dataset, list[Failure]]:
    """Load a dataset, make spectrograms where there is sound, and compute the features where they are missing.

    Parameters
    ----------
    source
        See :func:`earmark.dataset.load_dataset`.
    feature
        Name of the features that are needed.
    kind
        Front end for sound: ``mel``, or ``stft`` for the report's.
    cache
        Folder for what is slow to compute; None: the platform's cache folder.
    jobs
        Worker processes that decode; None: one per processor.

    Returns
    -------
    dataset, failures
        The failures are the clips that could not be used and are left out.

    Raises
    ------
    InputError
        If there is nothing to work with.
    """
    from earmark.embeddings import with_features

    front_end = front_end_named(kind)
    dataset = load_dataset(source)
    failures: list[Failure] = []
    folder = cache if cache is not None else cache_folder()
    if feature not in dataset.features and dataset.spectrograms is None:
        dataset, failures = extract(
            dataset, front_end, cache=folder, jobs=jobs or usable_processors(), progress=progress
        )
    if not dataset.clips:
        raise InputError(f"Of {source} no clip can be used. See why with: earmark data check {source}")
    dataset = with_features(
        dataset, needed=feature, backbone=backbone, cache=folder, device=device, progress=progress
    )
    return dataset, failures


def front_end_named(kind: str) -> FrontEnd:
    """The front end that a command's ``--kind`` names.

    Raises
    ------
    InputError
        If there is none of that name.
    """
    if kind not in KINDS:
        raise InputError(f"There is no front end {kind!r}; choose one of {', '.join(KINDS)}.")
    return KINDS[kind]


def front_end_of(dataset: Dataset) -> FrontEnd:
    """The front end that the dataset's spectrograms were made with.

    Raises
    ------
    InputError
        If it is not known, so that no bundle could hear in the same way.
    """
    if dataset.front_end is None:
        raise InputError(
            f"It is not known how the spectrograms of {dataset.name} were made, so no bundle can hear so."
        )
    return dataset.front_end
