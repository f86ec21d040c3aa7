"""From data to one HTML file: the template engine, and the few value objects that templates know.

Everything that comes from data is escaped by the engine; only :class:`earmark.report.svg.Markup` passes as it is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from earmark import __version__
from earmark.errors import MissingExtraError
from earmark.files import atomic_write
from earmark.report.svg import Markup, clean, escape

if TYPE_CHECKING:
    from jinja2 import Environment

FOLDER = Path(__file__).parent / "templates"


@dataclass(frozen=True)
class Column:
    """A table's column; numbers stand to the right and sort from high to low first."""

    name: str
    number: bool = False


@dataclass(frozen=True)
class Cell:
    """A table's cell.

    Parameters
    ----------
    text
        What is shown, escaped by the template.
    value
        What it sorts by, where that differs from the text.
    before
        Ready markup in front of the text (a bar).
    faint
        Shown behind the text, in the softer colour.
    """

    text: str
    value: float | None = None
    before: Markup | None = None
    faint: str = ""

    def attributes(self, column: Column) -> Markup:
        """Class and sort value of the cell in this column."""
        css = ' class="n"' if column.number else ""
        given = self.value is not None and math.isfinite(self.value)
        return Markup(f'{css} data-v="{self.value:.9g}"' if given else css)

    def html(self) -> Markup:
        """The cell's content."""
        faint = f' <span class="faint">{escape(self.faint)}</span>' if self.faint else ""
        gap = " " if self.before else ""
        return Markup(f"{self.before or ''}{gap}{escape(self.text)}{faint}")


@dataclass(frozen=True)
class Table:
    """A table: caption, columns, and rows whose first cell is the row's heading."""

    caption: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    sortable: bool = True


@dataclass(frozen=True)
class Note:
    """A coloured remark: tone is ``good``, ``warn``, ``bad`` or empty."""

    text: str
    head: str = ""
    tone: str = ""


@dataclass(frozen=True)
class Tile:
    """One small figure at the top of a page."""

    name: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Facts:
    """A heading and name-value rows."""

    name: str
    rows: Sequence[tuple[str, str]] = field(default_factory=tuple)


def _clean(value: Any) -> Any:
    return clean(value) if type(value) is str else value


@cache
def _environment() -> Environment:
    try:
        from jinja2 import Environment, FileSystemLoader, StrictUndefined
    except ImportError as error:
        raise MissingExtraError("Writing report pages", "train") from error
    return Environment(
        loader=FileSystemLoader(FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_clean,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """Fill a template of this package; style and script are put inline.

    Raises
    ------
    MissingExtraError
        If Jinja2 is not installed.
    """
    environment = _environment()
    return environment.get_template(template).render(
        version=__version__,
        style=Markup((FOLDER / "style.css").read_text(encoding="utf-8")),
        script=Markup((FOLDER / "page.js").read_text(encoding="utf-8")),
        **values,
    )


def write_page(path: Path | str, html: str) -> Path:
    """Write a page atomically and return where."""
    path = Path(path)
    with atomic_write(path, "w") as handle:
        handle.write(html)
    return path
