"""The parts of a run's page that are about training: learning curves and folds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from earmark.report.charts import Axis, Band, Line, Rule, line_chart, percent, plain, share_bar
from earmark.report.page import Cell, Column, Table
from earmark.report.words import count, decimals, duration, pct
from earmark.run_files import Curves
from earmark.runs import Run

MANY_LINES = 40


def learning(run: Run) -> dict[str, Any] | None:
    """Training and validation curves of all folds, with their mean."""
    curves = [curve for curve in run.curves.values() if len(curve.epoch)]
    if not curves or max(len(curve.epoch) for curve in curves) < 2:
        return None
    validated = any(np.isfinite(curve.validation_loss).any() for curve in curves)
    charts = [
        {"name": "Accuracy", "svg": _curve_chart(curves, "accuracy", validated, Axis("", percent, (0.0, 1.0)))},
        {"name": "Loss", "svg": _curve_chart(curves, "loss", validated, Axis("", plain, _loss_range(curves)))},
    ]
    epochs = max(len(curve.epoch) for curve in curves)
    train = float(np.mean([curve.train_accuracy[-1] for curve in curves]))
    sentence = (
        f"{count(len(curves), 'model')}, {count(epochs, 'epoch')} each. In the last epoch they know "
        f"{pct(train, 0)}% of their training clips"
    )
    if validated:
        held = float(np.nanmean([curve.validation_accuracy[-1] for curve in curves]))
        best = int(np.nanargmin(_mean(curves, "validation_loss")[1])) + 1
        sentence += f" and {pct(held, 0)}% of the held-out ones: a gap of {pct(train - held, 0)} points."
        if best < 0.9 * epochs:
            sentence += f" On average the held-out loss is lowest in epoch {best}; what follows is learning by heart."
    else:
        sentence += "; nothing was held out to validate on."
    caption = "Thin lines: one model each. Thick lines: their mean."
    if len(curves) > MANY_LINES:
        caption = "Lines: the mean over models. Bands: from the lowest to the highest."
    explained = run.info.get("training", {}).get("curves")
    if explained:
        caption += f" {explained[0].upper()}{explained[1:]}."
    return {"sentence": sentence, "charts": charts, "caption": caption}


def _loss_range(curves: Sequence[Curves]) -> tuple[float, float]:
    """From 0 to what nearly all epochs stay under, so that one wild epoch does not flatten the rest."""
    values = np.concatenate([part for curve in curves for part in (curve.train_loss, curve.validation_loss)])
    values = values[np.isfinite(values)]
    return 0.0, float(max(np.quantile(values, 0.99) * 1.08, 1e-6)) if len(values) else 1.0


def _table(curves: Sequence[Curves], key: str) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Shape (curves, epochs), NaN behind the end of shorter ones."""
    table = np.full((len(curves), max(len(curve.epoch) for curve in curves)), np.nan)
    for row, curve in enumerate(curves):
        table[row, : len(curve.epoch)] = getattr(curve, key)
    return table


def _mean(curves: Sequence[Curves], key: str) -> tuple[Any, Any]:
    table = _table(curves, key)
    seen = np.isfinite(table)
    total = np.where(seen, table, 0.0).sum(axis=0)
    mean = np.divide(total, seen.sum(axis=0), out=np.full(table.shape[1], np.nan), where=seen.any(axis=0))
    return np.arange(1, table.shape[1] + 1), mean


