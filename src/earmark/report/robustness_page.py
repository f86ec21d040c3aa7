"""One self-contained HTML page about how a model holds on sound that was changed on its way."""

from __future__ import annotations

from pathlib import Path

from earmark.report.charts import Axis, Rule, Whisker, interval_chart, percent, signed_points
from earmark.report.page import Cell, Column, Note, Table, Tile, render, write_page
from earmark.report.words import count, listed, pct, points, thousands
from earmark.robustness.measure import LARGE, Robustness, Row
from earmark.robustness.versions import CLEAN


def verdict(row: Row) -> str:
    """What a version costs, in a sentence."""
    gap = row.difference
    between = f" (95% interval {points(gap.low)} to {points(gap.high)})" if gap.known else ""
    if abs(gap.value) < 5e-4:
        return f"{row.name}: no difference{between}."
    return f"{row.name}: {points(gap.value)} points{between}."


def summary(found: Robustness) -> str:
    """The whole table in a sentence or two."""
    changed = found.rows[1:]
    large = [row for row in changed if row.large]
    sure = [row for row in changed if row.difference.known and row.difference.high < 0]
    begin = f"{pct(found.rows[0].accuracy.value)}% of {count(len(found.clips), 'clip')} are right as they are. "
    if not large:
        return begin + f"No change of the sound moves that by more than {100 * LARGE:.0f} points."
    names = listed([f"{row.name} ({points(row.difference.value)})" for row in large])
    more = listed([row.name for row in sure])
    tail = f" Beyond chance, by paired intervals, are losses by {more}." if sure else " No loss is beyond chance."
    return begin + f"More than {100 * LARGE:.0f} points away: {names}.{tail}"


def robustness_html(found: Robustness) -> str:
    """The page of a measurement.

    Raises
    ------
    MissingExtraError
        If Jinja2 is not installed.
    """
    clean, changed = found.rows[0], found.rows[1:]
    worst = min(changed, key=lambda row: row.difference.value)
    moved = max(changed, key=lambda row: row.changed.value)
    notes = []
    if found.trained_on:
        notes.append(
            Note(
                "The model has learnt from these clips: every figure here flatters it. Make a bundle per fold with "
                "scripts/make_fold_bundles.py and measure with --folds.",
                "Not out of fold.",
                "bad",
            )
        )
    elif found.out_of_fold:
        notes.append(
            Note(
                "Each clip was heard by a model that knows neither it nor its artist nor its recording.",
                "Out of fold.",
                "good",
            )
        )
    if found.failures:
        notes.append(Note(f"{count(len(found.failures), 'clip')} could not be heard in every version.", "", "warn"))
    return render(
        "robustness.html.j2",
        title=f"{found.dataset}: robustness · Earmark",
        heading=f"{found.model} on {found.dataset}",
        lede=summary(found),
        notes=notes,
        tiles=[
            Tile("Clips", thousands(len(found.clips)), f"in {count(len(set(found.groups)), 'group')}"),
            Tile("Right when clean", f"{pct(clean.accuracy.value)}%", f"{pct(clean.answered)}% answered"),
            Tile("Costs most", f"{points(worst.difference.value)}", worst.name),
            Tile("Changes most answers", f"{pct(moved.changed.value)}%", moved.name),
        ],
        accuracy=interval_chart(
            "accuracy",
            [
                Whisker(row.name, row.accuracy.value, row.accuracy.low, row.accuracy.high, 1, _share(row))
                for row in found.rows
            ],
            title="Accuracy in each version",
            description="; ".join(f"{row.name}: {pct(row.accuracy.value)}%" for row in found.rows),
            axis=Axis("accuracy", percent),
        ),
        differences=interval_chart(
            "differences",
            [
                Whisker(
                    row.name, row.difference.value, row.difference.low, row.difference.high,
                    2 if row.large else 1, points(row.difference.value), verdict(row),
                )
                for row in changed
            ],
            rules=[Rule(0.0, CLEAN)],
            title="Difference in accuracy from the clean sound",
            description=" ".join(verdict(row) for row in changed),
            axis=Axis("percentage points, worse to the left, better to the right", signed_points),
        ),
        table=_table(found),
        failures=[f"{clip}: {sentence}" for clip, sentence in found.failures],
    )  # fmt: skip


def write_robustness(found: Robustness, path: Path | str) -> Path:
    """Write the page of a measurement and return where it is."""
    return write_page(path, robustness_html(found))


def _share(row: Row) -> str:
    return f"{pct(row.accuracy.value)}%"


def _table(found: Robustness) -> Table:
    rows = []
    for row in found.rows:
        first = row is found.rows[0]
        gap, moved, change = row.difference, row.changed, row.probability
        rows.append(
            [
                Cell(row.name, faint=row.detail),
                Cell(f"{pct(row.accuracy.value)}%", row.accuracy.value),
                Cell("–")
                if first
                else Cell(points(gap.value), gap.value, faint=f"({points(gap.low)} to {points(gap.high)})"),
                Cell("–") if first else Cell(f"{pct(moved.value)}%", moved.value),
                Cell("–") if first else Cell(points(change.value), change.value),
                Cell(f"{pct(row.answered)}%", row.answered),
                Cell("–" if row.precision != row.precision else f"{pct(row.precision)}%", row.precision),
            ]
        )
    return Table(
        "Every version against the clean sound; differences with paired 95% intervals over groups",
        [
            Column("Version"),
            Column("Accuracy", True),
            Column("Difference", True),
            Column("Other answer", True),
            Column("Right genre’s probability", True),
            Column("Not “unsure”", True),
            Column("Right of those", True),
        ],
        rows,
        sortable=False,
    )
