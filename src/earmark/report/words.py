"""Numbers and times as a person reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any


def pct(value: float | None, digits: int = 1) -> str:
    """0.7234 as ``72.3``; a dash where there is no value."""
    return "–" if value is None or value != value else f"{100 * value:.{digits}f}"


def points(value: float, digits: int = 1) -> str:
    """0.031 as ``+3.1``, with a real minus sign."""
    text = f"{100 * value:+.{digits}f}"
    return text.replace("-", "−") if float(text) else f"{0:.{digits}f}"


def decimals(value: float | None, digits: int = 2) -> str:
    """A plain number; a dash where there is no value."""
    return "–" if value is None or value != value else f"{value:.{digits}f}"


def between(score: Mapping[str, Any], digits: int = 2) -> str:
    """``0.68 to 0.75``, or a dash where there is no interval."""
    if score.get("low") is None:
        return "–"
    return f"{score['low']:.{digits}f} to {score['high']:.{digits}f}"


def p_value(value: float) -> str:
    """A p-value with sensible digits; never zero."""
    return "< 0.0001" if value < 1e-4 else f"{value:.4f}" if value < 0.001 else f"{value:.3f}"


def thousands(value: float) -> str:
    """12345 as ``12,345``."""
    return f"{value:,.0f}"


def count(value: int, one: str, many: str | None = None) -> str:
    """``1 clip``, ``2 clips``."""
    return f"{value:,} {one if value == 1 else many or one + 's'}"


def listed(items: Sequence[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}" if items else ""


def duration(seconds: float | None) -> str:
    """Seconds as ``3 min 12 s``."""
    if seconds is None:
        return "–"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def when(stamp: str) -> str:
    """An ISO time as ``23 November 2026, 09:00 UTC``."""
    try:
        moment = datetime.fromisoformat(stamp)
    except ValueError:
        return stamp
    zone = moment.tzname() or ""
    return f"{moment.day} {moment:%B %Y, %H:%M} {zone}".strip()
