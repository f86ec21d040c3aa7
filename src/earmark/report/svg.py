"""Small pieces that the charts are drawn with: text that is escaped, numbers that are short, axes that are round.

Colours are never given here: every mark has a class, and the page's style sheet says what it looks like in light,
in dark and on paper. Coordinates are CSS pixels of a drawing about 480 wide, scaled to the room there is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from html import escape as escape_html

Format = Callable[[float], str]

FONT = 12.5


class Markup(str):
    """Text that is HTML already; templates put it in as it stands (the ``__html__`` protocol of Jinja2)."""

    __slots__ = ()

    def __html__(self) -> str:
        return self


# What XML does not allow in text, and HTML counts as an error: control characters, halves of surrogate pairs.
_UNPRINTABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def clean(value: str) -> str:
    """A text with whatever may not stand in a page replaced by the replacement character."""
    return _UNPRINTABLE.sub("\ufffd", value)


def escape(value: str) -> str:
    """A text as HTML and XML, also inside an attribute."""
    return escape_html(clean(value))


def percent(value: float) -> str:
    """0.723 as ``72%``: for axes."""
    return f"{100 * value:.0f}%"


def plain(value: float) -> str:
    """A short decimal: for axes."""
    return f"{value:.6g}"


def signed_points(value: float) -> str:
    """0.031 as ``+3``: differences in percentage points, for axes."""
    return "0" if abs(value) < 5e-4 else f"{100 * value:+.3g}".replace("-", "−")


def number(value: float) -> str:
    """A coordinate with one decimal at most."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def width_of(text: str, size: float = FONT) -> float:
    """About how wide a text is.

    Sans-serif letters average a little over half their size, and on phones the page writes a little larger.
    """
    return 0.58 * size * len(text)


