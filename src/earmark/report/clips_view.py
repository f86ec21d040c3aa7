"""The parts of a run's page that are about clips: surest mistakes, doubtful labels, artists."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from earmark.metrics import ClipScores, per_group, worst
from earmark.report.charts import Bar, BarRow, bar_chart, share_bar
from earmark.report.meaning import group_noun
from earmark.report.page import Cell, Column, Table
from earmark.report.svg import shorten
from earmark.report.words import count, pct
from earmark.runs import Run

# Fills rows of four, as wide as the page gets.
CARDS = 16
MISSED = 500
SUSPECTS = 30
LARGEST = 16
THUMBNAIL = (64, 160)


def mistakes(run: Run, scores: ClipScores) -> dict[str, Any] | None:
    """The clips that were mistaken with the most confidence, with their spectrograms, and a table of all."""
    order = worst(scores)
    if not len(order):
        return None
    images = run.thumbnails(scores.clips[i] for i in order[:CARDS])
    repeats = int(scores.times.max())
    table = []
    for i in order[:MISSED]:
        clip = run.clips[scores.clips[i]]
        said, own = scores.predicted[i], scores.y_true[i]
        row = [
            Cell(clip.clip),
            Cell(clip.artist or "–"),
            Cell(clip.title or "–"),
            Cell(run.labels[own]),
            Cell(run.labels[said]),
            Cell(f"{pct(scores.probabilities[i, said], 0)}%", float(scores.probabilities[i, said])),
            Cell(f"{pct(scores.probabilities[i, own], 0)}%", float(scores.probabilities[i, own])),
        ]
        if repeats > 1:
            wrong = int(scores.times[i] - scores.right[i])
            row.append(Cell(f"{wrong} of {scores.times[i]}", float(wrong)))
        table.append(row)
    columns = [
        Column("Clip"),
        Column("Artist"),
        Column("Title"),
        Column("True"),
        Column("Predicted"),
        Column("Confidence", True),
        Column("For the true one", True),
    ]
    if repeats > 1:
        columns.append(Column("Wrong", True))
    together = " (the mean over seeds decides)" if repeats > 1 else ""
    return {
        "sentence": f"{count(len(order), 'clip')} of {len(scores.clips):,} {'is' if len(order) == 1 else 'are'} "
        "given the "
        f"wrong genre{together}. These are the ones where the model was surest of the wrong answer.",
        "clips": [_card(run, scores, int(i), images.get(scores.clips[i])) for i in order[:CARDS]],
        "long": count(len(order), "clip") + (f", the first {MISSED} shown" if len(order) > MISSED else ""),
        "table": Table("Missed clips, surest mistakes first", columns, table) if len(order) > CARDS else None,
    }


def _card(run: Run, scores: ClipScores, index: int, image: NDArray[np.uint8] | None) -> dict[str, Any]:
    clip = run.clips[scores.clips[index]]
    p, own = scores.probabilities[index], int(scores.y_true[index])
    first = [int(scores.predicted[index]), *(int(j) for j in np.argsort(-p, kind="stable"))]
    shown = list(dict.fromkeys(first))[:3]
    if own not in shown:
        shown[-1] = own
    return {
        "id": clip.clip,
        "title": clip.title or clip.artist or clip.clip,
        "artist": (clip.artist or "") if clip.title else "",
        "image": thumbnail(image) if image is not None else "",
        "width": image.shape[1] if image is not None else 0,
        "height": image.shape[0] if image is not None else 0,
        "bars": [
            {
                "label": run.labels[j],
                "own": j == own,
                "bar": share_bar(float(p[j]), colour=3 if j == own else 2),
                "value": f"{pct(float(p[j]), 0)}%",
            }
            for j in shown
        ],
    }


def thumbnail(image: NDArray[np.uint8]) -> str:
    """A small spectrogram as a data URI in the magma colours.

    Parameters
    ----------
    image
        uint8, shape (bins, columns), low frequencies first; larger ones than the card shows are made smaller.
    """
    from earmark.drawing import draw, png

    size = (min(image.shape[0], THUMBNAIL[0]), min(image.shape[1], THUMBNAIL[1]))
    return "data:image/png;base64," + base64.b64encode(png(draw(image, size))).decode("ascii")


def suspects(run: Run, metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Clips whose labels every prediction contradicts with confidence."""
    found = metrics["suspects"]
    if not found:
        return {"sentence": "No label is contradicted by every prediction with confidence.", "table": None}
    rows = []
    for item in found[:SUSPECTS]:
        clip = run.clips[item["clip"]]
        rows.append(
            [
                Cell(clip.clip),
                Cell(clip.artist or "–"),
                Cell(clip.title or "–"),
                Cell(item["label"], faint=f"{pct(item['own'], 0)}%"),
                Cell(item["suggested"]),
                Cell(f"{pct(item['confidence'], 0)}%", item["confidence"], share_bar(item["confidence"], colour=2)),
            ]
        )
    every = "every seed contradicts" if metrics["repeats"] > 1 else "the model contradicts"
    few = f" The first {SUSPECTS} are shown." if len(found) > SUSPECTS else ""
    return {
        "sentence": f"{count(len(found), 'clip')} {'carries' if len(found) == 1 else 'carry'} a label that "
        f"{every} with at least the confidence it has where it is right about the suggested genre. Some are simply "
        f"hard, some may be mislabelled: only listening tells.{few}",
        "table": Table(
            "Labels that may be wrong, strongest contradiction first",
            [
                Column("Clip"),
                Column("Artist"),
                Column("Title"),
                Column("Label"),
                Column("Suggested"),
                Column("Confidence", True),
            ],
            rows,
        ),
    }


