"""The parts of a run's page that are about scores: genre by genre, and what is taken for what."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from earmark.report.charts import Axis, Bar, BarRow, Markup, bar_chart, heat_map, plain
from earmark.report.page import Cell, Column, Table
from earmark.report.words import between, decimals, listed, pct
from earmark.runs import Run


def genres(run: Run, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Precision, recall and F1 of each label, with intervals."""
    rows = metrics["per_label"]
    matrix = np.array(metrics["confusion"])
    ranked = sorted(rows, key=lambda row: -row["f1"]["value"])
    bars = [
        BarRow(
            row["label"],
            [
                Bar(
                    row["f1"]["value"],
                    row["f1"]["low"],
                    row["f1"]["high"],
                    1,
                    f"{row['label']}: F1 {decimals(row['f1']['value'])}",
                )
            ],
            [
                (row["precision"]["value"], 2, f"{row['label']}: precision {decimals(row['precision']['value'])}"),
                (row["recall"]["value"], 3, f"{row['label']}: recall {decimals(row['recall']['value'])}"),
            ],
        )
        for row in ranked
    ]
    table = []
    for row in rows:
        index = run.labels.index(row["label"])
        mistaken = matrix[index].copy()
        mistaken[index] = 0
        other = run.labels[int(mistaken.argmax())] if mistaken.any() else "–"
        share = mistaken.max() / max(1, row["support"])
        table.append(
            [
                Cell(row["label"]),
                Cell(str(round(row["support"] / metrics["repeats"])), row["support"]),
                *(
                    Cell(decimals(row[key]["value"]), row[key]["value"], faint=f"({between(row[key])})")
                    for key in ("precision", "recall", "f1")
                ),
                Cell(other, faint=f"{pct(share, 0)}%" if mistaken.any() else ""),
            ]
        )
    best = [f"{row['label']} ({decimals(row['f1']['value'])})" for row in ranked[:2]]
    worst = [f"{row['label']} ({decimals(row['f1']['value'])})" for row in ranked[-2:][::-1]]
    sentence = (
        f"Surest ground: {listed(best)}. Hardest: {listed(worst)}. Macro F1, the mean over genres, is "
        f"{decimals(metrics['macro_f1']['value'], 3)}"
    )
    if metrics["macro_f1"]["low"] is not None:
        sentence += f" (95% interval {between(metrics['macro_f1'], 3)})"
    return {
        "sentence": f"{sentence}.",
        "chart": bar_chart(
            "genre-bars",
            bars,
            title="F1, precision and recall by genre",
            description="; ".join(f"{row['label']}: F1 {decimals(row['f1']['value'])}" for row in ranked),
            legend=[("F1 and its interval", 1, "box"), ("precision", 2, "dot"), ("recall", 3, "dot")],
            axis=Axis("", plain, (0.0, 1.0)),
        ),
        "balance": _balance(rows, metrics["repeats"]),
        "caption": "Precision: of the clips given this genre, the share that is right. Recall: of the genre's "
        "clips, the "
        "share found. F1: the harmonic mean of the two. Intervals: 95%, bootstrap over "
        f"{'groups' if metrics['interval']['unit'] == 'group' else 'clips'}.",
        "table": Table(
            "Scores by genre, with 95% intervals",
            [
                Column("Genre"),
                Column("Clips", True),
                Column("Precision", True),
                Column("Recall", True),
                Column("F1", True),
                Column("Most often taken for"),
            ],
            table,
        ),
    }


def _balance(rows: Sequence[Mapping[str, Any]], repeats: int) -> Markup:
    """How much more or less often each genre is said than it is there."""
    ranked = sorted(rows, key=lambda row: row["support"] - row["predicted"])
    excess = {row["label"]: (row["predicted"] - row["support"]) / repeats for row in rows}
    reach = max(5.0, *(abs(value) for value in excess.values())) * 1.1
    return bar_chart(
        "genre-balance",
        [
            BarRow(
                row["label"],
                [
                    Bar(
                        excess[row["label"]],
                        colour=2 if excess[row["label"]] > 0 else 4,
                        tip=f"{row['label']}: said {_short(row['predicted'] / repeats)} times, "
                        f"there are {_short(row['support'] / repeats)}",
                    )
                ],
            )
            for row in ranked
        ],
        title="How often each genre is said too much or too little",
        description="; ".join(f"{label}: {value:+.0f} clips" for label, value in excess.items()),
        legend=[("said too often", 2, "box"), ("said too rarely", 4, "box")],
        axis=Axis("", _signed, (-reach, reach)),
    )


def _signed(value: float) -> str:
    return "0" if value == 0 else f"{value:+g}".replace("-", "−")


def confusion(run: Run, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """The confusion matrix and its largest off-diagonal cells in words."""
    repeats = metrics["repeats"]
    matrix = np.array(metrics["confusion"]) / repeats
    support = matrix.sum(axis=1)
    share = matrix / np.maximum(support, 1e-9)[:, None]
    off = matrix.copy()
    np.fill_diagonal(off, 0)
    order = [divmod(int(i), len(run.labels)) for i in np.argsort(-off, axis=None, kind="stable")[:8]]
    pairs = [
        {
            "text": f"{run.labels[i]} taken for {run.labels[j]}",
            "note": f"{_short(off[i, j])} of {_short(support[i])}",
        }
        for i, j in order
        if off[i, j] > 0
    ]
    tips = [
        [
            f"{_short(matrix[i, j])} of {_short(support[i])} {true} clips ({pct(share[i, j], 0)}%) "
            + ("were recognised" if i == j else f"were taken for {said}")
            for j, said in enumerate(run.labels)
        ]
        for i, true in enumerate(run.labels)
    ]
    wrong, total = off.sum(), matrix.sum()
    mutual = [(off[i, j] + off[j, i], i, j) for i in range(len(off)) for j in range(i)]
    sentence = "No clip was mistaken."
    if wrong:
        most, i, j = max(mutual)
        sentence = (
            f"{_short(wrong)} of {_short(total)} clips are mistaken. The pair most often mixed up, in both "
            "directions "
            f"together, is {run.labels[j]} and {run.labels[i]}: {_short(most)} clips, {pct(most / wrong, 0)}% "
            "of all mistakes."
        )
    return {
        "sentence": sentence,
        "pairs": pairs,
        "unit": f"Counts are means over {repeats} seeds." if repeats > 1 else "Numbers are clips.",
        "shown": len(run.labels) <= 24,
        "chart": heat_map(
            "confusion-map",
            matrix.tolist(),
            run.labels,
            run.labels,
            title="Confusion matrix",
            description="The table of scores by genre says the same in numbers.",
            # The power lets the few percent of a rare confusion be seen beside a diagonal of 90 %.
            shades=np.where(np.eye(len(matrix), dtype=bool), share, share**0.7).tolist(),
            numbers=[[_short(v) for v in row] for row in matrix],
            tips=tips,
            row_axis="true genre",
            column_axis="what the model said",
        ),
    }


def _short(value: float) -> str:
    """A count that may be a mean over repeats."""
    return f"{value:.0f}" if value >= 9.95 or abs(value - round(value)) < 0.05 else f"{value:.1f}"
