"""The anatomy of a step in accuracy: which procedure turns one figure into another, with everything else the same.

Made for the report's step from 0.55 (one split) to 0.71 (10-fold cross-validation), and usable on any dataset and any
pair of figures. Every procedure that could lie behind the step is carried out with the same features, network and
seeds, with real labels and with shuffled ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np

from earmark import leaks
from earmark.crossval import crossval
from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.files import write_json
from earmark.folds import RANDOM, make_protocol, one_random_split
from earmark.learners import make_learner
from earmark.models.config import TrainingConfig
from earmark.progress import Progress, Step, silent
from earmark.reproduce import SYSTEMS
from earmark.run_files import LeakTest
from earmark.run_scores import accuracy, best_epochs, fold_accuracies, fold_sizes, matching_epochs
from earmark.runs import Run

FORMAT = 1
MODELS = ("tl-cnn-gru", "tl-cnn")
SPLIT_SHARE = 0.2
# Two-sided 5 % of a normal distribution.
_WIDTH = 1.96

Procedure = Literal["split", "honest", "kept"]
PROCEDURES: tuple[Procedure, ...] = ("split", "honest", "kept")


@dataclass(frozen=True)
class Claim:
    """The step to explain.

    Parameters
    ----------
    before, after
        Accuracy of one split, and of cross-validation, 0..1.
    of_report
        Whether it is the step of the report that Earmark reproduces.
    """

    before: float = SYSTEMS[1].accuracy
    after: float = SYSTEMS[2].accuracy
    of_report: bool = True

    @property
    def step(self) -> float:
        """After less before."""
        return self.after - self.before


@dataclass(frozen=True)
class Explanation:
    """One way in which the step could have come about, carried out.

    Parameters
    ----------
    key, name
        ``honest``, ``unlucky``, ``best-epoch``, ``best-fold`` or ``kept``, and what a person calls it.
    what
        What is done, in a sentence.
    before, after
        Accuracy that this procedure gives for one split and for cross-validation.
    folds
        Accuracy that it reports of each fold, in the order of training.
    shuffled
        ``after`` with shuffled labels.
    tolerance
        How far from the claimed step a step may be and still agree with it (95 %), in 0..1.
    before_fits, after_fits
        Whether the two levels agree with the claimed ones, each within its own tolerance.
    """

    key: str
    name: str
    what: str
    before: float
    after: float
    folds: tuple[float, ...]
    shuffled: float
    tolerance: float
    step_fits: bool
    before_fits: bool
    after_fits: bool

    @property
    def step(self) -> float:
        """After less before."""
        return self.after - self.before

    @property
    def fits(self) -> bool:
        """Whether step and both levels agree with the claim."""
        return self.step_fits and self.before_fits and self.after_fits


@dataclass(frozen=True)
class Condition:
    """One network trained for one number of epochs, under every procedure.

    Parameters
    ----------
    model, epochs
        What is trained and how long (in each fold).
    matched
        Whether the epochs were chosen so that one split scores about what the claim says.
    runs, shuffled
        By procedure, with real and with shuffled labels.
    claim
        The step to explain.
    """

    model: str
    epochs: int
    matched: bool
    runs: dict[Procedure, Run]
    shuffled: dict[Procedure, Run]
    claim: Claim

    @property
    def name(self) -> str:
        """For example ``tl-cnn-gru, 30 epochs``."""
        return f"{self.model}, {self.epochs} epoch{'s' * (self.epochs != 1)}"

    @cached_property
    def explanations(self) -> tuple[Explanation, ...]:
        """Every explanation, from the most innocent."""
        split, honest, kept = (accuracy(self.runs[name]) for name in PROCEDURES)
        folds, kept_folds = fold_accuracies(self.runs["honest"]), fold_accuracies(self.runs["kept"])
        shuffled, shuffled_folds = accuracy(self.shuffled["honest"]), fold_accuracies(self.shuffled["honest"])
        clips = fold_sizes(self.runs["honest"])
        tested, smallest = sum(clips), min(clips)
        best, shuffled_best = best_epochs(self.runs["honest"]), best_epochs(self.shuffled["honest"])
        unlucky = _lowest(folds, clips)
        number = len(folds)
        return (
            self._explain(
                "honest",
                "Cross-validation itself",
                f"Each of {number} folds is tested once by a fresh model that never saw it; all {tested} answers "
                "are counted.",
                split, honest, folds, shuffled, tested,
            ),
            self._explain(
                "unlucky",
                "An unlucky single split",
                "The same, but the single split happened to get the hardest clips: the folds with the lowest "
                f"accuracy, together about {SPLIT_SHARE:.0%} of the clips, stand for it.",
                unlucky, honest, folds, shuffled, tested,
            ),
            self._explain(
                "best-epoch",
                "Best epoch on test fold",
                "After every epoch the test fold is scored, and the highest score of each fold is kept.",
                split, float(np.average(best, weights=clips)), best,
                float(np.average(shuffled_best, weights=clips)), tested,
            ),
            self._explain(
                "best-fold",
                "Best fold quoted",
                "All folds are honest, but only the highest of them is quoted.",
                split, max(folds), folds, max(shuffled_folds), smallest,
            ),
            self._explain(
                "kept",
                "One model across folds",
                "The model is made once, before the folds, and trained on from fold to fold: from the second fold on "
                "it has already been trained on the clips that test it.",
                split, kept, kept_folds, accuracy(self.shuffled["kept"]), tested,
            ),
        )  # fmt: skip

    def _explain(
        self,
        key: str,
        name: str,
        what: str,
        before: float,
        after: float,
        folds: Sequence[float],
        shuffled: float,
        clips: int,
    ) -> Explanation:
        split, all_clips = sum(fold_sizes(self.runs["split"])), sum(fold_sizes(self.runs["honest"]))
        claim = self.claim
        first = _variance(before, split) + _variance(claim.before, split)
        second = _variance(after, clips) + _variance(claim.after, all_clips)
        tolerance = _WIDTH * math.sqrt(first + second)
        return Explanation(
            key, name, what, before, after, tuple(folds), shuffled, tolerance,
            step_fits=abs((after - before) - claim.step) <= tolerance,
            before_fits=abs(before - claim.before) <= _WIDTH * math.sqrt(first),
            after_fits=abs(after - claim.after) <= _WIDTH * math.sqrt(second),
        )  # fmt: skip

    @cached_property
    def leak_tests(self) -> dict[Procedure, tuple[LeakTest, ...]]:
        """What the leak tests say of the honest and of the kept procedure."""
        honest = self.runs["honest"]
        expected = [str(row.get("initial_weights", "")) for row in honest.info["folds"]]
        found: dict[Procedure, tuple[LeakTest, ...]] = {}
        for name in ("honest", "kept"):
            run = self.runs[name]
            targets = np.array([run.labels.index(clip.label) for clip in run.clips.values()])
            sizes = fold_sizes(run)
            initial = [str(row.get("initial_weights", "")) for row in run.info["folds"]]
            names = [f"fold {row['fold'] + 1}" for row in run.info["folds"]]
            found[name] = (
                leaks.shuffled_labels(accuracy(self.shuffled[name]), targets, sum(sizes)),
                leaks.fold_order(fold_accuracies(run), sum(sizes) / len(sizes)),
                leaks.fresh_models(names, initial, expected),
            )
        return found


@dataclass(frozen=True)
class Anatomy:
    """The whole experiment.

    Parameters
    ----------
    dataset, clips, is_gtzan
        What it was made on.
    labels
        Number of genres.
    claim
        The step to explain.
    conditions
        The network of the claim first: as long as asked for, then trained to the claimed start (if it can be); after
        it the same without the GRU.
    seed, folds, epochs
        As asked for.
    """

    dataset: str
    clips: int
    is_gtzan: bool
    labels: int
    claim: Claim
    conditions: tuple[Condition, ...]
    seed: int
    folds: int
    epochs: int

    @property
    def chance(self) -> float:
        """Share of the largest genre among the clips: the best a guess can do."""
        clips = list(self.conditions[0].runs["honest"].clips.values())
        return max(sum(clip.label == label for clip in clips) for label in {c.label for c in clips}) / len(clips)

    def of_claim(self) -> tuple[Condition, ...]:
        """The conditions with the network that the claim is about."""
        return tuple(condition for condition in self.conditions if condition.model == self.conditions[0].model)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "format": FORMAT,
            "dataset": {"name": self.dataset, "clips": self.clips, "genres": self.labels},
            "claim": {**asdict(self.claim), "step": self.claim.step},
            "seed": self.seed,
            "folds": self.folds,
            "epochs": self.epochs,
            "chance": self.chance,
            "conditions": [
                {
                    "model": condition.model,
                    "epochs": condition.epochs,
                    "matched": condition.matched,
                    "split": accuracy(condition.runs["split"]),
                    "shuffled_split": accuracy(condition.shuffled["split"]),
                    "explanations": [
                        {**asdict(item), "step": item.step, "fits": item.fits} for item in condition.explanations
                    ],
                    "shuffled_folds": {name: fold_accuracies(condition.shuffled[name]) for name in PROCEDURES},
                    "leak_tests": {
                        name: [asdict(test) for test in tests] for name, tests in condition.leak_tests.items()
                    },
                    "runs": {
                        **{name: run.name for name, run in condition.runs.items()},
                        **{f"{name}, shuffled": run.name for name, run in condition.shuffled.items()},
                    },
                }
                for condition in self.conditions
            ],
        }


def explain(
    dataset: Dataset,
    out: Path | str,
    *,
    epochs: int = 30,
    folds: int = 10,
    seed: int = 0,
    claim: Claim | None = None,
    batch_size: int = 128,
    learning_rate: float = 1e-3,
    jobs: int | None = None,
    device: str = "cpu",
    command: Sequence[str] = (),
    progress: Progress = silent,
) -> Anatomy:
    """Carry out every procedure that could turn one figure into the other.

    Parameters
    ----------
    out
        A folder for the runs and ``explanation.json``. Each procedure is a run folder of its own; finished ones are
        read, so an experiment that was stopped goes on where it was.
    epochs
        In each fold.
    claim
        The step to explain; None: the report's.
    seed
        Of folds, first weights and shuffled labels.

    Raises
    ------
    InputError
        If the claim is no step between two accuracies, or the clips cannot be dealt to the folds.
    """
    out, claim = Path(out), claim or Claim()
    if not 0 < claim.before < 1 or not 0 < claim.after < 1:
        raise InputError("The two figures of a claim are accuracies between 0 and 1, for example 0.55 and 0.71.")
    if folds < 3:
        raise InputError(f"Following a model from fold to fold needs at least 3 folds, not {folds}.")
    training = TrainingConfig(epochs, batch_size, learning_rate)
    protocols = {
        "split": one_random_split(dataset, seed),
        "honest": make_protocol(dataset, RANDOM, folds=folds, seeds=[seed]),
    }
    protocols["kept"] = protocols["honest"]

    def carry_out(model: str, length: int, matched: bool) -> Condition:
        learner = make_learner(model, replace(training, epochs=length))
        runs: dict[bool, dict[Procedure, Run]] = {False: {}, True: {}}
        for shuffled in (False, True):
            for name in PROCEDURES:
                label = f"{model}-{length}-{name}{'-shuffled' * shuffled}"
                runs[shuffled][name] = crossval(
                    dataset, learner, protocols[name], out / label,
                    # Starting worker processes takes longer than a few epochs.
                    jobs=jobs if length >= 10 else 1,
                    device=device, leak_tests=False, one_model=name == "kept", shuffle_labels=shuffled,
                    command=command,
                    progress=lambda step, label=label: progress(Step(label, step.done, step.total, step.note)),  # type: ignore[misc]
                )  # fmt: skip
        return Condition(model, length, matched, runs[False], runs[True], claim)

    conditions = []
    for model in MODELS:
        full = carry_out(model, epochs, False)
        conditions.append(full)
        shorter = matching_epochs(full.runs["split"], claim.before)
        if shorter is not None:
            conditions.append(carry_out(model, shorter, True))
    found = Anatomy(
        dataset.name, len(dataset.clips), dataset.is_gtzan, len(dataset.labels), claim, tuple(conditions), seed,
        folds, epochs,
    )  # fmt: skip
    write_json(out / "explanation.json", found.to_dict())
    return found


def _lowest(folds: Sequence[float], clips: Sequence[int]) -> float:
    number = max(1, round(SPLIT_SHARE * len(folds)))
    rows = np.argsort(folds)[:number]
    return float(np.average(np.asarray(folds)[rows], weights=np.asarray(clips)[rows]))


def _variance(share: float, clips: int) -> float:
    return share * (1 - share) / clips
