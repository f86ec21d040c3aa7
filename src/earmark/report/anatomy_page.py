"""One self-contained HTML page about what explains a step in accuracy, in words that a student follows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from earmark.anatomy import Anatomy, Condition, Explanation
from earmark.anatomy_seeds import Repeated
from earmark.report.anatomy_seeds_view import sentences_over, table_over
from earmark.report.charts import Axis, Line, Rule, Whisker, interval_chart, line_chart, percent, plain, signed_points
from earmark.report.page import Cell, Column, Note, Table, Tile, render, write_page
from earmark.report.words import listed, pct, points
from earmark.run_scores import accuracy, fold_accuracies

_VERDICTS = {True: "passed", False: "failed", None: "not run"}
_TONES = {True: "good", False: "bad", None: "quiet"}


def sentences(found: Anatomy) -> list[str]:
    """What the experiment finds, each in a sentence computed from the figures."""
    claim, first = found.claim, found.conditions[0]
    by_key = {item.key: item for item in first.explanations}
    honest, kept = by_key["honest"], by_key["kept"]
    said = []
    size = f"{points(honest.step)} points (from {pct(honest.before)} to {pct(honest.after)})"
    if honest.step_fits:
        said.append(
            f"Cross-validation done honestly moves the figure by {size}. Within the play of chance that could be the "
            f"claimed step of {points(claim.step, 0)} points."
        )
    else:
        said.append(
            f"Cross-validation done honestly moves the figure by {size}, which is not the claimed step of "
            f"{points(claim.step, 0)} points, even with all allowance for chance ({_allowed(honest)})."
        )
    whole = [f"{item.name.lower()} ({where.name})" for where, item in _of_claim(found) if item.fits]
    step = [f"{item.name.lower()} ({where.name})" for where, item in _of_claim(found) if item.step_fits]
    if whole:
        said.append(f"Step and both figures of the claim are met by: {listed(whole)}.")
    elif step:
        said.append(f"The size of the step is met by {listed(step)}, but none of them meets both figures as well.")
    else:
        near_where, near = min(_of_claim(found), key=lambda pair: abs(pair[1].step - claim.step))
        said.append(
            "None of the procedures gives the claimed step here. The nearest is "
            f"{near.name.lower()} ({near_where.name}) with {points(near.step)} points."
        )
    if honest.after_fits and not honest.before_fits:
        said.append(
            f"There is another reading: the claimed end of {pct(claim.after, 0)}% is near what honest "
            f"cross-validation gives here ({pct(honest.after)}%), and only the start of {pct(claim.before, 0)}% "
            f"is not what one split gives ({pct(honest.before)}%). Then the two figures come from networks that "
            "were trained or measured differently, and the step is no gain from cross-validation."
        )
    tests = {test.test: test for test in first.leak_tests["kept"]}["shuffled labels give chance"]
    if tests.passed is False:
        said.append(
            f"With labels dealt at random there is nothing to learn, and a guess gets {pct(found.chance, 0)}%. One "
            f"model kept across folds still scores {pct(kept.shuffled)}%: it answers from memory. The honest "
            f"procedure scores {pct(honest.shuffled)}%."
        )
    else:
        said.append(
            f"With labels dealt at random, one model kept across folds scores {pct(kept.shuffled)}% and the honest "
            f"procedure {pct(honest.shuffled)}% (a guess: {pct(found.chance, 0)}%), so this experiment does not show "
            "the kept model answering from memory."
        )
    return said


def _of_claim(found: Anatomy) -> list[tuple[Condition, Explanation]]:
    return [(where, item) for where in found.of_claim() for item in where.explanations]


def _allowed(item: Explanation) -> str:
    return f"a step may differ by {100 * item.tolerance:.1f} points before chance ceases to explain it"


def anatomy_html(repeated: Repeated) -> str:
    """The page of an experiment; fold by fold it shows the first seed.

    Raises
    ------
    MissingExtraError
        If Jinja2 is not installed.
    """
    found, several = repeated.first, len(repeated.seeds) > 1
    claim, first = found.claim, found.conditions[0]
    honest, kept = repeated.finding("honest"), repeated.finding("kept")
    before, after = f"{100 * claim.before:.0f}", f"{100 * claim.after:.0f}"
    return render(
        "anatomy.html.j2",
        title=f"From {before} to {after} on {found.dataset} · Earmark",
        heading=f"From {before} to {after}: what does it take?",
        source="the report" if claim.of_report else "the claim",
        verdicts=sentences_over(repeated) if several else sentences(found),
        tiles=[
            Tile("Claimed step", f"{points(claim.step, 0)} points", f"{before} to {after}"),
            Tile("Honest", points(honest.step.mean), first.name),
            Tile("One model kept", points(kept.step.mean), first.name),
            Tile("Kept, labels shuffled", f"{pct(kept.shuffled.mean)}%", f"a guess: {pct(found.chance, 0)}%"),
        ],
        over=table_over(repeated) if several else None,
        shown=f"seed {found.seed}" if several else "",
        procedures=[(item.name, item.what) for item in first.explanations],
        blocks=[_block(found, where, number) for number, where in enumerate(found.of_claim())],
        matched=_matched(found),
        shuffled=_shuffled(found),
        leaks=[
            {
                "name": f"{'Fresh models' if name == 'honest' else 'One model kept'}: {test.test}",
                "verdict": _VERDICTS[test.passed],
                "tone": _TONES[test.passed],
                "sentence": test.sentence,
            }
            for name in ("honest", "kept")
            for test in first.leak_tests[name]
        ],
        gru=_gru(found),
        everything=_table(
            found, found.conditions, "All networks: one split, cross-validation, and the step in points"
        ),
        limits=limits(repeated),
        made=f"{found.dataset}, {found.clips:,} clips, {found.labels} genres, {found.folds} folds, "
        f"{'seeds' if several else 'seed'} {listed([str(seed) for seed in repeated.seeds])}",
    )


def write_anatomy(repeated: Repeated, path: Path | str) -> Path:
    """Write the page of an experiment and return where it is."""
    return write_page(path, anatomy_html(repeated))


def _block(found: Anatomy, where: Condition, number: int) -> dict[str, Any]:
    """One training length of the claim's network: steps and folds."""
    claim = found.claim
    rows = [
        Whisker(
            item.name, item.step, item.step - item.tolerance, item.step + item.tolerance, 1 if item.step_fits else 8,
            points(item.step), f"{item.name}: {pct(item.before)} to {pct(item.after)}",
        )
        for item in where.explanations
    ]  # fmt: skip
    honest, kept = fold_accuracies(where.runs["honest"]), fold_accuracies(where.runs["kept"])
    lines = [
        Line([(i + 1, v) for i, v in enumerate(values)], name, colour, style, dots=True)
        for values, name, colour, style in (
            (honest, "fresh model in each fold", 1, "bold"),
            (kept, "one model kept", 2, "bold"),
            (fold_accuracies(where.shuffled["honest"]), "fresh, labels shuffled", 1, "dashed"),
            (fold_accuracies(where.shuffled["kept"]), "kept, labels shuffled", 2, "dashed"),
        )
    ]
    if where.matched:
        heading = f"Trained until one split gives the claimed start: {where.name}"
        why = (
            f"The network scores {pct(accuracy(where.runs['split']))}% on one split here, near the claimed "
            f"{pct(claim.before, 0)}%. Stopping early stands in for whatever held the original back."
        )
    else:
        heading = f"Trained as asked: {where.name}"
        scored = pct(accuracy(where.runs["split"]))
        why = f"One split scores {scored}% here; the claim starts at {pct(claim.before, 0)}%."
    return {
        "heading": heading,
        "why": why,
        "steps": interval_chart(
            f"steps-{number}",
            rows,
            rules=[Rule(claim.step, f"claimed {points(claim.step, 0)}"), Rule(0.0, "")],
            title=f"Step of each procedure, {where.name}",
            description="; ".join(f"{item.name}: {points(item.step)} points" for item in where.explanations),
            axis=Axis("step in percentage points", signed_points),
        ),
        "folds": line_chart(
            f"folds-{number}",
            lines,
            rules=[Rule(claim.before, f"claimed {pct(claim.before, 0)}"), Rule(claim.after, pct(claim.after, 0))],
            title=f"Accuracy fold by fold, {where.name}",
            description=f"Fresh models: {_series(honest)}. One model kept: {_series(kept)}.",
            x=Axis("fold, in the order of training", plain, (0.5, len(honest) + 0.5), min(len(honest), 10)),
            y=Axis("", percent, (0.0, 1.0)),
        ),
        "sentence": _folds_sentence(where),
        "table": _fold_table(where),
        "fits": _fits_notes(found, where),
    }