def shorten(text: str, letters: int) -> str:
    """A text cut to so many letters, with an ellipsis where something is missing."""
    return text if len(text) <= letters else text[: max(1, letters - 1)].rstrip() + "…"


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round values inside a range, about ``count`` of them, in steps of 1, 2, 2.5 or 5 times a power of ten.

    Heckbert, *Nice Numbers for Graph Labels*, Graphics Gems, 1990.
    """
    span = high - low
    if not span > 0 or not math.isfinite(span):
        return [low]
    raw = span / max(1, count)
    power = 10.0 ** math.floor(math.log10(raw))
    step = min((power * factor for factor in (1, 2, 2.5, 5, 10)), key=lambda value: abs(math.log(value / raw)))
    first = math.ceil(low / step - 1e-9)
    last = math.floor(high / step + 1e-9)
    return [round(index * step, 12) for index in range(first, last + 1)]


def text(
    x: float,
    y: float,
    content: str,
    *,
    anchor: str = "start",
    css: str = "",
    size: float | None = None,
    turn: float = 0,
) -> str:
    """A text element; the content is escaped."""
    attributes = f' class="{css}"' if css else ""
    if anchor != "start":
        attributes += f' text-anchor="{anchor}"'
    if size is not None:
        attributes += f' font-size="{number(size)}"'
    if turn:
        attributes += f' transform="rotate({number(turn)} {number(x)} {number(y)})"'
    return f'<text x="{number(x)}" y="{number(y)}"{attributes}>{escape(content)}</text>'


def line(x1: float, y1: float, x2: float, y2: float, css: str) -> str:
    """A straight line."""
    return f'<line class="{css}" x1="{number(x1)}" y1="{number(y1)}" x2="{number(x2)}" y2="{number(y2)}"/>'


def rectangle(x: float, y: float, width: float, height: float, css: str, *, tip: str = "", more: str = "") -> str:
    """A rectangle, with a text that shows under the pointer."""
    shape = (
        f'<rect class="{css}" x="{number(x)}" y="{number(y)}" width="{number(max(0.0, width))}" '
        f'height="{number(max(0.0, height))}"{more}'
    )
    return f"{shape}/>" if not tip else f"{shape}><title>{escape(tip)}</title></rect>"


def circle(x: float, y: float, radius: float, css: str, *, tip: str = "") -> str:
    """A dot, with a text that shows under the pointer."""
    shape = f'<circle class="{css}" cx="{number(x)}" cy="{number(y)}" r="{number(radius)}"'
    return f"{shape}/>" if not tip else f"{shape}><title>{escape(tip)}</title></circle>"


def polyline(points: Iterable[tuple[float, float]], css: str, *, tip: str = "") -> str:
    """A line through points; NaN or infinite ones interrupt it."""
    parts: list[list[str]] = [[]]
    for x, y in points:
        if math.isfinite(x) and math.isfinite(y):
            parts[-1].append(f"{number(x)} {number(y)}")
        elif parts[-1]:
            parts.append([])
    path = "".join("M" + "L".join(part) for part in parts if part)
    if not path:
        return ""
    shape = f'<path class="{css}" d="{path}"'
    return f"{shape}/>" if not tip else f"{shape}><title>{escape(tip)}</title></path>"


def document(name: str, width: float, height: float, body: Iterable[str], *, title: str, description: str) -> Markup:
    """Wrap elements into one accessible picture.

    Parameters
    ----------
    name
        Unique in the page: the title's and the description's ids are made from it.
    width, height
        In CSS pixels; the picture scales to the room it gets.
    title, description
        What a person who cannot see it is told.
    """
    box = f"0 0 {number(width)} {number(height)}"
    return Markup(
        f'<svg class="chart" viewBox="{box}" style="max-width:{number(width * 1.15)}px" role="img" '
        f'aria-labelledby="{escape(name)}-t {escape(name)}-d">'
        f'<title id="{escape(name)}-t">{escape(title)}</title>'
        f'<desc id="{escape(name)}-d">{escape(description)}</desc>'
        f"{''.join(body)}</svg>"
    )


@dataclass(frozen=True)
class Scale:
    """A straight map from data to pixels.

    Parameters
    ----------
    low, high
        Ends in data.
    start, end
        The same ends in pixels (``start`` may be the larger one: upwards).
    """

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        span = self.high - self.low
        share = (value - self.low) / span if span else 0.5
        return self.start + share * (self.end - self.start)

    def held(self, value: float) -> float:
        """The pixel of a value, kept inside the ends."""
        return self(min(max(value, self.low), self.high))


def spread(values: Iterable[float], *, pad: float = 0.05, include: Sequence[float] = ()) -> tuple[float, float]:
    """A range around all finite values, a little wider than they are."""
    finite = [value for value in (*values, *include) if math.isfinite(value)]
    if not finite:
        return 0.0, 1.0
    low, high = min(finite), max(finite)
    room = (high - low) * pad or abs(high) * pad or 0.5
    return low - room, high + room


@dataclass(frozen=True)
class Frame:
    """A plot's area with its two axes.

    Parameters
    ----------
    x, y
        From data to pixels.
    x_format, y_format
        How tick values are written.
    x_label, y_label
        What the axes are.
    """

    x: Scale
    y: Scale
    x_format: Format = plain
    y_format: Format = plain
    x_label: str = ""
    y_label: str = ""
    x_ticks: int = 5
    y_ticks: int = 5

    @staticmethod
    def of(
        width: float,
        height: float,
        x_range: tuple[float, float],
        y_range: tuple[float, float],
        *,
        left: float = 46,
        right: float = 14,
        top: float = 12,
        bottom: float = 42,
        x_format: Format = plain,
        y_format: Format = plain,
        x_label: str = "",
        y_label: str = "",
        x_ticks: int = 5,
        y_ticks: int = 5,
    ) -> Frame:
        """The frame of a picture with these margins."""
        return Frame(
            Scale(*x_range, left, width - right),
            Scale(*y_range, height - bottom, top),
            x_format,
            y_format,
            x_label,
            y_label,
            x_ticks,
            y_ticks,
        )

    def draw(self) -> list[str]:
        """Grid lines, tick labels and axis names."""
        parts = []
        for value in ticks(self.y.low, self.y.high, self.y_ticks):
            at = self.y(value)
            parts.append(line(self.x.start, at, self.x.end, at, "grid"))
            parts.append(text(self.x.start - 8, at + 4, self.y_format(value), anchor="end", css="tick"))
        for value in ticks(self.x.low, self.x.high, self.x_ticks):
            at = self.x(value)
            parts.append(line(at, self.y.start, at, self.y.start + 4, "axis"))
            parts.append(text(at, self.y.start + 18, self.x_format(value), anchor="middle", css="tick"))
        parts.append(line(self.x.start, self.y.start, self.x.end, self.y.start, "axis"))
        if self.x_label:
            middle = (self.x.start + self.x.end) / 2
            parts.append(text(middle, self.y.start + 36, self.x_label, anchor="middle", css="name"))
        if self.y_label:
            parts.append(text(self.x.start - 40, self.y.end - 16, self.y_label, css="name"))
        return parts
