"""Earmark: hear music, name its genre."""

__version__ = "0.1.0"

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from earmark.errors import AudioError, EarmarkError, InputError, StoreError
    from earmark.library.library import Library
    from earmark.library.similar import Match
    from earmark.library.track import Track
    from earmark.listen import Listener, Moment
    from earmark.predict import Classifier, classify
    from earmark.prediction import Prediction

# What `import earmark` offers, and where it lives; loaded when it is first used, so that the import costs nothing.
_HOMES = {
    "AudioError": "earmark.errors",
    "Classifier": "earmark.predict",
    "EarmarkError": "earmark.errors",
    "InputError": "earmark.errors",
    "Library": "earmark.library.library",
    "Listener": "earmark.listen",
    "Match": "earmark.library.similar",
    "Moment": "earmark.listen",
    "Prediction": "earmark.prediction",
    "StoreError": "earmark.errors",
    "Track": "earmark.library.track",
    "classify": "earmark.predict",
}

__all__ = [
    "AudioError",
    "Classifier",
    "EarmarkError",
    "InputError",
    "Library",
    "Listener",
    "Match",
    "Moment",
    "Prediction",
    "StoreError",
    "Track",
    "__version__",
    "classify",
]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