def _series(values: tuple[float, ...]) -> str:
    return ", ".join(f"{100 * value:.0f}" for value in values)


def _folds_sentence(where: Condition) -> str:
    honest, kept = fold_accuracies(where.runs["honest"]), fold_accuracies(where.runs["kept"])
    later = sum(kept[1:]) / len(kept[1:])
    rest = sum(honest[1:]) / len(honest[1:])
    return (
        f"Both begin alike: the first fold gives {pct(honest[0])}% and {pct(kept[0])}%, for at that point nothing "
        f"has been kept yet. From the second fold on, fresh models average {pct(rest)}% and the kept model "
        f"{pct(later)}%: {points(later - rest)} points. Its last fold gives {pct(kept[-1])}%."
    )


def _fold_table(where: Condition) -> Table:
    by_key = {item.key: item for item in where.explanations}
    columns = [
        ("Fresh model", by_key["honest"].folds),
        ("Best epoch", by_key["best-epoch"].folds),
        ("One model kept", by_key["kept"].folds),
        ("Fresh, shuffled", fold_accuracies(where.shuffled["honest"])),
        ("Kept, shuffled", fold_accuracies(where.shuffled["kept"])),
    ]
    return Table(
        f"Accuracy in percent of each fold, {where.name}",
        [Column("Fold"), *(Column(name, True) for name, _ in columns)],
        [
            [Cell(str(i + 1), i + 1), *(Cell(pct(values[i]), values[i]) for _, values in columns)]
            for i in range(len(columns[0][1]))
        ],
    )


