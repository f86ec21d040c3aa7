"""What charts are made of: the data of each mark, the axis, and the legend.

Colours are numbers 1 to 8 of the page's palette.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from earmark.report.svg import Format, circle, line, percent, plain, rectangle, text, width_of

Pair = tuple[float, float]


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Parameters
    ----------
    points
        ``(x, y)`` in data; NaN interrupts the line.
    label
        In the legend; empty: not there.
    colour
        1..8.
    style
        ``bold``, ``thin`` (one of many), ``dashed``.
    dots
        Whether each point gets a dot.
    sizes
        The dots' radii, where they are not all the same.
    tip
        Shown under the pointer.
    """

    points: Sequence[Pair]
    label: str = ""
    colour: int = 1
    style: str = "bold"
    dots: bool = False
    sizes: Sequence[float] = ()
    tip: str = ""


@dataclass(frozen=True)
class Band:
    """A shaded band between two lines: ``(x, low, high)`` in data."""

    points: Sequence[tuple[float, float, float]]
    colour: int = 1


@dataclass(frozen=True)
class Rule:
    """A reference line across the plot, at a value of one axis, with its name written on it.

    Parameters
    ----------
    axis
        ``y`` for a level line, ``x`` for an upright one.
    at
        Where the name of a level line stands: ``end`` or ``start``.
    """

    value: float
    label: str = ""
    axis: str = "y"
    at: str = "end"


@dataclass(frozen=True)
class Bar:
    """One bar: its value, the interval around it, its colour, and what shows under the pointer."""

    value: float
    low: float | None = None
    high: float | None = None
    colour: int = 1
    tip: str = ""


@dataclass(frozen=True)
class BarRow:
    """One row of a bar chart: a name, one bar or several, and dots ``(value, colour, tip)`` on it."""

    label: str
    bars: Sequence[Bar]
    dots: Sequence[tuple[float, int, str]] = ()


@dataclass(frozen=True)
class Whisker:
    """One row of an interval chart: a dot with its interval, NaN ends where there is none."""

    label: str
    value: float
    low: float
    high: float
    colour: int = 1
    note: str = ""
    tip: str = ""


@dataclass(frozen=True)
class Point:
    """One dot of a scatter chart."""

    x: float
    y: float
    colour: int = 1
    tip: str = ""
    radius: float = 3.5


@dataclass(frozen=True)
class Mark:
    """A named place on a number line; ``strong`` ones are the subject, the others are for comparison."""

    value: float
    label: str
    note: str = ""
    strong: bool = False


@dataclass(frozen=True)
class Axis:
    """An axis: its name, how values are written, and its range (None: from the data)."""

    label: str = ""
    format: Format = plain
    range: Pair | None = None
    ticks: int = 5


PERCENT = Axis(format=percent, range=(0.0, 1.0))


@dataclass
class Legend:
    """Names and colours in a row, broken into lines where the room ends."""

    width: float
    entries: list[tuple[str, int, str]] = field(default_factory=list)

    def draw(self, left: float) -> tuple[list[str], float]:
        """Elements and the height they take."""
        parts, x, y = [], left, 14.0
        for label, colour, style in self.entries:
            need = 30 + width_of(label) + 14
            if x + need > self.width and x > left:
                x, y = left, y + 20
            if style == "box":
                parts.append(rectangle(x, y - 10, 14, 11, f"f{colour}"))
            elif style == "dot":
                parts.append(circle(x + 8, y - 4, 4.5, f"dot d{colour}"))
            else:
                parts.append(line(x, y - 4, x + 20, y - 4, f"line s{colour} {style}"))
            parts.append(text(x + 26, y, label, css="legend"))
            x += need
        return parts, (y + 10 if self.entries else 0.0)
