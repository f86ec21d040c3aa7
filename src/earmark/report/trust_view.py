"""The part of a run's page that is about confidence: calibration, and accuracy when it may say "unsure"."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from earmark.report.charts import Axis, Line, Rule, line_chart, percent
from earmark.report.page import Cell, Column, Table
from earmark.report.words import decimals, pct
from earmark.runs import Run

# Bins of fewer predictions than this get a dot, but do not bend the line.
FEW = 10


def trust(run: Run, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Calibration, and accuracy when the least sure clips may stay unanswered."""
    found, cover = metrics["calibration"], metrics["coverage"]
    value, mean = metrics["accuracy"]["value"], found["mean_confidence"]
    gap = mean - value
    lean = (
        "about as sure as it is right"
        if abs(gap) < 0.02
        else "surer than it is right"
        if gap > 0
        else "less sure than it is right"
    )
    sentence = f"The model is {lean}: its mean confidence is {pct(mean)}%, its accuracy {pct(value)}%."
    # The highest precision that still leaves a third of the clips answered.
    useful = [row for row in cover["for_precision"].values() if row and 1 / 3 <= row["coverage"] < 1]
    if useful:
        row = useful[-1]
        sentence += (
            f" If it says “unsure” below a confidence of {pct(row['confidence'], 0)}%, it answers "
            f"{pct(row['coverage'], 0)}% of the clips and is right in {pct(row['accuracy'], 0)}% of those."
        )
    temperature = found["best_temperature"]
    calibrated = run.info.get("training", {}).get("calibrated")
    bins = found["reliability"]
    largest = max(row["count"] for row in bins)
    sizes = [2 + 6 * (row["count"] / largest) ** 0.5 for row in bins]
    steady = [(row["confidence"], row["accuracy"] if row["count"] >= FEW else float("nan")) for row in bins]
    rows = [
        (
            "Expected calibration error",
            pct(found["ece_equal_width"]) + " points",
            "mean distance between confidence and accuracy, 15 bins of equal width",
        ),
        ("The same, bins of equal size", pct(found["ece_equal_mass"]) + " points", "15 bins with as many clips each"),
        ("Brier score", decimals(metrics["brier"], 3), "squared distance from the truth, 0 best, 2 worst"),
        ("Log loss", decimals(metrics["log_loss"], 3) + " nats", "surprise at the true genre"),
        (
            "Best temperature",
            decimals(temperature),
            "what would calibrate these very predictions; above 1 means overconfident. A diagnosis, not used "
            "anywhere",
        ),
        ("Area under risk-coverage", decimals(cover["aurc"], 3), "mean risk over all coverages, 0 best"),
        (
            "Excess of that area",
            decimals(cover["excess_aurc"], 3),
            "what is lost because confidence does not rank mistakes last, 0 best",
        ),
    ]
    rows += [
        (f"Top-{top} accuracy", pct(share) + "%", f"the true genre is among the {top} most probable")
        for top, share in metrics["top_k"].items()
    ]
    return {
        "sentence": sentence,
        "reliability": line_chart(
            "reliability-line",
            [
                Line(steady, colour=1),
                Line([(r["confidence"], r["accuracy"]) for r in bins], style="none", dots=True, sizes=sizes),
            ],
            diagonal=True,
            title="Reliability diagram",
            description="; ".join(
                f"confidence {pct(row['confidence'], 0)}%: {pct(row['accuracy'], 0)}% right of {row['count']}"
                for row in bins
            ),
            x=Axis("confidence", percent, (0.0, 1.0)),
            y=Axis("share that is right", percent, (0.0, 1.0)),
        ),
        "reliability_caption": "On the dashed line confidence and accuracy agree; below it the model is too "
        "sure. A dot’s size shows how many "
        "clips it stands for. "
        + (
            "A temperature was fitted inside each fold's training clips."
            if calibrated
            else "No temperature was fitted."
        ),
        "coverage": line_chart(
            "coverage-line",
            [Line([(share, right) for share, right, _ in cover["curve"]], colour=1)],
            rules=[Rule(value, f"all clips {pct(value)}%", at="start")],
            title="Accuracy against coverage",
            description="; ".join(
                f"answering {pct(float(share), 0)}%: {pct(right)}% right"
                for share, right in cover["accuracy_at"].items()
            ),
            x=Axis("share of clips answered, surest first", percent, (0.0, 1.0)),
            y=Axis("accuracy among them", percent, (max(0.0, min(row[1] for row in cover["curve"]) - 0.1), 1.0)),
        ),
        "coverage_caption": "; ".join(
            f"answering {pct(float(share), 0)}%: {pct(right)}% right" for share, right in cover["accuracy_at"].items()
        ).capitalize()
        + ".",
        "table": Table(
            "Measures of confidence",
            [Column("Measure"), Column("Value", True), Column("What it is")],
            [[Cell(a), Cell(b), Cell(c)] for a, b, c in rows],
            sortable=False,
        ),
    }