def artists(run: Run, scores: ClipScores) -> dict[str, Any] | None:
    """Results per group; None where every clip is its own."""
    found = per_group(scores, [run.group_of(clip) for clip in scores.clips])
    several = [item for item in found if len(item.clips) > 1]
    if not several:
        return None
    one, many = group_noun(run)
    mean = float(np.mean([item.accuracy for item in found]))
    everything = float(scores.share_right.mean())
    never = [item for item in several if item.accuracy == 0 and len(item.clips) > 2]
    always = [item for item in several if item.accuracy == 1 and len(item.clips) > 2]
    sentence = (
        f"{count(len(found), one, many)}, {len(several)} of them with more than one clip. Counting every {one} "
        "once, accuracy "
        f"is {pct(mean)}%; counting every clip once, {pct(everything)}%."
    )
    if never or always:
        sentence += (
            f" Of those with three clips or more, {count(len(always), 'is', 'are')} always right and "
            f"{count(len(never), 'is', 'are') if never else 'none is'} always wrong."
        )
    largest = sorted(several, key=lambda item: -len(item.clips))[:LARGEST]
    largest.sort(key=lambda item: -item.accuracy)
    rows = []
    for item in sorted(found, key=lambda item: (item.accuracy, -len(item.clips))):
        labels = sorted({run.clips[clip].label for clip in item.clips})
        rows.append(
            [
                Cell(_name(run, item.clips, item.group)),
                Cell(", ".join(labels)),
                Cell(str(len(item.clips)), len(item.clips)),
                Cell(f"{pct(item.accuracy, 0)}%", item.accuracy, share_bar(item.accuracy)),
            ]
        )
    return {
        "sentence": sentence,
        "noun": many,
        "hardest": [
            {
                "text": _name(run, item.clips, item.group),
                "note": f"{pct(item.accuracy, 0)}% of {len(item.clips)} clips",
            }
            for item in sorted(several, key=lambda item: (item.accuracy, -len(item.clips)))
            if len(item.clips) > 2 and item.accuracy < 0.5
        ][:12],
        "long": count(len(rows), "row"),
        "chart": bar_chart(
            "artist-bars",
            [
                BarRow(
                    shorten(_name(run, item.clips, item.group), 19) + f" ({len(item.clips)})",
                    [
                        Bar(
                            item.accuracy,
                            tip=f"{_name(run, item.clips, item.group)}: {pct(item.accuracy, 0)}% of "
                            f"{len(item.clips)} clips",
                        )
                    ],
                )
                for item in largest
            ],
            title=f"Accuracy by {one}",
            description="; ".join(
                f"{_name(run, item.clips, item.group)}: {pct(item.accuracy, 0)}%" for item in largest
            ),
        )
        if len(largest) > 3
        else None,
        "caption": f"The {len(largest)} {many} with the most clips (in brackets), and the share of their clips "
        "that is right.",
        "table": Table(
            f"Accuracy by {one}, lowest first",
            [Column(one.capitalize()), Column("Genre"), Column("Clips", True), Column("Accuracy", True)],
            rows,
        ),
    }


def _name(run: Run, clips: tuple[str, ...], group: str) -> str:
    """The artists of a group's clips, or the group's own name."""
    named = list(dict.fromkeys(run.clips[clip].artist for clip in clips if run.clips[clip].artist))
    return " / ".join(str(name) for name in named[:3]) + (" …" if len(named) > 3 else "") if named else group
