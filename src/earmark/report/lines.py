"""Lines and dots over a pair of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence

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
    under, over = _rules(frame, rules, [point for item in lines for point in item.points])
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
    under, over = _rules(frame, rules, [(p.x, p.y) for p in points])
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


def _rules(frame: Frame, rules: Sequence[Rule], points: Sequence[Pair]) -> tuple[list[str], list[str]]:
    """Reference lines and their names; the lines go below everything, the names on top."""
    lines, names = [], []
    for rule in rules:
        if rule.axis == "y":
            at = frame.y.held(rule.value)
            x, anchor = (frame.x.start + 6, "start") if rule.at == "start" else (frame.x.end, "end")
            lines.append(line(frame.x.start, at, frame.x.end, at, "rule"))
            # The name stands on the side of the line where fewer points are in its way.
            near = [b for a, b in points if abs(frame.x(a) - x) < width_of(rule.label)]
            above = sum(b > rule.value for b in near)
            down = 2 * above > len(near) and at + 18 < frame.y.start
            names.append(text(x, at + (14 if down else -6), rule.label, anchor=anchor, css="rule-name"))
        else:
            at = frame.x.held(rule.value)
            lines.append(line(at, frame.y.start, at, frame.y.end, "rule"))
            names.append(text(at + 5, frame.y.end + 10, rule.label, css="rule-name"))
    return lines, names