def _fits_notes(found: Anatomy, where: Condition) -> list[Note]:
    notes = []
    for item in where.explanations:
        told = (
            f"{pct(item.before)} to {pct(item.after)}, {points(item.step)} points against the claimed "
            f"{points(found.claim.step, 0)} ± {100 * item.tolerance:.1f}."
        )
        if item.fits:
            told += " The step and both figures agree with the claim."
            tone = "good"
        elif item.step_fits:
            wrong = [name for name, ok in (("start", item.before_fits), ("end", item.after_fits)) if not ok]
            told += f" The step agrees, the {listed(wrong)} does not." if len(wrong) == 1 else (
                " The step agrees, the two figures do not."
            )  # fmt: skip
            tone = "warn"
        else:
            told += f" The step is too {'large' if item.step > found.claim.step else 'small'}."
            tone = ""
        notes.append(Note(told, f"{item.name}:", tone))
    return notes


def _matched(found: Anatomy) -> str:
    if any(where.matched for where in found.of_claim()):
        return ""
    return (
        f"The single split never passed the claimed {pct(found.claim.before, 0)}% on its way, so no shorter training "
        "that starts there could be tried."
    )


def _shuffled(found: Anatomy) -> Table:
    return Table(
        f"Accuracy in percent with shuffled labels; a guess gets {pct(found.chance)}",
        [
            Column("Network"),
            Column("One split", True),
            Column("Honest", True),
            Column("Best epoch", True),
            Column("Best fold", True),
            Column("One model kept", True),
        ],
        [
            [
                Cell(where.name),
                *(
                    Cell(pct(value), value)
                    for value in (
                        accuracy(where.shuffled["split"]),
                        *(item.shuffled for item in where.explanations if item.key != "unlucky"),
                    )
                ),
            ]
            for where in found.conditions
        ],
    )


