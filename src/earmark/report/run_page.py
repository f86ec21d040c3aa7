"""One self-contained HTML page about one run."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from earmark.report import clips_view, scores_view, training_view, trust_view
from earmark.report.charts import PERCENT, number_line
from earmark.report.meaning import SOURCES, dealing, facts, group_noun, headline, is_gtzan, marks, meaning
from earmark.report.page import Tile, render, write_page
from earmark.report.words import between, count, decimals, duration, pct, thousands, when
from earmark.runs import Run, load_run

SECTIONS = (
    ("protocol", "What it means"),
    ("leaks", "Leak tests"),
    ("genres", "Genres"),
    ("confusion", "Confusion"),
    ("learning", "Learning"),
    ("folds", "Folds"),
    ("trust", "Confidence"),
    ("mistakes", "Mistakes"),
    ("labels", "Labels"),
    ("artists", "Artists"),
    ("details", "How it was made"),
)


def report_html(run: Run) -> str:
    """The page of a run.

    Raises
    ------
    MissingExtraError
        If Jinja2 is not installed.
    StoreError
        If the run's thumbnails are damaged.
    """
    metrics, joint = run.metrics, run.joint
    scored = metrics is not None and joint is not None
    parts: dict[str, Any] = {
        "leaks": _leaks(run),
        "genres": scores_view.genres(run, metrics) if metrics else None,
        "confusion": scores_view.confusion(run, metrics) if metrics else None,
        "learning": training_view.learning(run),
        "folds": training_view.folds(run, metrics) if metrics else None,
        "trust": trust_view.trust(run, metrics) if metrics else None,
        "mistakes": clips_view.mistakes(run, joint) if joint else None,
        "suspects": clips_view.suspects(run, metrics) if metrics and scored else None,
        "artists": clips_view.artists(run, joint) if joint else None,
    }
    present = {"protocol", "details"} | {
        {"suspects": "labels"}.get(name, name) for name, part in parts.items() if part is not None
    }
    names = group_noun(run)[1]
    notes = meaning(run, metrics)
    return render(
        "run.html.j2",
        title=f"{run.model} on {run.dataset} · Earmark",
        heading=f"{run.model} on {run.dataset}",
        what=_what(run),
        created=when(str(run.info.get("created", ""))),
        headline=_headline(run, metrics) if metrics else None,
        doubtful=any(note.tone == "bad" for note in notes),
        position=_position(run, metrics) if metrics else None,
        tiles=_tiles(run, metrics),
        contents=[
            (key, names.capitalize() if key == "artists" else name) for key, name in SECTIONS if key in present
        ],
        meaning=notes,
        details=facts(run),
        folder=run.name,
        **parts,
    )


def write_report(run: Run | Path | str, path: Path | str | None = None) -> Path:
    """Write the page of a run.

    Parameters
    ----------
    run
        The run, or its folder.
    path
        Where; None: ``report.html`` in the run's folder.

    Returns
    -------
    Path
        Where the page is.
    """
    run = run if isinstance(run, Run) else load_run(run)
    return write_page(path if path is not None else run.folder / "report.html", report_html(run))


def _what(run: Run) -> str:
    names = {"crossval": "cross-validation", "train": "training"}
    return f"{names.get(run.kind, run.kind)}, {dealing(run)}"


def _headline(run: Run, metrics: Mapping[str, Any]) -> dict[str, str]:
    score, spread = metrics["accuracy"], metrics["spread"]["accuracy"]
    return {
        "value": pct(score["value"]),
        "low": pct(score["low"]) if score["low"] is not None else "",
        "high": pct(score["high"]),
        "spread": pct(spread) if spread is not None else "",
        "sentence": headline(run, metrics),
    }


def _position(run: Run, metrics: Mapping[str, Any]) -> Any:
    score = metrics["accuracy"]
    places = marks(run, metrics)
    return number_line(
        "position",
        places,
        title="Where the result stands",
        description="; ".join(f"{mark.label} {pct(mark.value)}%" for mark in places)
        + (f". {SOURCES}" if is_gtzan(run) else ""),
        interval=(score["low"], score["high"]) if score["low"] is not None else None,
        axis=PERCENT,
        width=500,
    )


def _tiles(run: Run, metrics: Mapping[str, Any] | None) -> list[Tile]:
    info, protocol = run.info, run.protocol
    tiles = []
    if metrics is not None:
        tiles.append(Tile("Macro F1", decimals(metrics["macro_f1"]["value"], 3), between(metrics["macro_f1"], 3)))
        if "3" in metrics["top_k"]:
            tiles.append(Tile("In the first three", f"{pct(metrics['top_k']['3'])}%", "top-3 accuracy"))
        error = metrics["calibration"]["ece_equal_width"]
        tiles.append(Tile("Calibration error", f"{pct(error)} pt", "expected, 15 bins"))
        tiles.append(Tile("Clips tested", thousands(metrics["clips"]), f"in {count(metrics['groups'], 'group')}"))
    else:
        tiles.append(Tile("Clips", thousands(len(run.clips)), ""))
    folds, repeats = protocol.get("folds", 1), protocol.get("repeats", 1)
    tiles.append(
        Tile(
            "Models trained",
            thousands(len(info.get("folds", [])) or folds * repeats),
            f"{count(folds, 'fold')}, {count(repeats, 'seed')}",
        )
    )
    memory = info.get("peak_memory_mb")
    tiles.append(
        Tile("Time", duration(info.get("seconds")), f"{memory:,.0f} MB at most" if memory is not None else "")
    )
    return tiles


def _leaks(run: Run) -> dict[str, Any] | None:
    if not run.leaks:
        return None
    verdicts = {True: ("passed", "good"), False: ("failed", "bad"), None: ("no verdict", "quiet")}
    tests = []
    for test in run.leaks:
        verdict, tone = verdicts[test.passed]
        measured = []
        if test.value is not None and not test.value == test.bound == 0:
            measured.append(_measure(test.value))
        if measured and test.bound is not None and test.passed is not None:
            measured.append(f"(bound {_measure(test.bound)})")
        tests.append(
            {
                "name": test.test[:1].upper() + test.test[1:],
                "verdict": verdict,
                "tone": tone,
                "sentence": test.sentence,
                "measured": " ".join(measured),
            }
        )
    failed = sum(test.passed is False for test in run.leaks)
    passed = sum(test.passed is True for test in run.leaks)
    if failed:
        sentence = f"{count(failed, 'test')} of {len(tests)} failed. The number above cannot be taken at its word."
    else:
        rest = f", {len(tests) - passed} without a verdict" if passed < len(tests) else ""
        sentence = (
            f"{passed} of {len(tests)} passed, none failed{rest}. They look for test clips that reach the "
            "training in any way."
        )
    return {"sentence": sentence, "tests": tests}


def _measure(value: float) -> str:
    text = f"{value:.0f}" if value == int(value) and abs(value) != 1 else f"{value:.3f}"
    return text.replace("-", "−")