def _curve_chart(curves: Sequence[Curves], what: str, validated: bool, axis: Axis) -> Any:
    lines, bands = [], []
    kinds = [("train", "training", 4)] + ([("validation", "held out", 1)] if validated else [])
    step = max(1, max(len(curve.epoch) for curve in curves) // 150)
    for kind, label, colour in kinds:
        key = f"{kind}_{what}"
        epochs, mean = _mean(curves, key)
        if len(curves) > MANY_LINES:
            table = _table(curves, key)
            shown = np.isfinite(table).any(axis=0)
            bands.append(
                Band(
                    [
                        (float(e), float(np.nanmin(table[:, i])), float(np.nanmax(table[:, i])))
                        for i, e in enumerate(epochs)
                        if shown[i]
                    ][::step],
                    colour,
                )
            )
        elif len(curves) > 1:
            lines += [
                Line(
                    list(zip(curve.epoch.tolist(), getattr(curve, key).tolist(), strict=True))[::step],
                    colour=colour,
                    style="thin",
                )
                for curve in curves
            ]
        lines.append(Line(list(zip(epochs.tolist(), mean.tolist(), strict=True))[::step], label, colour))
    last = lines[-1].points[-1][1] if lines and lines[-1].points else float("nan")
    return line_chart(
        f"learning-{what}",
        lines,
        bands=bands,
        title=f"{what.capitalize()} by epoch",
        description=f"Training and held-out {what} over the epochs; the last line ends at {last:.3g}.",
        x=Axis("epoch", plain),
        y=axis,
    )


def folds(run: Run, metrics: Mapping[str, Any]) -> dict[str, Any] | None:
    """Accuracy fold by fold, in the order of training."""
    scored = {(row["repeat"], row["fold"]): row for row in metrics["per_fold"]}
    if not scored:
        return None
    told = {(row["repeat"], row["fold"]): row for row in run.info.get("folds", [])}
    values = [row["accuracy"] for row in scored.values()]
    mean = metrics["accuracy"]["value"]
    repeats = list(dict.fromkeys(repeat for repeat, _ in scored))
    lines = [
        Line(
            [(fold + 1, row["accuracy"]) for (r, fold), row in scored.items() if r == repeat],
            f"seed {told.get((repeat, 0), {}).get('seed', repeat)}" if len(repeats) > 1 else "",
            index % 8 + 1,
            "thin" if len(repeats) > 3 else "bold",
            dots=True,
        )
        for index, repeat in enumerate(repeats)
    ]
    most = max(fold for _, fold in scored) + 1
    chart = None
    if 1 < most <= 60 and len(repeats) <= 8:
        low = max(0.0, min(values) - 0.1)
        chart = line_chart(
            "fold-line",
            lines,
            rules=[Rule(mean, f"all clips {pct(mean)}%")],
            title="Accuracy by fold",
            description="; ".join(f"fold {f + 1}: {pct(row['accuracy'])}%" for (_, f), row in scored.items()),
            x=Axis("fold, in the order of training", plain, (0.5, most + 0.5), min(most, 10)),
            y=Axis("", percent, (low, min(1.0, max(values) + 0.06))),
            height=270,
        )
    if len(values) == 1:
        sentence = f"One split, {count(next(iter(scored.values()))['clips'], 'tested clip')}."
    else:
        sentence = f"{count(len(values), 'model')}, each tested on clips it was not trained on."
        if run.protocol.get("one_model"):
            sentence = "One model, trained on from fold to fold: by the second fold it has seen what it is tested on."
    rows = []
    for (repeat, fold), row in scored.items():
        extra = told.get((repeat, fold), {})
        digest = str(extra.get("initial_weights") or "")
        rows.append(
            [
                Cell(f"{fold + 1}" if len(repeats) == 1 else f"{repeat + 1}.{fold + 1}", repeat * 1000 + fold),
                Cell(str(extra.get("seed", "–"))),
                Cell(
                    "–"
                    if not extra
                    else f"{extra.get('train', 0)} / {extra.get('validation', 0)} / {extra.get('test', row['clips'])}"
                ),
                Cell(f"{pct(row['accuracy'])}%", row["accuracy"], share_bar(row["accuracy"])),
                Cell(decimals(row["macro_f1"], 3), row["macro_f1"]),
                Cell(str(extra.get("epochs") or "–")),
                Cell(duration(extra.get("seconds")), extra.get("seconds")),
                Cell(digest[:10] or "–"),
            ]
        )
    return {
        "sentence": sentence,
        "chart": chart,
        "caption": "In an honest run the order does not matter; a line that climbs from the first fold on shows "
        "a model "
        "that was kept from fold to fold.",
        "numbers": _fold_numbers(values, mean, metrics),
        "long": count(len(rows), "row"),
        "table": Table(
            "Scores by fold" + (" (seed.fold)" if len(repeats) > 1 else ""),
            [
                Column("Fold"),
                Column("Seed", True),
                Column("Train / valid. / test", True),
                Column("Accuracy", True),
                Column("Macro F1", True),
                Column("Epochs", True),
                Column("Time", True),
                Column("First weights"),
            ],
            rows,
        ),
    }


def _fold_numbers(values: Sequence[float], mean: float, metrics: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What to say of the folds' spread."""
    if len(values) < 2:
        return []
    found = [
        ("all clips", f"{pct(mean)}%"),
        ("lowest fold", f"{pct(min(values))}%"),
        ("highest fold", f"{pct(max(values))}%"),
        ("standard deviation", f"{pct(float(np.std(values, ddof=1)))} points"),
        ("luck, if the highest were quoted", f"{pct(max(values) - mean)} points"),
    ]
    if metrics["repeats"] > 1:
        each = ", ".join(f"{pct(row['accuracy'])}%" for row in metrics["per_repeat"])
        found += [("seed by seed", each), ("between seeds", f"± {pct(metrics['spread']['accuracy'])} points")]
    return found
