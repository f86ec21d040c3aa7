"""One self-contained HTML page about a comparison of runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from earmark.compare import Comparison, Pair
from earmark.report.charts import (
    Axis,
    Bar,
    BarRow,
    Rule,
    Whisker,
    bar_chart,
    interval_chart,
    percent,
    plain,
    signed_points,
)
from earmark.report.page import Cell, Column, Note, Table, Tile, render, write_page
from earmark.report.words import count, decimals, listed, p_value, pct, points, thousands

WON = 40
SUSPECTS = 30
GENRE_BARS = 4


def verdict(comparison: Comparison, pair: Pair) -> str:
    """What a pair's difference in accuracy says, in a sentence."""
    first, second = (comparison.entries[i].name for i in (pair.first, pair.second))
    found = pair.differences.accuracy
    size = f"{abs(100 * found.value):.1f} points"
    if not found.known:
        return f"{second} is {points(found.value)} points from {first}; with one group there is no interval."
    between = f"95% interval {points(found.low)} to {points(found.high)}"
    if found.low > 0:
        return f"{second} is better than {first} by {size} ({between})."
    if found.high < 0:
        return f"{second} is worse than {first} by {size} ({between})."
    return f"{second} and {first} cannot be told apart: {points(found.value)} points ({between})."


def compare_html(comparison: Comparison) -> str:
    """The page of a comparison.

    Raises
    ------
    MissingExtraError
        If Jinja2 is not installed.
    """
    entries, first = comparison.entries, comparison.entries[0]
    against = [pair for pair in comparison.pairs if pair.first == 0]
    notes = []
    if comparison.reasons:
        notes.append(
            Note(
                f"{' '.join(comparison.reasons)} What follows is about the clips they have in common; the "
                "differences "
                "come from all of this together.",
                "Not like with like.",
                "warn",
            )
        )
    return render(
        "compare.html.j2",
        title=f"{len(entries)} runs compared · Earmark",
        heading=listed([entry.name for entry in entries]) if len(entries) < 4 else f"{len(entries)} runs compared",
        verdicts=[verdict(comparison, pair) for pair in against],
        notes=notes,
        tiles=[
            Tile("Runs", str(len(entries)), f"held against {first.name}"),
            Tile("Clips in common", thousands(len(comparison.clips)), f"in {count(comparison.groups, 'group')}"),
            Tile("Right in all runs", _share(comparison, all_right=True), "in every repeat"),
            Tile("Wrong in all runs", _share(comparison, all_right=False), "in every repeat"),
        ],
        scores=interval_chart(
            "scores",
            [
                Whisker(
                    e.name, e.accuracy.value, e.accuracy.low, e.accuracy.high, i % 8 + 1, f"{pct(e.accuracy.value)}%"
                )
                for i, e in enumerate(entries)
            ],
            title="Accuracy of each run",
            description="; ".join(f"{e.name}: {pct(e.accuracy.value)}%" for e in entries),
            axis=Axis("accuracy", percent),
        ),
        differences=interval_chart(
            "differences",
            [
                Whisker(
                    entries[pair.second].name,
                    pair.differences.accuracy.value,
                    pair.differences.accuracy.low,
                    pair.differences.accuracy.high,
                    pair.second % 8 + 1,
                    points(pair.differences.accuracy.value),
                )
                for pair in against
            ],
            rules=[Rule(0.0, first.name)],
            title=f"Difference in accuracy from {first.name}",
            description="; ".join(verdict(comparison, pair) for pair in against),
            axis=Axis("percentage points, worse to the left, better to the right", signed_points),
        ),
        table=_scores_table(comparison),
        genre_chart=_genre_chart(comparison),
        genre_table=_genre_table(comparison, against),
        pairs=_pairs_table(comparison) if len(entries) > 2 else None,
        won=[_won(comparison, pair) for pair in against],
        suspects=_suspects(comparison),
        settings=Table(
            "Settings that are not the same",
            [Column("Setting"), *(Column(entry.name) for entry in entries)],
            [[Cell(name), *(Cell(value) for value in values)] for name, values in comparison.settings],
        )
        if comparison.settings
        else None,
    )


