"""The run folder: what a training or cross-validation leaves behind, written in one place and read into one object.

===================  ==============================================================================================
``run.json``         what was run: command, data set, protocol, model, training, versions, machine, one entry per fold
``clips.csv``        clip, label, group, artist, title
``folds.csv``        repeat, fold, clip, role (``validation`` or ``test``; every other clip was trained on)
``curves.csv``       repeat, fold, epoch, train_loss, train_accuracy, validation_loss, validation_accuracy
``predictions.csv``  repeat, fold, clip, label, group, predicted, confidence and one column ``p:<label>`` per label
``inner.csv``        repeat, fold, clip and ``l:<label>``: logarithms of probabilities of training clips that a second
                     training in the fold did not see (where a temperature is fitted; for :mod:`earmark.fusion`)
``metrics.json``     what :func:`earmark.metrics.evaluate` says of the predictions
``leaks.json``       the leak tests: test, passed, value, bound, sentence
``thumbnails.npz``   ids and small spectrograms, low frequency first (optional)
===================  ==============================================================================================
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark import run_files
from earmark.errors import InputError, StoreError
from earmark.metrics import ClipScores, evaluate, per_clip
from earmark.run_files import ClipInfo, Curves, LeakTest, Place, Predictions


@dataclass(frozen=True)
class Run:
    """A run as it lies on disk.

    Parameters
    ----------
    folder
        Where.
    info
        All of ``run.json``.
    labels
        In the order of the probability columns.
    clips
        By clip id, in the order of the file.
    roles
        For each (repeat, fold): the clips per role, ``validation`` and ``test``.
    curves
        For each (repeat, fold); empty for models that are not trained in epochs.
    predictions
        None where the run predicts nothing.
    leaks
        Empty where no leak test was run.
    """

    folder: Path
    info: Mapping[str, Any]
    labels: tuple[str, ...]
    clips: Mapping[str, ClipInfo]
    roles: Mapping[Place, Mapping[str, tuple[str, ...]]]
    curves: Mapping[Place, Curves]
    predictions: Predictions | None
    leaks: tuple[LeakTest, ...]
    stored_metrics: Mapping[str, Any] | None = field(default=None, repr=False)

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.resolve().name

    @property
    def kind(self) -> str:
        """``crossval`` or ``train``."""
        return str(self.info["kind"])

    @property
    def protocol(self) -> Mapping[str, Any]:
        """Name, folds, repeats, seeds, grouped."""
        protocol: Mapping[str, Any] = self.info["protocol"]
        return protocol

    @property
    def model(self) -> str:
        """The model's name."""
        return str(self.info.get("model", {}).get("name", "model"))

    @property
    def dataset(self) -> str:
        """The data set's name."""
        return str(self.info["dataset"]["name"])

    def group_of(self, clip: str) -> str:
        """The clip's group; a clip without one is its own."""
        return self.clips[clip].group or clip

    @cached_property
    def joint(self) -> ClipScores | None:
        """What all repeats say of each clip together; None without predictions."""
        found = self.predictions
        if found is None:
            return None
        return per_clip(found.clips, found.y_true, found.probabilities, found.predicted)

    @cached_property
    def metrics(self) -> Mapping[str, Any] | None:
        """``metrics.json``, or the same computed now where it is missing; None without predictions."""
        if self.stored_metrics is not None:
            return self.stored_metrics
        return None if self.predictions is None else evaluate_predictions(self)

    def thumbnails(self, clips: Iterable[str]) -> dict[str, NDArray[np.uint8]]:
        """Small spectrograms of some clips, uint8 (bins, columns), low frequency first; missing ones left out."""
        path = self.folder / "thumbnails.npz"
        if not path.is_file():
            return {}
        try:
            with np.load(path, allow_pickle=False) as archive:
                images = np.asarray(archive["thumbnails"])
                where = {str(name): row for row, name in enumerate(archive["ids"])}
        except (OSError, EOFError, ValueError, KeyError, MemoryError, zipfile.BadZipFile) as error:
            raise StoreError(
                f"{path} is damaged ({error}); remove it to get a report without spectrograms."
            ) from error
        if images.ndim != 3 or images.dtype != np.uint8 or len(images) != len(where):
            raise StoreError(
                f"{path} does not hold one 8-bit picture per clip; remove it to get a report without spectrograms."
            )
        return {clip: images[where[clip]] for clip in clips if clip in where}


def evaluate_predictions(run: Run, *, seed: int = 0, resamples: int = 2000) -> dict[str, Any]:
    """:func:`earmark.metrics.evaluate` over a run's predictions, with its groups, repeats and folds.

    Raises
    ------
    InputError
        If the run holds no predictions.
    """
    found = run.predictions
    if found is None:
        raise InputError(f"The run {run.folder} holds no predictions, so there is nothing to score.")
    return evaluate(
        run.labels,
        found.y_true,
        found.probabilities,
        [run.group_of(clip) for clip in found.clips],
        predicted=found.predicted,
        clips=found.clips,
        repeats=found.repeat.tolist(),
        folds=found.fold.tolist(),
        seed=seed,
        resamples=resamples,
    )


def load_run(folder: Path | str) -> Run:
    """Read a run folder.

    Raises
    ------
    InputError
        If there is no run at this place.
    StoreError
        If a file is missing, damaged or from another version, or the files contradict each other.
    """
    folder = Path(folder)
    if not folder.exists():
        raise InputError(f"There is no run at {folder}: the folder does not exist.")
    if not (folder / "run.json").is_file():
        raise InputError(
            f"{folder} is not a run: it holds no run.json. Give the folder that crossval or train wrote."
        )
    info = run_files.read_info(folder / "run.json")
    labels = tuple(str(label) for label in info["labels"])
    clips = {row.clip: row for row in run_files.read_clips(folder / "clips.csv", set(labels))}
    predictions = run_files.read_predictions(folder / "predictions.csv", labels, clips)
    return Run(
        folder=folder,
        info=info,
        labels=labels,
        clips=clips,
        roles=run_files.read_roles(folder / "folds.csv", clips),
        curves=run_files.read_curves(folder / "curves.csv"),
        predictions=predictions,
        leaks=run_files.read_leaks(folder / "leaks.json"),
        stored_metrics=run_files.read_metrics(folder / "metrics.json", labels, predictions),
    )
