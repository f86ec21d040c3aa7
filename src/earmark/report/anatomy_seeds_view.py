"""What the anatomy of a step finds over several seeds: sentences, a table, and the same as Markdown."""

from __future__ import annotations

from earmark.anatomy_seeds import Finding, Repeated, Spread
from earmark.report.page import Cell, Column, Table
from earmark.report.words import listed, pct, points


def sentences_over(found: Repeated) -> list[str]:
    """What holds over all seeds, each in a sentence computed from the figures."""
    claim, number = found.first.claim, len(found.seeds)
    honest, kept = found.finding("honest"), found.finding("kept")
    claimed = points(claim.step, 0)
    each = listed([points(value) for value in honest.step.values])
    said = [
        f"Over {number} seeds, each with its own folds, single split and first weights, cross-validation done "
        f"honestly moves the figure by {points(honest.step.mean)} points on average "
        f"({_interval(honest.step)}; seed by seed {each}). "
        + _agreement(honest.step_fits, number, f"it could be the claimed step of {claimed} points by chance")
    ]
    whole = [item for item in found.of_claim() if item.fits]
    step = [item for item in found.of_claim() if item.step_fits]
    if whole:
        said.append(
            f"Step and both figures of the claim are met by {listed([_times(item, item.fits) for item in whole])}."
        )
    elif step:
        said.append(
            f"The size of the step is met by {listed([_times(item, item.step_fits) for item in step])}, but in no "
            "seed does any procedure meet both figures as well."
        )
    else:
        near = min(found.of_claim(), key=lambda item: abs(item.step.mean - claim.step))
        said.append(
            f"None of the procedures gives the claimed step in any seed. The nearest is {near.name.lower()} "
            f"({near.network}) with {points(near.step.mean)} points on average."
        )
    other = sum(
        item.after_fits and not item.before_fits
        for one in found.experiments
        for item in one.conditions[0].explanations
        if item.key == "honest"
    )
    if other:
        middle = pct(honest.after.mean)
        said.append(
            f"There is another reading: in {other} of {number} seeds the claimed end of {pct(claim.after, 0)}% is "
            f"within chance of what honest cross-validation gives here ({middle}% on average), and only "
            f"the start of {pct(claim.before, 0)}% is not what one split gives ({_range(honest.before)}%). Then the "
            "two figures come from networks that were trained or measured differently, and the step is no gain from "
            "cross-validation."
        )
    said.append(
        f"One model kept across folds moves the figure by {points(kept.step.mean)} points ({_interval(kept.step)}), "
        f"to {_range(kept.after)}%. With labels dealt at random, where a guess gets {pct(found.first.chance, 0)}%, "
        f"it scores {_range(kept.shuffled)}% and the honest procedure {_range(honest.shuffled)}%."
    )
    return said


def _agreement(times: int, number: int, what: str) -> str:
    if not times:
        return f"In no seed {what}."
    return f"In {'every seed' if times == number else f'{times} of {number} seeds'} {what}."


def _times(item: Finding, times: int) -> str:
    return f"{item.name.lower()} ({item.network}) in {times} of {item.seeds}"


def _interval(figure: Spread) -> str:
    if figure.low is None or figure.high is None:
        return "one seed, no interval"
    return f"95% interval {points(figure.low)} to {points(figure.high)}"


def _range(figure: Spread) -> str:
    low, high = pct(min(figure.values)), pct(max(figure.values))
    return low if low == high else f"{low} to {high}"


def table_over(found: Repeated) -> Table:
    """Every explanation of every network: means over seeds, with ranges, the interval of the step, and agreement."""
    claim = found.first.claim
    columns = (
        "One split",
        "Cross-validation",
        "Step",
        "95% interval",
        "Step agrees",
        "All agrees",
        "Labels shuffled",
    )
    rows = []
    for item in found.findings:
        low, high = item.step.low, item.step.high
        rows.append(
            [
                Cell(item.network),
                Cell(item.name),
                Cell(pct(item.before.mean), item.before.mean, faint=_faint(item.before)),
                Cell(pct(item.after.mean), item.after.mean, faint=_faint(item.after)),
                Cell(points(item.step.mean), item.step.mean),
                Cell("–" if low is None or high is None else f"{points(low)} to {points(high)}"),
                Cell(f"{item.step_fits} of {item.seeds}", item.step_fits),
                Cell(f"{item.fits} of {item.seeds}", item.fits),
                Cell(pct(item.shuffled.mean), item.shuffled.mean, faint=_faint(item.shuffled)),
            ]
        )
    seeds = listed([str(seed) for seed in found.seeds])
    return Table(
        f"Means over the seeds {seeds}, accuracy in percent and steps in points, smallest and largest in brackets; "
        f"claimed: {pct(claim.before, 0)}, {pct(claim.after, 0)}, {points(claim.step, 0)}",
        [Column("Network"), Column("Procedure"), *(Column(name, True) for name in columns)],
        rows,
    )


def _faint(figure: Spread) -> str:
    return "" if len(set(figure.values)) < 2 else f"({pct(min(figure.values))}–{pct(max(figure.values))})"


def markdown_over(found: Repeated) -> str:
    """Sentences, table and limits as Markdown, for documentation."""
    from earmark.report.anatomy_page import limits

    table = table_over(found)
    names = [column.name for column in table.columns]
    lines = [*(f"- {sentence}" for sentence in sentences_over(found)), "", f"{table.caption}.", ""]
    lines += ["| " + " | ".join(names) + " |", "|---|---" + "|---:" * (len(names) - 2) + "|"]
    lines += ["| " + " | ".join(f"{cell.text} {cell.faint}".strip() for cell in row) + " |" for row in table.rows]
    told = limits(found)
    lines += ["", "What it shows:", "", *(f"- {item}" for item in told["shows"])]
    lines += ["", "What it cannot prove:", "", *(f"- {item}" for item in told["cannot"]), ""]
    return "\n".join(lines)