def write_comparison(comparison: Comparison, path: Path | str) -> Path:
    """Write the page of a comparison and return where it is."""
    return write_page(path, compare_html(comparison))


def _share(comparison: Comparison, *, all_right: bool) -> str:
    ends = [entry.share_right == (1.0 if all_right else 0.0) for entry in comparison.entries]
    together = ends[0]
    for more in ends[1:]:
        together = together & more
    return f"{pct(float(together.mean()))}%"


def _scores_table(comparison: Comparison) -> Table:
    rows = []
    for i, entry in enumerate(comparison.entries):
        protocol = entry.run.protocol
        found = comparison.pair(0, i) if i else None
        difference = found.differences.accuracy if found else None
        rows.append(
            [
                Cell(entry.name),
                Cell(entry.run.model),
                Cell(f"{protocol['name']}", faint=f"{count(protocol.get('repeats', 1), 'seed')}"),
                Cell(f"{pct(entry.accuracy.value)}%", entry.accuracy.value, faint=_ends(entry.accuracy)),
                Cell(decimals(entry.macro_f1.value, 3), entry.macro_f1.value),
                Cell(points(difference.value), difference.value, faint=_ends(difference, signed=True))
                if difference
                else Cell("–"),
                Cell(p_value(found.adjusted), found.adjusted) if found else Cell("–"),
            ]
        )
    return Table(
        "Accuracy and its difference from the first run, with 95% intervals over groups; p: McNemar’s mid-p "
        "over clips, "
        "adjusted for the number of pairs (Holm)",
        [
            Column("Run"),
            Column("Model"),
            Column("Protocol"),
            Column("Accuracy", True),
            Column("Macro F1", True),
            Column("Difference", True),
            Column("p", True),
        ],
        rows,
    )


def _ends(interval: Any, *, signed: bool = False) -> str:
    if not interval.known:
        return ""
    low, high = (points(v) if signed else pct(v) for v in (interval.low, interval.high))
    return f"({low} to {high})"


def _genre_chart(comparison: Comparison) -> Any:
    shown = comparison.entries[:GENRE_BARS]
    return bar_chart(
        "genres",
        [
            BarRow(
                label,
                [
                    Bar(
                        entry.f1[j].value,
                        entry.f1[j].low if entry.f1[j].known else None,
                        entry.f1[j].high if entry.f1[j].known else None,
                        i % 8 + 1,
                        f"{entry.name}, {label}: F1 {decimals(entry.f1[j].value)}",
                    )
                    for i, entry in enumerate(shown)
                ],
            )
            for j, label in enumerate(comparison.labels)
        ],
        title="F1 by genre and run",
        description="The table beside it says the same in numbers.",
        legend=[(entry.name, i % 8 + 1, "box") for i, entry in enumerate(shown)],
        axis=Axis("F1", plain, (0.0, 1.0)),
    )


def _genre_table(comparison: Comparison, against: list[Pair]) -> Table:
    rows = []
    for j, label in enumerate(comparison.labels):
        row = [Cell(label), Cell(decimals(comparison.entries[0].f1[j].value), comparison.entries[0].f1[j].value)]
        for pair in against:
            found = pair.differences.f1[j]
            sure = found.known and (found.low > 0 or found.high < 0)
            ends = f"({points(found.low)} to {points(found.high)})" if found.known else ""
            row.append(Cell(f"{'★ ' if sure else ''}{points(found.value)}", found.value, faint=ends))
        rows.append(row)
    first = comparison.entries[0].name
    return Table(
        f"F1 of {first}, and the others’ differences from it in hundredths; ★ marks intervals that leave out zero. "
        f"Of {len(comparison.labels) * len(against)} intervals about one in twenty does so by chance.",
        [
            Column("Genre"),
            Column(first, True),
            *(Column(comparison.entries[pair.second].name, True) for pair in against),
        ],
        rows,
    )


