"""The table of record: each model under each protocol, from saved runs and never by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from earmark.errors import InputError
from earmark.files import atomic_write, write_json
from earmark.folds import FAULT_FILTERED, GROUPED, HOLDOUT, LEAVE_ONE_OUT, RANDOM
from earmark.runs import Run

FORMAT = 1
BEGIN, END = "<!-- record -->", "<!-- /record -->"
# The strictest protocol first: its column is the one to quote.
ORDER = (GROUPED, FAULT_FILTERED, LEAVE_ONE_OUT, HOLDOUT, RANDOM)
FAILED = "†"


@dataclass(frozen=True)
class Score:
    """One cell of the table.

    Parameters
    ----------
    accuracy
        Mean over seeds, 0..1.
    low, high
        Its 95 % interval by bootstrap over groups; None where one group leaves nothing to draw from.
    spread
        Standard deviation between seeds; None with one seed.
    macro_f1
        Mean over seeds.
    seeds, folds
        Of the run; ``folds`` per seed.
    clips, groups
        How many were tested, and how many groups they belong to.
    run
        Name of the run's folder.
    created, earmark
        When, and with which version, the run was made.
    failed
        Names of the leak tests that failed.
    leak_tested
        Whether the run carries leak tests.
    """

    accuracy: float
    low: float | None
    high: float | None
    spread: float | None
    macro_f1: float
    seeds: tuple[int, ...]
    folds: int
    clips: int
    groups: int
    run: str
    created: str
    earmark: str
    failed: tuple[str, ...]
    leak_tested: bool


@dataclass(frozen=True)
class Record:
    """The whole table.

    Parameters
    ----------
    dataset, fingerprint
        What all runs were made on.
    models
        Rows, from the worst to the best under the first protocol.
    protocols
        Columns, the strictest first.
    descriptions
        What each protocol is, in words.
    grouped
        Whether each protocol keeps groups on one side.
    cells
        By (model, protocol); a pair that was not run is missing.
    """

    dataset: str
    fingerprint: str
    models: tuple[str, ...]
    protocols: tuple[str, ...]
    descriptions: Mapping[str, str]
    grouped: Mapping[str, bool]
    cells: Mapping[tuple[str, str], Score]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "format": FORMAT,
            "dataset": {"name": self.dataset, "fingerprint": self.fingerprint},
            "protocols": [
                {"name": name, "description": self.descriptions[name], "grouped": self.grouped[name]}
                for name in self.protocols
            ],
            "models": [
                {
                    "name": model,
                    "scores": {
                        protocol: asdict(self.cells[model, protocol])
                        for protocol in self.protocols
                        if (model, protocol) in self.cells
                    },
                }
                for model in self.models
            ],
        }


def read_record(path: Path | str) -> Record:
    """The table that :func:`write_record` wrote, from its JSON.

    Raises
    ------
    InputError
        If there is no such file, or it is no table of record.
    """
    path = Path(path)
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        if told["format"] != FORMAT:
            raise InputError(f"{path} is a table of format {told['format']}; this version of Earmark reads {FORMAT}.")
        cells = {
            (row["name"], protocol): _told_score(score)
            for row in told["models"]
            for protocol, score in row["scores"].items()
        }
        return Record(
            dataset=told["dataset"]["name"],
            fingerprint=told["dataset"]["fingerprint"],
            models=tuple(row["name"] for row in told["models"]),
            protocols=tuple(one["name"] for one in told["protocols"]),
            descriptions={one["name"]: one["description"] for one in told["protocols"]},
            grouped={one["name"]: one["grouped"] for one in told["protocols"]},
            cells=cells,
        )
    except OSError as error:
        raise InputError(f"The table {path} cannot be read ({error.strerror or error}).") from error
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"{path} is no table of record ({error}). Give the .json beside the table.") from error


def _told_score(told: Mapping[str, Any]) -> Score:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in told.items()}
    return Score(**values)


def make_record(runs: Sequence[Run], kept: Record | None = None) -> Record:
    """Gather runs into one table.

    Parameters
    ----------
    runs
        Cross-validations on one dataset, at most one for each model under each protocol.
    kept
        A table made before, from runs that need not be there any more: its cells of the same protocols stay where
        no run takes their place.

    Raises
    ------
    InputError
        If the runs (or the table) are of different datasets, two claim one cell, a run has no predictions, or a run
        shows a mistake on purpose (one model kept across folds, shuffled labels).
    """
    if not runs:
        raise InputError("A table of record needs at least one run.")
    first = runs[0]
    cells: dict[tuple[str, str], Score] = {}
    descriptions: dict[str, str] = {}
    grouped: dict[str, bool] = {}
    deals: dict[str, Run] = {}
    for run in runs:
        _refuse(run, first)
        name = str(run.protocol["name"])
        other = deals.setdefault(name, run)
        if not (_deals_like(run, other) or _deals_like(other, run)):
            raise InputError(
                f"{run.folder} and {other.folder} are both called {name} but deal the clips otherwise (other "
                "folds), so they do not belong in one column. Make both with the same --folds, and --seeds of which "
                "one is a part of the other."
            )
        if len(run.protocol["seeds"]) > len(other.protocol["seeds"]):
            deals[name] = run
        place = (run.model, name)
        if place in cells:
            raise InputError(
                f"Two runs claim the place of {run.model} under {name}: {cells[place].run} and {run.name}. "
                "Give one of them; for several seeds make one run with --seeds 0,1,2."
            )
        cells[place] = _score(run)
        descriptions[name] = str(run.protocol.get("description", ""))
        grouped[name] = bool(run.protocol.get("grouped"))
    if kept is not None:
        if kept.fingerprint != str(first.info["dataset"].get("fingerprint", "")):
            raise InputError("The table to keep rows of is of other clips than the runs.")
        cells = {place: score for place, score in kept.cells.items() if place[1] in descriptions} | cells
    protocols = sorted(descriptions, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))
    given = list(dict.fromkeys(model for model, _ in cells))

    def place_of(model: str) -> tuple[int, float]:
        for column, protocol in enumerate(protocols):
            if (model, protocol) in cells:
                return column, cells[model, protocol].accuracy
        return len(protocols), 0.0

    return Record(
        dataset=first.dataset,
        fingerprint=str(first.info["dataset"].get("fingerprint", "")),
        models=tuple(sorted(given, key=place_of)),
        protocols=tuple(protocols),
        descriptions=descriptions,
        grouped=grouped,
        cells=cells,
    )


def _deals_like(run: Run, other: Run) -> bool:
    """Whether every repeat of a run is a repeat of the other one: the same seed, the same clips in the same folds."""
    if run.protocol.get("fingerprint") == other.protocol.get("fingerprint"):
        return True
    seeds, others = list(run.protocol.get("seeds", ())), list(other.protocol.get("seeds", ()))
    if not set(seeds) < set(others):
        return False

    def dealt(which: Run, repeat: int) -> dict[int, tuple[str, ...]]:
        roles = which.roles.items()
        return {fold: sides.get("test", ()) for (number, fold), sides in roles if number == repeat}

    return all(dealt(run, place) == dealt(other, others.index(seed)) for place, seed in enumerate(seeds))


def _refuse(run: Run, first: Run) -> None:
    if run.info["dataset"].get("fingerprint") != first.info["dataset"].get("fingerprint"):
        raise InputError(
            f"{run.folder} was made on {run.dataset} and {first.folder} on {first.dataset}, or on other clips of it. "
            "One table holds runs on the same clips."
        )
    if run.metrics is None:
        raise InputError(f"The run {run.folder} has no predictions, so it has no score to record.")
    for key, what in (("one_model", "keeps one model across folds"), ("shuffled_labels", "has shuffled labels")):
        if run.protocol.get(key):
            raise InputError(f"The run {run.folder} {what}: it shows a mistake and does not belong in the record.")


def _score(run: Run) -> Score:
    metrics: Any = run.metrics
    accuracy = metrics["accuracy"]
    seeds = tuple(int(seed) for seed in run.protocol.get("seeds", ()))
    return Score(
        accuracy=accuracy["value"],
        low=accuracy.get("low"),
        high=accuracy.get("high"),
        spread=metrics["spread"]["accuracy"] if len(metrics["per_repeat"]) > 1 else None,
        macro_f1=metrics["macro_f1"]["value"],
        seeds=seeds,
        folds=int(run.protocol["folds"]),
        clips=metrics["clips"],
        groups=metrics["groups"],
        run=run.name,
        created=str(run.info.get("created", "")),
        earmark=str(run.info.get("earmark", "")),
        failed=tuple(test.test for test in run.leaks if test.passed is False),
        leak_tested=bool(run.leaks),
    )


def markdown(record: Record) -> str:
    """The table and what is needed to read it, as Markdown."""
    lines = [
        f"Accuracy in percent on {record.dataset}, mean over seeds; in brackets the 95 % interval by bootstrap over "
        "groups (artists), and behind ± the standard deviation between seeds.",
        "",
        f"| model | {' | '.join(_heading(record, name) for name in record.protocols)} |",
        f"|---|{'---|' * len(record.protocols)}",
    ]
    for model in record.models:
        cells = [
            _cell(record.cells.get((model, protocol)), _seeds(record, protocol)) for protocol in record.protocols
        ]
        lines.append(f"| {_plain(model)} | {' | '.join(cells)} |")
    lines += ["", *_legend(record)]
    return "\n".join(lines) + "\n"


def _heading(record: Record, protocol: str) -> str:
    return _plain(protocol) if record.grouped[protocol] else f"{_plain(protocol)} (optimistic)"


def _plain(name: str) -> str:
    return name.replace("|", "\\|").replace("\n", " ")


def _seeds(record: Record, protocol: str) -> tuple[int, ...]:
    """Those of a column: of the cell that has most."""
    return max((score.seeds for (_, name), score in record.cells.items() if name == protocol), key=len)


def _cell(score: Score | None, usual: tuple[int, ...]) -> str:
    if score is None:
        return "–"
    ends = "" if score.low is None or score.high is None else f" ({100 * score.low:.1f} to {100 * score.high:.1f})"
    spread = "" if score.spread is None else f" ± {100 * score.spread:.1f}"
    # Fewer seeds than the column's are told: a mean over fewer repeats.
    fewer = (
        "" if score.seeds == usual else f", seed{'s' * (len(score.seeds) != 1)} {', '.join(map(str, score.seeds))}"
    )
    return f"**{100 * score.accuracy:.1f}**{FAILED if score.failed else ''}{ends}{spread}{fewer}"


def _legend(record: Record) -> list[str]:
    lines = []
    for protocol in record.protocols:
        one = next(score for (_, name), score in record.cells.items() if name == protocol)
        usual = _seeds(record, protocol)
        seeds = ", ".join(map(str, usual))
        lines.append(
            f"- **{_plain(protocol)}**: {record.descriptions[protocol] or 'folds from a file'}. "
            f"{one.clips:,} clips tested in {one.folds} fold{'s' * (one.folds != 1)}, "
            f"seed{'s' * (len(usual) != 1)} {seeds or 'not recorded'}."
        )
    failed = sorted({test for score in record.cells.values() for test in score.failed})
    if failed:
        lines.append(f"- {FAILED} A leak test failed: {'; '.join(failed)}. Such a figure is not to be quoted.")
    versions = sorted({score.earmark for score in record.cells.values() if score.earmark})
    lines.append(
        f"\nMade from {len(record.cells)} saved runs by `earmark record` (runs of Earmark {', '.join(versions)}); "
        f"clips and groups have the fingerprint `{record.fingerprint}`."
    )
    return lines


def write_record(record: Record, path: Path | str) -> Path:
    """Write the table as Markdown to ``path`` and as JSON beside it.

    Returns
    -------
    Path
        The Markdown file.

    Raises
    ------
    InputError
        If ``path`` does not end in ``.md``.
    """
    path = Path(path)
    if path.suffix.lower() != ".md":
        raise InputError(f"{path} is not a Markdown file. Let it end in .md; the JSON goes beside it.")
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path, "w") as handle:
        handle.write(f"# Table of record\n\n{markdown(record)}")
    write_json(path.with_suffix(".json"), record.to_dict())
    return path


def update_readme(record: Record, path: Path | str) -> None:
    """Put the table between the marks ``<!-- record -->`` and ``<!-- /record -->`` of a file.

    Raises
    ------
    InputError
        If the file cannot be read, or does not have each mark once and in this order.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from error
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise InputError(
            f"{path} needs the lines {BEGIN} and {END}, once each and in this order, around the place of the table."
        )
    before, rest = text.split(BEGIN)
    after = rest.split(END)[1]
    with atomic_write(path, "w") as handle:
        handle.write(f"{before}{BEGIN}\n{markdown(record)}{END}{after}")
