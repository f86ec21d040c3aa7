"""The report's three systems, trained and set beside the report's figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from earmark.crossval import crossval
from earmark.dataset import Dataset
from earmark.files import write_json
from earmark.folds import RANDOM, make_protocol, one_random_split
from earmark.learners import make_learner
from earmark.models.config import TrainingConfig
from earmark.progress import Progress, Step, silent
from earmark.runs import Run


@dataclass(frozen=True)
class System:
    """One column of the report's table.

    Parameters
    ----------
    name
        As the report calls it.
    model
        The learner's name.
    folds
        Of the random stratified cross-validation; None: one split of 80 to 20.
    accuracy
        The report's figure.
    f1
        The report's F1 score per genre, in the order of :data:`GENRES`.
    """

    name: str
    model: str
    folds: int | None
    accuracy: float
    f1: tuple[float, ...]


GENRES = ("blues", "classical", "country", "disco", "hiphop", "jazz", "metal", "pop", "reggae", "rock")
# Section 4.1 of the report.
SYSTEMS = (
    System("TL+CNN", "tl-cnn", None, 0.53, (0.49, 0.87, 0.36, 0.39, 0.55, 0.68, 0.61, 0.76, 0.35, 0.26)),
    System("TL+CNN+GRU", "tl-cnn-gru", None, 0.55, (0.52, 0.88, 0.49, 0.51, 0.54, 0.66, 0.67, 0.66, 0.33, 0.04)),
    System("TL+CNN+GRU+10-FCV", "tl-cnn-gru", 10, 0.71, (0.74, 0.92, 0.68, 0.56, 0.69, 0.75, 0.84, 0.68, 0.69, 0.50)),
)


@dataclass(frozen=True)
class Reproduction:
    """The three runs, in the order of :data:`SYSTEMS`."""

    runs: tuple[Run, ...]

    def rows(self) -> list[dict[str, Any]]:
        """One row per genre and one for accuracy: ``name`` and, per system, ``(report, ours)``.

        The report's figure is None for genres that it does not have.
        """
        tables = [_f1(run) for run in self.runs]
        reported = [dict(zip(GENRES, system.f1, strict=True)) for system in SYSTEMS]
        rows: list[dict[str, Any]] = [
            {
                "name": label,
                "systems": [(theirs.get(label), ours[label]) for theirs, ours in zip(reported, tables, strict=True)],
            }
            for label in self.runs[0].labels
        ]
        accuracies = [
            (system.accuracy, _accuracy(run)["value"]) for system, run in zip(SYSTEMS, self.runs, strict=True)
        ]
        rows.append({"name": "accuracy", "systems": accuracies})
        return rows

    def intervals(self) -> list[tuple[float, float]]:
        """95 % interval of each system's accuracy, by bootstrap over groups."""
        return [(_accuracy(run)["low"], _accuracy(run)["high"]) for run in self.runs]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "systems": [system.name for system in SYSTEMS],
            "runs": [str(run.folder) for run in self.runs],
            "rows": [
                {
                    "name": row["name"],
                    "report": [a for a, _ in row["systems"]],
                    "ours": [b for _, b in row["systems"]],
                }
                for row in self.rows()
            ],
            "accuracy_intervals": [list(interval) for interval in self.intervals()],
        }


def _accuracy(run: Run) -> Mapping[str, float]:
    assert run.metrics is not None
    result: Mapping[str, float] = run.metrics["accuracy"]
    return result


def _f1(run: Run) -> dict[str, float]:
    assert run.metrics is not None
    return {row["label"]: _value(row["f1"]) for row in run.metrics["per_label"]}


def _value(score: Any) -> float:
    return float(score["value"] if isinstance(score, Mapping) else score)


def reproduce(
    dataset: Dataset,
    out: Path | str,
    *,
    training: TrainingConfig | None = None,
    seed: int = 0,
    jobs: int | None = None,
    device: str = "cpu",
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> Reproduction:
    """Train the report's three systems and write a run for each.

    TL+CNN and TL+CNN+GRU are trained on one random stratified split of 80 to 20, TL+CNN+GRU also in random
    stratified 10-fold cross-validation with a fresh model per fold. The report says neither how large its single
    split was nor how clips were dealt; the split here is the first of five random stratified folds.

    Parameters
    ----------
    out
        A folder for three runs and ``reproduction.json``; a reproduction that was stopped goes on there.
    training
        The report's 100 epochs by default.
    seed
        Of folds and first weights.
    """
    out = Path(out)
    ten = make_protocol(dataset, RANDOM, folds=10, seeds=[seed])
    runs = []
    for number, system in enumerate(SYSTEMS, start=1):
        task = f"{number} of {len(SYSTEMS)}: {system.name}"
        runs.append(
            crossval(
                dataset,
                make_learner(system.model, training),
                ten if system.folds else one_random_split(dataset, seed),
                out / f"{number}-{system.name.lower().replace('+', '-')}",
                jobs=jobs,
                device=device,
                leak_tests=system.folds is not None,
                command=command,
                progress=lambda step, task=task: progress(
                    Step(f"{task}, {step.task}", step.done, step.total, step.note)
                ),  # type: ignore[misc]
            )
        )
    result = Reproduction(tuple(runs))
    write_json(out / "reproduction.json", result.to_dict())
    return result
