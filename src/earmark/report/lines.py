"""Lines and dots over a pair of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from earmark.report.shapes import Axis, Band, Legend, Line, Pair, Point, Rule
from earmark.report.svg import Frame, Markup, circle, document, line, polyline, spread, text, width_of


def line_chart(
    name: str,
    lines: Sequence[Line],
    *,
    title: str,
    description: str = "",
    x: Axis | None = None,
    y: Axis | None = None,
    bands: Sequence[Band] = (),
    rules: Sequence[Rule] = (),
    diagonal: bool = False,
    width: float = 480,
    height: float = 300,
) -> Markup:
    """Lines over a common pair of axes, with shaded bands and named reference lines.

    Parameters
    ----------
    diagonal
        Draw the line y = x (where confidence equals accuracy).
    """
    x, y = x or Axis(), y or Axis()
    xs = [point[0] for item in lines for point in item.points]
    ys = [point[1] for item in lines for point in item.points]
    ys += [value for band in bands for point in band.points for value in point[1:]]
    legend = Legend(width - 14, [(i.label, i.colour, i.style) for i in lines if i.label])
    entries, used = legend.draw(12)
    y_range = y.range or spread([*ys, *(r.value for r in rules if r.axis == "y")])
    frame = _frame(width, height, used, x, y, x.range or spread(xs, pad=0.02), y_range)
    parts = [*entries, *frame.draw()]
    if diagonal:
        parts += _diagonal(frame)
    for band in bands:
        inside = [point for point in band.points if all(math.isfinite(value) for value in point)]
        upper = [(frame.x(a), frame.y.held(high)) for a, _, high in inside]
        lower = [(frame.x(a), frame.y.held(low)) for a, low, _ in reversed(inside)]
        parts.append(polyline(upper + lower, f"band f{band.colour}"))
    under, over = _rules(frame, rules, [item.points for item in lines])
    parts += under
    for item in lines:
        placed = [(frame.x(a), frame.y.held(b) if math.isfinite(b) else b) for a, b in item.points]
        parts.append(polyline(placed, f"line s{item.colour} {item.style}", tip=item.tip))
        if item.dots:
            sizes = item.sizes or [3.5] * len(placed)
            parts += [
                circle(px, py, size, f"dot d{item.colour}", tip=f"{x.format(a)}: {y.format(b)}")
                for (px, py), (a, b), size in zip(placed, item.points, sizes, strict=True)
                if math.isfinite(px) and math.isfinite(py)
            ]
    return document(name, width, height + used, [*parts, *over], title=title, description=description)


def scatter(
    name: str,
    points: Sequence[Point],
    *,
    title: str,
    description: str = "",
    x: Axis | None = None,
    y: Axis | None = None,
    legend: Sequence[tuple[str, int]] = (),
    rules: Sequence[Rule] = (),
    diagonal: bool = False,
    width: float = 480,
    height: float = 320,
) -> Markup:
    """Dots over a pair of axes; ``legend`` names colours."""
    x, y = x or Axis(), y or Axis()
    entries, used = Legend(width - 14, [(label, colour, "dot") for label, colour in legend]).draw(12)
    ranges = (x.range or spread([p.x for p in points]), y.range or spread([p.y for p in points]))
    frame = _frame(width, height, used, x, y, *ranges)
    parts = [*entries, *frame.draw()]
    if diagonal:
        parts += _diagonal(frame)
    under, over = _rules(frame, rules, [[(p.x, p.y)] for p in points])
    parts += under
    parts += [
        circle(frame.x.held(p.x), frame.y.held(p.y), p.radius, f"dot d{p.colour}", tip=p.tip)
        for p in points
        if math.isfinite(p.x) and math.isfinite(p.y)
    ]
    return document(name, width, height + used, [*parts, *over], title=title, description=description)


def _diagonal(frame: Frame) -> list[str]:
    """The line y = x as far as both axes reach; nothing where their ranges do not meet."""
    low, high = max(frame.x.low, frame.y.low), min(frame.x.high, frame.y.high)
    if not low < high:
        return []
    return [line(frame.x(low), frame.y(low), frame.x(high), frame.y(high), "rule")]


def _frame(width: float, height: float, used: float, x: Axis, y: Axis, x_range: Pair, y_range: Pair) -> Frame:
    """The plot's area below a legend that takes ``used`` pixels."""
    return Frame.of(
        width,
        height + used,
        x_range,
        y_range,
        top=used + (34 if y.label else 12),
        bottom=46 if x.label else 30,
        left=52,
        x_format=x.format,
        y_format=y.format,
        x_label=x.label,
        y_label=y.label,
        x_ticks=x.ticks,
        y_ticks=y.ticks,
    )


def _rules(frame: Frame, rules: Sequence[Rule], paths: Sequence[Sequence[Pair]]) -> tuple[list[str], list[str]]:
    """Reference lines and their names; the lines go below everything, the names on top and out of the paths' way."""
    lines, names = [], []
    drawn = _walk(frame, paths) if rules else []
    for rule in rules:
        if rule.axis == "y":
            at = frame.y.held(rule.value)
            lines.append(line(frame.x.start, at, frame.x.end, at, "rule"))
            x, y, anchor = _place_of_name(frame, rule, at, drawn)
            names.append(text(x, y, rule.label, anchor=anchor, css="rule-name"))
        else:
            at = frame.x.held(rule.value)
            lines.append(line(at, frame.y.start, at, frame.y.end, "rule"))
            names.append(text(at + 5, frame.y.end + 10, rule.label, css="rule-name"))
    return lines, names


def _walk(frame: Frame, paths: Sequence[Sequence[Pair]]) -> list[Pair]:
    """Places on the paper every few pixels along the paths, and at each of their points."""
    found: list[Pair] = []
    for path in paths:
        placed = [(frame.x(a), frame.y.held(b)) for a, b in path if math.isfinite(a) and math.isfinite(b)]
        found += placed[:1]
        for (x, y), (to_x, to_y) in pairwise(placed):
            # Axes may be given so that a path leads far off the paper.
            steps = min(max(1, math.ceil(math.hypot(to_x - x, to_y - y) / 4)), 400)
            found += [(x + (to_x - x) * i / steps, y + (to_y - y) * i / steps) for i in range(1, steps + 1)]
    return found


def _place_of_name(frame: Frame, rule: Rule, at: float, drawn: Sequence[Pair]) -> tuple[float, float, str]:
    """Where the name of a level line covers least of what is drawn: ``(x, y, anchor)``."""
    wide = width_of(rule.label)
    first, last = frame.x.start + 6, frame.x.end - wide
    ends = [(first, "start"), (frame.x.end, "end")]
    if rule.at != "start":
        ends.reverse()
    between = [(first + (last - first) * i / 12, "start") for i in range(1, 12)]
    # Above the line or below it; the base of the letters lies there.
    levels = [level for level in (at - 6, at + 14) if frame.y.end + 10 <= level <= frame.y.start - 4] or [at - 6]

    def covered(place: tuple[float, float, str]) -> int:
        x, y, anchor = place
        left = x if anchor == "start" else x - wide
        return sum(left - 5 < a < left + wide + 5 and y - 15 < b < y + 7 for a, b in drawn)

    # Of places that are as good, the first: on the side that was asked for, above the line.
    return min(((x, y, anchor) for x, anchor in ends + between for y in levels), key=covered)
