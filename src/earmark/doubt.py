"""Why an answer is not to be relied on."""

from __future__ import annotations

from enum import StrEnum


class Doubt(StrEnum):
    """Why an answer is unsure."""

    BETWEEN = "between genres"
    STRANGE = "unlike anything it has learnt"
    FAINT = "hardly any sound"
