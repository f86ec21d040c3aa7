"""What a person reads in the terminal: the table of results, genre over time, bars."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import IO, TYPE_CHECKING, Any

from earmark.doubt import Doubt
from earmark.library.worker import Outcome
from earmark.names import printable

if TYPE_CHECKING:
    from rich.text import Text

_SHADES = " ░▒▓█"
_PLAIN_SHADES = " .:+#"
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_LONGEST_TIMELINE = 60
_HEARD_WIDTH = 15  # 1:30 of 1:04:59
# What is nearest says nothing of a sound that is like nothing: the table says that in its place.
_DOUBTS: dict[str | None, str] = {Doubt.STRANGE: "unlike anything learnt", Doubt.FAINT: "hardly any sound"}


class TableWriter:
    """One line per track: genre, probability, the next genres, which part was heard, path.

    Parameters
    ----------
    stream
        Text stream; colours and shortened paths only where it is a terminal.
    labels
        All genres, for the width of the columns.
    top_k
        How many genres to show.
    timeline
        Whether to draw the genres over time below each track.
    """

    def __init__(self, stream: IO[str], labels: Sequence[str], *, top_k: int = 3, timeline: bool = False) -> None:
        from rich.console import Console

        self._stream = stream
        self._console = Console(file=stream, highlight=False, soft_wrap=True, emoji=False, markup=False)
        self._terminal = self._console.is_terminal
        self._top_k = top_k
        self._timeline = timeline
        self._label = max([len("unsure"), *map(len, labels)])
        longest = sorted((len(label) + 6 for label in labels), reverse=True)
        doubts = max(map(len, _DOUBTS.values()))
        self._next = max(doubts, sum(longest[: max(1, top_k - 1)]) - 2) if top_k > 1 else 0
        self._solid = can_print_blocks(stream)
        self._started = False

    def write(self, outcome: Outcome) -> None:
        """Add one file; those that failed are not in the table."""
        row = outcome.row
        if row is None:
            return
        self._start()
        ranked = list(row["probabilities"].items())
        others = ranked[:1] if row["unsure"] else []
        others = (others + ranked[1:])[: max(0, self._top_k - 1)]
        sure = "" if row["unsure"] and self._next else f"{row['confidence']:.0%}"
        answer = "unsure" if row["unsure"] else row["label"]
        # "0%" of a genre says nothing.
        said = ", ".join(f"{label} {probability:.0%}" for label, probability in others if probability > 0.005)
        said = _DOUBTS.get(row.get("doubt"), said)
        self._line(
            answer, sure, said, heard_part(row), printable(outcome.path), "yellow" if row["unsure"] else "bold"
        )
        if self._timeline:
            for line in draw_timeline(row["timeline"], solid=self._solid, width=self._console.width - 4):
                self._print(f"    {line}")
        if self._terminal:
            self._stream.flush()

    def finish(self) -> None:
        """A table needs no end."""

    def _start(self) -> None:
        if not self._started:
            self._started = True
            self._line("GENRE", "", "NEXT" if self._next else "", "HEARD", "TRACK", "dim", "dim")

    def _line(self, answer: str, sure: str, said: str, heard: str, path: str, style: str, rest: str = "") -> None:
        from rich.text import Text

        line = Text()
        line.append(f"{answer:<{self._label}} {sure:>4}  ", style)
        if self._next:
            line.append(f"{said:<{self._next}}  ", rest or "dim")
        line.append(f"{heard:<{_HEARD_WIDTH}}  ", rest)
        room = max(16, self._console.width - line.cell_len)
        line.append(end_of(path, room, solid=self._solid) if self._terminal else path, rest)
        self._print(line)

    def _print(self, line: Text | str) -> None:
        # Through the stream that was given: rich would go round the one that keeps a progress bar and lines apart.
        with self._console.capture() as captured:
            self._console.print(line)
        self._stream.write(captured.get())


def end_of(path: str, width: int, *, solid: bool = True) -> str:
    """The end of a path, which says most, in so many columns."""
    from rich.cells import cell_len

    if cell_len(path) <= width:
        return path
    while path and cell_len(path) >= width:
        path = path[1:]
    return ("…" if solid else "~") + path


def heard_part(row: Mapping[str, Any]) -> str:
    """How much of a track was heard: ``all of 0:30``, ``1:30 of 4:02``, ``1:30 of 11.2 h``."""
    spans = sorted((start, end) for start, end in row["heard"])
    total = max(float(row["declared"] or 0.0), spans[-1][1] if spans else 0.0)
    covered, reached = 0.0, 0.0
    for start, end in spans:
        covered += max(0.0, end - max(start, reached))
        reached = max(reached, end)
    part = "all" if covered >= total - 1 else clock(covered)
    said = f"{part} of {clock(total)}"
    if len(said) <= _HEARD_WIDTH:
        return said
    return f"{part if covered < 3600 or part == 'all' else f'{covered / 3600:.1f}'} of {total / 3600:.1f} h"


def hours(number: float) -> str:
    """Hours as ``12.5 h``; below one, as minutes."""
    return f"{number:,.1f} h" if number >= 1 else f"{60 * number:.0f} min"


def clock(seconds: float) -> str:
    """Seconds as ``4:02`` or ``1:04:02``."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def draw_timeline(points: Sequence[Mapping[str, Any]], *, solid: bool = True, width: int = 76) -> list[str]:
    """Genre over time as lines of text: one row per genre that matters, darker where it is more probable.

    Parameters
    ----------
    points
        Dictionaries with ``start``, ``seconds`` and ``probabilities``, one per window.
    solid
        Whether block characters can be printed.
    width
        Columns of the terminal.
    """
    if not points:
        return []
    means: dict[str, float] = {}
    for point in points:
        for label, value in point["probabilities"].items():
            means[label] = means.get(label, 0.0) + value / len(points)
    leaders = {max(point["probabilities"], key=point["probabilities"].get) for point in points}
    shown = sorted(means, key=lambda label: -means[label])
    shown = [label for label in shown if label in leaders or means[label] >= 0.1][:6]
    margin = max(map(len, shown))
    columns = max(10, min(_LONGEST_TIMELINE, width - margin - 2))
    end = max(point["start"] + point["seconds"] for point in points)
    shades = _SHADES if solid else _PLAIN_SHADES
    lines = []
    for label in shown:
        cells = []
        for column in range(columns):
            here = _at(points, end * (column + 0.5) / columns)
            level = 0.0 if here is None else here["probabilities"].get(label, 0.0)
            cells.append(shades[min(4, int(level * 5))])
        lines.append(f"{label:>{margin}} |{''.join(cells)}|")
    middle, last = clock(end / 2), clock(end)
    axis = "0:00".ljust(columns // 2 - len(middle) // 2) + middle
    return [*lines, " " * (margin + 2) + axis + last.rjust(columns - len(axis))]


def _at(points: Sequence[Mapping[str, Any]], time: float) -> Mapping[str, Any] | None:
    """The window heard at a time, if any."""
    for point in points:
        if point["start"] <= time < point["start"] + point["seconds"]:
            return point
    return None


def bar(share: float, width: int, *, solid: bool = True) -> str:
    """A horizontal bar for a share from 0 to 1."""
    share = min(1.0, max(0.0, share))
    if not solid:
        return "#" * round(share * width)
    eighths = round(share * width * 8)
    return "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()


def bars(rows: Sequence[tuple[str, float, str]], *, width: int, solid: bool = True) -> Text:
    """Labelled bars: (name, value, words behind), scaled to the largest."""
    from rich.cells import cell_len, set_cell_size
    from rich.text import Text

    margin = max((cell_len(name) for name, _, _ in rows), default=0)
    words = max((cell_len(text) for _, _, text in rows), default=0)
    room = max(10, width - margin - words - 4)
    most = max((value for _, value, _ in rows), default=0.0) or 1.0
    lines = Text()
    for name, value, text in rows:
        lines.append(set_cell_size(name, margin) + "  ")
        lines.append(bar(value / most, room, solid=solid), "cyan")
        lines.append(f" {text}\n")
    return lines


def can_print_blocks(stream: IO[str] | None = None) -> bool:
    """Whether a stream (default: standard output) takes block characters."""
    stream = stream or sys.stdout
    # A progress bar's stand-in for a stream does not tell its encoding.
    stream = getattr(stream, "rich_proxied_file", stream)
    try:
        (_SHADES + _EIGHTHS + "…").encode(getattr(stream, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
