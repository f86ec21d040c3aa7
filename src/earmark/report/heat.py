"""A heat map with a number in each cell."""

from __future__ import annotations

from collections.abc import Sequence

from earmark.report.svg import FONT, Markup, document, plain, rectangle, shorten, text, width_of

# From this share of the darkest colour on, numbers in a heat map are written in the other ink. The palette of the
# page is chosen so that both inks reach a contrast of 4.5 to 1 at this share, in light and in dark.
SWITCH_INK = 0.64


def heat_map(
    name: str,
    matrix: Sequence[Sequence[float]],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    title: str,
    description: str = "",
    row_axis: str = "",
    column_axis: str = "",
    shades: Sequence[Sequence[float]] | None = None,
    numbers: Sequence[Sequence[str]] | None = None,
    tips: Sequence[Sequence[str]] | None = None,
    diagonal: bool = True,
) -> Markup:
    """Cells shaded by a share, with a number in each.

    Parameters
    ----------
    matrix
        Values, one list per row.
    shades
        0..1 per cell; None: the value's share of its row.
    numbers
        Text per cell; None: the value. Left out above 24 columns, where they would not be legible.
    diagonal
        Whether the diagonal is a good thing and gets its own colour (a confusion matrix).
    """
    shades = shades or [[v / (sum(row) or 1.0) for v in row] for row in matrix]
    wide = len(columns)
    cell = 46.0 if wide <= 12 else max(9.0, 552.0 / wide)
    size = min(14.0, cell * 0.32)
    letters = 14
    left = 30 + max((width_of(shorten(label, letters)) for label in rows), default=40)
    top = 26 + min(90.0, max((width_of(shorten(label, letters)) for label in columns), default=40) * 0.75)
    width = left + cell * wide + 34
    parts = []
    label_size = min(FONT, cell * 0.9)
    for j, label in enumerate(columns):
        x = left + cell * (j + 0.5)
        parts.append(text(x - 2, top - 8, shorten(label, letters), css="label", turn=-42, size=label_size))
    for i, label in enumerate(rows):
        y = top + cell * i
        parts.append(
            text(left - 8, y + cell / 2 + 4, shorten(label, letters), anchor="end", css="label", size=label_size)
        )
        for j, value in enumerate(matrix[i]):
            shade = min(1.0, max(0.0, shades[i][j]))
            hue = "right" if diagonal and i == j else "wrong"
            tip = tips[i][j] if tips else f"{label}, {columns[j]}: {plain(value)}"
            parts.append(rectangle(left + cell * j, y, cell - 1.5, cell - 1.5, "cell"))
            if shade > 0:
                more = f' fill-opacity="{shade:.2f}"'
                parts.append(rectangle(left + cell * j, y, cell - 1.5, cell - 1.5, f"heat {hue}", more=more))
            if wide <= 24:
                ink = "none" if value == 0 else "over" if shade >= SWITCH_INK else "under"
                shown = numbers[i][j] if numbers else plain(value)
                at = (left + cell * (j + 0.5) - 0.75, y + cell / 2 + size * 0.36)
                parts.append(text(*at, shown, anchor="middle", css=f"ink {ink}", size=size))
            # The transparent cell on top carries the text under the pointer, over number and shade alike.
            parts.append(rectangle(left + cell * j, y, cell, cell, "hit", tip=tip))
    height = top + cell * len(rows) + (26 if column_axis or row_axis else 6)
    if row_axis:
        parts.append(text(left - 8, top - 8, row_axis, anchor="end", css="name"))
    if column_axis:
        parts.append(text(left + cell * wide / 2, height - 6, column_axis, anchor="middle", css="name"))
    return document(name, width, height, parts, title=title, description=description)
