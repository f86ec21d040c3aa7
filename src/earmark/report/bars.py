"""Bars, intervals, and named places on a line: everything along one axis."""

from __future__ import annotations

import math
from collections.abc import Sequence

from earmark.report.shapes import PERCENT, Axis, BarRow, Legend, Mark, Pair, Rule, Whisker
from earmark.report.svg import (
    FONT,
    Markup,
    Scale,
    circle,
    document,
    line,
    number,
    rectangle,
    shorten,
    spread,
    text,
    ticks,
    width_of,
)


def bar_chart(
    name: str,
    rows: Sequence[BarRow],
    *,
    title: str,
    description: str = "",
    axis: Axis = PERCENT,
    legend: Sequence[tuple[str, int, str]] = (),
    rules: Sequence[Rule] = (),
    width: float = 480,
) -> Markup:
    """Horizontal bars with whiskers, one or several per row, and dots on top.

    Parameters
    ----------
    legend
        ``(label, colour, "box" or "dot")``.
    rules
        Reference lines; their axis is ignored (there is one).
    """
    entries, used = Legend(width - 14, list(legend)).draw(12)
    thick = max((len(row.bars) for row in rows), default=1)
    bar = 16.0 if thick == 1 else 10.0
    pitch = thick * bar + (14 if thick > 1 else 12)
    left = min(180.0, 22 + max((width_of(shorten(row.label, 24)) for row in rows), default=40))
    top = used + (18 if any(rule.label for rule in rules) else 6)
    bottom = top + pitch * len(rows)
    values = [v for row in rows for b in row.bars for v in (b.value, b.low, b.high) if v is not None]
    across = Scale(*(axis.range or spread(values, include=(0.0,))), left, width - 16)
    parts = list(entries)
    for value in ticks(across.low, across.high, axis.ticks):
        parts.append(line(across(value), top, across(value), bottom, "grid"))
        parts.append(text(across(value), bottom + 18, axis.format(value), anchor="middle", css="tick"))
    for rule in rules:
        parts.append(line(across(rule.value), top - 4, across(rule.value), bottom, "rule"))
        parts.append(text(across(rule.value), top - 7, rule.label, anchor="middle", css="rule-name"))
    zero = across.held(0.0)
    for index, row in enumerate(rows):
        middle = top + pitch * (index + 0.5)
        parts.append(text(left - 10, middle + 4.5, shorten(row.label, 24), anchor="end", css="label"))
        for place, item in enumerate(row.bars):
            y = middle + (place - len(row.bars) / 2) * bar
            end = across.held(item.value)
            parts.append(
                rectangle(min(zero, end), y + 1, abs(end - zero), bar - 2, f"bar f{item.colour}", tip=item.tip)
            )
            if item.low is not None and item.high is not None:
                parts.append(_whisker(across, item.low, item.high, y + bar / 2, 3.5))
        parts += [circle(across.held(v), middle, 4, f"dot d{colour}", tip=tip) for v, colour, tip in row.dots]
    if axis.label:
        parts.append(text((left + width - 16) / 2, bottom + 36, axis.label, anchor="middle", css="name"))
    height = bottom + (44 if axis.label else 26)
    return document(name, width, height, parts, title=title, description=description)


def _whisker(across: Scale, low: float, high: float, y: float, half: float, css: str = "whisker") -> str:
    a, b = across.held(low), across.held(high)
    caps = f"M{number(a)} {number(y - half)}V{number(y + half)}M{number(b)} {number(y - half)}V{number(y + half)}"
    return f'<path class="{css}" d="{caps}M{number(a)} {number(y)}H{number(b)}"/>'