def _pairs_table(comparison: Comparison) -> Table:
    rows = []
    for pair in comparison.pairs:
        found = pair.differences
        rows.append(
            [
                Cell(f"{comparison.entries[pair.second].name} − {comparison.entries[pair.first].name}"),
                Cell(points(found.accuracy.value), found.accuracy.value, faint=_ends(found.accuracy, signed=True)),
                Cell(points(found.macro_f1.value), found.macro_f1.value, faint=_ends(found.macro_f1, signed=True)),
                Cell(f"{pair.test.second} : {pair.test.first}", float(pair.test.second - pair.test.first)),
                Cell(p_value(pair.test.exact), pair.test.exact),
                Cell(p_value(pair.test.mid_p), pair.test.mid_p),
                Cell(p_value(pair.adjusted), pair.adjusted),
            ]
        )
    return Table(
        "Every pair: differences in points with 95% intervals over groups, clips won, McNemar’s test over clips",
        [
            Column("Pair"),
            Column("Accuracy", True),
            Column("Macro F1", True),
            Column("Clips won", True),
            Column("p exact", True),
            Column("p mid", True),
            Column("p Holm", True),
        ],
        rows,
    )


def _won(comparison: Comparison, pair: Pair) -> dict[str, Any]:
    first, second = comparison.entries[pair.first], comparison.entries[pair.second]
    by_first, by_second = comparison.won(pair)
    tables = []
    for winner, loser, places in ((second, first, by_second), (first, second, by_first)):
        rows = []
        for i in places[:WON]:
            clip = first.run.clips[comparison.clips[i]]
            rows.append(
                [
                    Cell(clip.title or clip.clip, faint=clip.artist or ("" if clip.title is None else clip.clip)),
                    Cell(comparison.labels[comparison.y_true[i]]),
                    Cell(
                        comparison.labels[loser.predicted[i]]
                        if loser.predicted[i] != comparison.y_true[i]
                        else "in some repeats",
                    ),
                ]
            )
        more = f", the first {WON} shown" if len(places) > WON else ""
        tables.append(
            Table(
                f"Won by {winner.name}: {count(len(places), 'clip')}{more}",
                [Column("Clip"), Column("Genre"), Column(f"{loser.name} said")],
                rows,
            )
        )
    same = len(comparison.clips) - len(by_first) - len(by_second)
    return {
        "heading": f"{second.name} against {first.name}",
        "sentence": f"{second.name} wins {count(len(by_second), 'clip')}, {first.name} {len(by_first)}; on the other "
        f"{same:,} they do equally well. McNemar’s test: exact p {p_value(pair.test.exact)}, mid-p "
        f"{p_value(pair.test.mid_p)}.",
        "tables": tables,
    }


def _suspects(comparison: Comparison) -> dict[str, Any]:
    found = comparison.suspects
    if not found:
        return {
            "sentence": "No label is contradicted by every prediction of every run with confidence.",
            "table": None,
        }
    clips = comparison.entries[0].run.clips
    rows = [
        [
            Cell(item.clip),
            Cell(clips[item.clip].artist or "–"),
            Cell(clips[item.clip].title or "–"),
            Cell(comparison.labels[item.label]),
            Cell(comparison.labels[item.suggested]),
            Cell(f"{pct(item.confidence, 0)}%", item.confidence),
            Cell(str(item.times), item.times),
        ]
        for item in found[:SUSPECTS]
    ]
    more = f" The first {SUSPECTS} are shown." if len(found) > SUSPECTS else ""
    return {
        "sentence": f"{count(len(found), 'clip')} {'is' if len(found) == 1 else 'are'} contradicted by every "
        "prediction of "
        f"every run with confidence. Models that share features share their mistakes, so only listening tells.{more}",
        "table": Table(
            "Labels that all runs contradict",
            [
                Column("Clip"),
                Column("Artist"),
                Column("Title"),
                Column("Label"),
                Column("Suggested"),
                Column("Confidence", True),
                Column("Predictions", True),
            ],
            rows,
        ),
    }
