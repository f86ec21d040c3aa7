"""The table of a measurement as Markdown, made from the numbers and never by hand."""

from __future__ import annotations

from pathlib import Path

from earmark.errors import InputError
from earmark.files import atomic_write
from earmark.metrics import Interval
from earmark.robustness.measure import LARGE, Robustness, Row


def markdown(found: Robustness) -> str:
    """The table, and the lines that are needed to read it."""
    how = (
        "each by a model that knows neither the clip nor its artist nor its recording"
        if found.out_of_fold
        else "by a model that HAS LEARNT from them: the figures flatter it"
        if found.trained_on
        else "by one model"
    )
    clean = found.rows[0]
    lines = [
        f"{len(found.clips)} clips of {found.dataset} in {len(set(found.groups))} groups, heard {how}. Differences "
        "to the clean sound are in points of accuracy, with paired 95 % intervals by bootstrap over groups; "
        f"a version that shifts by more than {100 * LARGE:.0f} points is marked.",
        "",
        "| version | what is done | accuracy | difference | other answer | right genre's probability | answered | "
        "right of those |",
        "|---|---|---|---|---|---|---|---|",
        *(_line(row, first=row is clean) for row in found.rows),
    ]
    return "\n".join(lines) + "\n"


def write_markdown(found: Robustness, path: Path | str) -> Path:
    """Write the table to a file of its own and return where."""
    path = Path(path)
    with atomic_write(path, "w") as handle:
        handle.write(markdown(found))
    return path


def fill(path: Path | str, name: str, text: str) -> None:
    """Put text between the marks ``<!-- measured: NAME -->`` and ``<!-- /measured: NAME -->`` of a file.

    Raises
    ------
    InputError
        If the file cannot be read, or does not have each mark once and in this order.
    """
    path = Path(path)
    begin, end = f"<!-- measured: {name} -->", f"<!-- /measured: {name} -->"
    try:
        held = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read ({error}).") from error
    if held.count(begin) != 1 or held.count(end) != 1 or held.index(begin) > held.index(end):
        raise InputError(f"{path} needs the lines {begin} and {end}, once each and in this order.")
    before, rest = held.split(begin)
    with atomic_write(path, "w") as handle:
        handle.write(f"{before}{begin}\n\n{text}\n{end}{rest.split(end)[1]}")


def _line(row: Row, *, first: bool) -> str:
    cells = [row.name, row.detail, f"{100 * row.accuracy.value:.1f} {_ends(row.accuracy, '.1f')}"]
    if first:
        cells += ["", "", ""]
    else:
        mark = "**" if row.large else ""
        cells += [
            f"{mark}{_signed(row.difference.value)}{mark} {_ends(row.difference, '+.1f')}",
            f"{100 * row.changed.value:.0f} % {_ends(row.changed, '.0f')}",
            f"{_signed(row.probability.value)} {_ends(row.probability, '+.1f')}",
        ]
    precision = f"{100 * row.precision:.0f} %" if row.precision == row.precision else "–"
    cells += [f"{100 * row.answered:.0f} %", precision]
    return f"| {' | '.join(cells)} |"


def _signed(value: float) -> str:
    return f"{100 * value:+.1f}".replace("-", "−")


def _ends(interval: Interval, form: str) -> str:
    if not interval.known:
        return ""
    return f"({100 * interval.low:{form}} to {100 * interval.high:{form}})".replace("-", "−")