def interval_chart(
    name: str,
    rows: Sequence[Whisker],
    *,
    title: str,
    description: str = "",
    axis: Axis = PERCENT,
    rules: Sequence[Rule] = (),
    width: float = 480,
) -> Markup:
    """Dots with intervals, one row each (a forest plot): for scores side by side, and for differences around 0."""
    left = min(190.0, 22 + max((width_of(shorten(row.label, 26)) for row in rows), default=40))
    right = 16 + max((width_of(row.note, FONT) + 10 for row in rows if row.note), default=0.0)
    pitch, top = 28.0, 20.0 if any(rule.label for rule in rules) else 8.0
    bottom = top + pitch * len(rows)
    values = [v for row in rows for v in (row.value, row.low, row.high)] + [rule.value for rule in rules]
    across = Scale(*(axis.range or spread(values)), left, width - right)
    parts = []
    for value in ticks(across.low, across.high, axis.ticks):
        parts.append(line(across(value), top, across(value), bottom, "grid"))
        parts.append(text(across(value), bottom + 18, axis.format(value), anchor="middle", css="tick"))
    for rule in rules:
        parts.append(line(across.held(rule.value), top - 4, across.held(rule.value), bottom, "rule strong"))
        parts.append(text(across.held(rule.value), top - 8, rule.label, anchor="middle", css="rule-name"))
    for index, row in enumerate(rows):
        y = top + pitch * (index + 0.5)
        parts.append(text(left - 10, y + 4.5, shorten(row.label, 26), anchor="end", css="label"))
        if math.isfinite(row.low) and math.isfinite(row.high):
            parts.append(_whisker(across, row.low, row.high, y, 4, f"whisker s{row.colour}"))
        parts.append(circle(across.held(row.value), y, 5, f"dot d{row.colour}", tip=row.tip))
        if row.note:
            parts.append(text(width - 8, y + 4.5, row.note, anchor="end", css="note"))
    if axis.label:
        parts.append(text((left + width - right) / 2, bottom + 36, axis.label, anchor="middle", css="name"))
    height = bottom + (44 if axis.label else 26)
    return document(name, width, height, parts, title=title, description=description)


def number_line(
    name: str,
    marks: Sequence[Mark],
    *,
    title: str,
    description: str = "",
    interval: Pair | None = None,
    axis: Axis = PERCENT,
    width: float = 480,
) -> Markup:
    """Named places on one axis: where a result stands among others.

    Strong marks are written above the line, the others below it, in as many rows as they need not to overlap.
    """
    left, right = 16.0, 16.0
    values = [mark.value for mark in marks]
    across = Scale(*(axis.range or spread(values)), left, width - right)
    above = sorted((m for m in marks if m.strong), key=lambda m: m.value)
    below = sorted((m for m in marks if not m.strong), key=lambda m: m.value)
    y = 40.0 if above else 16.0
    parts = [line(across.start, y, across.end, y, "axis thick")]
    if interval and all(math.isfinite(value) for value in interval):
        a, b = across.held(interval[0]), across.held(interval[1])
        parts.append(rectangle(a, y - 7, b - a, 14, "span f1", more=' rx="7"'))
    for mark in above:
        at = across.held(mark.value)
        half = width_of(mark.label, 15) / 2
        parts.append(circle(at, y, 7, "dot d1", tip=f"{mark.label} {mark.note}".strip()))
        parts.append(text(min(max(at, half), width - half), y - 16, mark.label, anchor="middle", css="strong"))
    ends: list[float] = []
    names = []
    for mark in below:
        at = across.held(mark.value)
        wide = max(width_of(mark.label, 12), width_of(mark.note, 12)) + 10
        begin = min(max(at - wide / 2, 2.0), width - wide - 2)
        row = next((i for i, end in enumerate(ends) if begin > end), len(ends))
        if row == len(ends):
            ends.append(0.0)
        ends[row] = begin + wide
        down = y + 24 + row * 36
        parts.append(line(at, y + 2, at, down - 10, "stem"))
        parts.append(circle(at, y, 3.5, "dot d8", tip=f"{mark.label} {mark.note}".strip()))
        names.append(text(begin + wide / 2, down + 2, mark.label, anchor="middle", css="tick over"))
        names.append(text(begin + wide / 2, down + 16, mark.note, anchor="middle", css="tick faint over"))
    # On top, so that the stems of names further down do not strike these through.
    parts += names
    height = y + 14 + 36 * max(1, len(ends))
    return document(name, width, height, parts, title=title, description=description)


def share_bar(share: float, *, colour: int = 1) -> Markup:
    """A thin bar for a table cell or a card, 0..1.

    The number beside it says the same, so screen readers are not told of it.
    """
    return Markup(
        f'<span class="share" aria-hidden="true"><i class="b{int(colour)}" '
        f'style="width:{number(100 * min(1.0, max(0.0, share)))}%"></i></span>'
    )
