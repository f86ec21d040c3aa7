"""The anatomy of a step over several seeds, so that no finding hangs on one deal of the clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from earmark.anatomy import Anatomy, Condition, Explanation, explain
from earmark.dataset import Dataset
from earmark.errors import InputError
from earmark.files import write_json
from earmark.progress import Progress, Step, silent

FORMAT = 2
LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """One figure over seeds.

    Parameters
    ----------
    values
        One for each seed, 0..1.
    low, high
        Ends of the 95 % interval of the mean by Student's t distribution; None with one seed. It tells how far other
        deals of the same clips would move the mean, and nothing about other clips.
    """

    values: tuple[float, ...]
    low: float | None
    high: float | None

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """The spread of some values."""
        if len(values) < 2:
            return cls(tuple(values), None, None)
        from scipy.stats import t

        mean, error = float(np.mean(values)), float(np.std(values, ddof=1)) / len(values) ** 0.5
        width = float(t.ppf((1 + LEVEL) / 2, len(values) - 1)) * error
        return cls(tuple(values), mean - width, mean + width)

    @property
    def mean(self) -> float:
        """Over the seeds."""
        return float(np.mean(self.values))

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {"mean": self.mean, **asdict(self)}


@dataclass(frozen=True)
class Finding:
    """One explanation, carried out once for each seed.

    Parameters
    ----------
    model, matched
        The network, and whether it was trained only until one split scores what the claim says.
    epochs
        How long, for each seed.
    key, name
        Which explanation.
    before, after, step, shuffled
        Its figures.
    step_fits, fits
        In how many seeds the step, and the step with both figures, agrees with the claim.
    """

    model: str
    matched: bool
    epochs: tuple[int, ...]
    key: str
    name: str
    before: Spread
    after: Spread
    step: Spread
    shuffled: Spread
    step_fits: int
    fits: int

    @property
    def seeds(self) -> int:
        """How many seeds there are figures of; a network may never have scored what the claim says."""
        return len(self.epochs)

    @property
    def network(self) -> str:
        """For example ``tl-cnn-gru, 2 to 3 epochs``."""
        low, high = min(self.epochs), max(self.epochs)
        length = f"{low} to {high}" if low < high else str(low)
        return f"{self.model}, {length} epoch{'s' * (high != 1)}"


@dataclass(frozen=True)
class Repeated:
    """The experiment, once for each seed."""

    experiments: tuple[Anatomy, ...]

    @property
    def first(self) -> Anatomy:
        """That of the first seed."""
        return self.experiments[0]

    @property
    def seeds(self) -> tuple[int, ...]:
        """As asked for."""
        return tuple(found.seed for found in self.experiments)

    @cached_property
    def findings(self) -> tuple[Finding, ...]:
        """Every explanation of every network, in the order of the experiment."""
        rows: dict[tuple[str, bool, str], list[tuple[Condition, Explanation]]] = {}
        for found in self.experiments:
            for where in found.conditions:
                for item in where.explanations:
                    rows.setdefault((where.model, where.matched, item.key), []).append((where, item))
        models = list(dict.fromkeys(model for model, _, _ in rows))
        # A seed that lacks a network must not push it to the end of the table.
        ordered = sorted(rows.items(), key=lambda row: (models.index(row[0][0]), row[0][1]))
        return tuple(
            Finding(
                model,
                matched,
                tuple(where.epochs for where, _ in pairs),
                key,
                name=pairs[0][1].name,
                before=Spread.of([item.before for _, item in pairs]),
                after=Spread.of([item.after for _, item in pairs]),
                step=Spread.of([item.step for _, item in pairs]),
                shuffled=Spread.of([item.shuffled for _, item in pairs]),
                step_fits=sum(item.step_fits for _, item in pairs),
                fits=sum(item.fits for _, item in pairs),
            )
            for (model, matched, key), pairs in ordered
        )

    def of_claim(self) -> tuple[Finding, ...]:
        """The findings with the network that the claim is about."""
        return tuple(item for item in self.findings if item.model == self.findings[0].model)

    def finding(self, key: str) -> Finding:
        """Of the claim's network, trained as long as asked for."""
        return next(item for item in self.of_claim() if item.key == key and not item.matched)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "format": FORMAT,
            "seeds": list(self.seeds),
            "findings": [
                {
                    **asdict(item),
                    **{name: getattr(item, name).to_dict() for name in ("before", "after", "step", "shuffled")},
                }
                for item in self.findings
            ],
            "experiments": [found.to_dict() for found in self.experiments],
        }


def explain_seeds(
    dataset: Dataset, out: Path | str, seeds: Sequence[int], *, progress: Progress = silent, **options: Any
) -> Repeated:
    """Carry out :func:`earmark.anatomy.explain` once for each seed.

    Parameters
    ----------
    out
        A folder; each seed gets a folder in it, and ``explanation.json`` holds all figures.
    seeds
        Each deals the clips anew, to the folds and to the single split, and draws other first weights.
    options
        As for :func:`earmark.anatomy.explain`.

    Raises
    ------
    InputError
        If there is no seed, or one twice; and as :func:`earmark.anatomy.explain`.
    """
    if not seeds or len(set(seeds)) < len(seeds):
        raise InputError("Give at least one seed, and none of them twice, for example 0,1,2.")
    out, experiments = Path(out), []
    for seed in seeds:

        def told(step: Step, seed: int = seed) -> None:
            progress(Step(f"seed {seed}, {step.task}", step.done, step.total, step.note))

        experiments.append(explain(dataset, out / f"seed-{seed}", seed=seed, progress=told, **options))
    found = Repeated(tuple(experiments))
    write_json(out / "explanation.json", found.to_dict())
    return found
