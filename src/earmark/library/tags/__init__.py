"""Genres into the tags of music files: plan, look at the difference, apply, undo.

    from earmark.library import tags

    plan = tags.plan([("song.mp3", prediction)], mode="keep")
    report = tags.apply(plan)
    tags.undo(report.journal)

Only the genre field changes (and, on request, fields of Earmark's own). All other bytes are copied as they are.
"""

from earmark.library.tags.apply import Report, apply, latest_journal, undo
from earmark.library.tags.edit import TagError
from earmark.library.tags.plan import decide, needs_hearing, plan
from earmark.library.tags.plan_file import Entry, Mode, Options, Plan

__all__ = [
    "Entry",
    "Mode",
    "Options",
    "Plan",
    "Report",
    "TagError",
    "apply",
    "decide",
    "latest_journal",
    "needs_hearing",
    "plan",
    "undo",
]