def _table(found: Anatomy, conditions: tuple[Condition, ...], caption: str) -> Table:
    rows = []
    for where in conditions:
        for item in where.explanations:
            rows.append(
                [
                    Cell(where.name),
                    Cell(item.name),
                    Cell(pct(item.before), item.before),
                    Cell(pct(item.after), item.after),
                    Cell(points(item.step), item.step, faint=f"± {100 * item.tolerance:.1f}"),
                    Cell("step and figures" if item.fits else "step only" if item.step_fits else "no"),
                ]
            )
    claim = found.claim
    return Table(
        f"{caption}; claimed: {pct(claim.before, 0)}, {pct(claim.after, 0)}, {points(claim.step, 0)}",
        [
            Column("Network"),
            Column("Procedure"),
            Column("One split", True),
            Column("Cross-validation", True),
            Column("Step", True),
            Column("Agrees"),
        ],
        rows,
    )


def _gru(found: Anatomy) -> str:
    """With and without the GRU, at the full length."""
    full = [where for where in found.conditions if not where.matched]
    if len(full) < 2:
        return ""
    told = []
    for procedure, name in (("split", "one split"), ("honest", "honest folds"), ("kept", "one model kept")):
        values = [accuracy(where.runs[procedure]) for where in full]  # type: ignore[index]
        told.append(f"{name} {points(values[0] - values[1])}")
    return (
        f"{full[0].model} less {full[1].model}, in points: {listed(told)}. The GRU sees a sequence of length one, so "
        "it has nothing to remember; whatever it adds is a larger layer."
    )


def limits(repeated: Repeated) -> dict[str, list[str]]:
    """What the experiment shows, and what it cannot prove."""
    found, number = repeated.first, len(repeated.seeds)
    claim = found.claim
    ends = [item.after.mean for item in repeated.of_claim() if not item.matched]
    average = " on average over the seeds" if number > 1 else ""
    shows = [
        f"With the same clips, network and seeds, changing only the procedure moves the result between "
        f"{pct(min(ends))}% and {pct(max(ends))}%{average}.",
        f"Cross-validation measures; it does not teach. Done honestly it changed the figure by "
        f"{points(repeated.finding('honest').step.mean)} points{average}.",
        "Shuffled labels tell an honest procedure from a leaking one without knowing the true accuracy.",
    ]
    cannot = [
        "A procedure that gives the same step could have caused it; that is no proof that it did. Two causes may "
        "also have worked together.",
        "The allowance for chance takes clips as independent and the claimed figures as from the same numbers of "
        "clips as here. Clips of one artist are not independent, so the true allowance is wider.",
        "These are the results of one seed, one deal of the clips and one set of features."
        if number == 1
        else f"These are {number} deals of the same clips and one set of features; the interval over them says "
        "nothing about other clips.",
        "Folds here ignore artists, as in the literature. Even the honest figure is optimistic: clips of one artist "
        "stand on both sides.",
    ]
    if claim.of_report:
        cannot.insert(
            0,
            "The report publishes no accuracies of single folds, no code, no learning rate and not the size of its "
            "single split. With its fold accuracies the question could be settled: a climb after the first fold "
            "would show a kept model.",
        )
    if any(item.matched for item in repeated.findings):
        cannot.append(
            "The shorter training was chosen so that its start meets the claim; only its end is evidence. How the "
            "original came to its start is not known."
        )
    if not any(item.fits for item in repeated.of_claim()):
        cannot.append(
            "No single procedure tried here meets both figures, so something else differs from the original."
        )
    return {"shows": shows, "cannot": cannot}
