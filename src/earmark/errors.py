"""The errors that Earmark raises on purpose.

Every message is one sentence or two for a person: what is wrong, where, and what to do next. The command line
prints it as it stands and exits with 2; the HTTP face puts it into a problem document.
"""

from __future__ import annotations


class EarmarkError(Exception):
    """Base of all errors that come from outside: arguments, files, data, missing extras."""


class InputError(EarmarkError):
    """What was asked cannot be done with what was given (a wrong path, option, label or fold file)."""


class AudioError(EarmarkError):
    """One sound file cannot be used.

    Parameters
    ----------
    message
        The sentence for a person.
    problem
        A short, stable code for machines, one of :class:`earmark.audio.Problem`.
    """

    def __init__(self, message: str, problem: str) -> None:
        super().__init__(message)
        self.problem = problem


class StoreError(EarmarkError):
    """A file that Earmark wrote (store, run, bundle, catalogue) is damaged or comes from another version."""


class MissingExtraError(EarmarkError):
    """A package of an optional extra is not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra [{extra}]: pip install 'earmark[{extra}]'.")
        self.extra = extra
