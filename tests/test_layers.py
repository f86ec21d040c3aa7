"""The way data goes through the package: nothing imports what comes after it (docs/architecture.md)."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

import earmark

ROOT = Path(earmark.__file__).parent
ORDER = (
    "audio", "spectrogram", "music", "dataset", "folds", "models", "training", "crossval", "bundle", "predict",
    "library", "server", "cli",
)  # fmt: skip
# What needs [train] and what hears without it.
TRAINS = {"torch", "transformers", "sklearn", "onnx", "jinja2", "matplotlib"}
HEARS = ("audio", "spectrogram", "music", "bundle", "predict", "library", "listen")


def modules() -> dict[str, Path]:
    """Every module by its dotted name within the package."""
    found = {}
    for path in ROOT.rglob("*.py"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(part for part in parts if part != "__init__")] = path
    return found


def imported(path: Path) -> Iterator[str]:
    """What a module imports anywhere in it, but for type checkers."""
    waiting: list[ast.AST] = [ast.parse(path.read_text("utf-8"))]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        waiting += ast.iter_child_nodes(node)


@cache
def room(name: str) -> frozenset[str]:
    """The rooms, packages and modules at the top, that a room imports from, and the other packages that it needs."""
    found = set()
    for module, path in modules().items():
        if module.partition(".")[0] == name:
            for target in imported(path):
                package, _, rest = target.partition(".")
                within = rest.partition(".")[0]
                found.add(within if package == "earmark" and within in rooms() else package)
    return frozenset(found - {name, "earmark"})


@cache
def rooms() -> frozenset[str]:
    return frozenset(name.partition(".")[0] for name in modules()) - {""}


def reached(name: str) -> set[str]:
    """All that a room comes to, through any number of others."""
    found: set[str] = set()
    waiting = [name]
    while waiting:
        for other in room(waiting.pop()) - found:
            found.add(other)
            if other in rooms():
                waiting.append(other)
    return found


@pytest.mark.parametrize("place", range(len(ORDER)))
def test_nothing_imports_upward(place: int) -> None:
    assert ORDER[place] in rooms()
    assert not reached(ORDER[place]) & set(ORDER[place + 1 :])


def test_the_order_can_be_seen_to_be_kept() -> None:
    assert {"audio", "bundle", "library", "predict", "server", "uvicorn"} <= reached("cli")


@pytest.mark.parametrize("name", HEARS)
def test_what_hears_needs_nothing_that_trains(name: str) -> None:
    assert not reached(name) & TRAINS


def test_every_room_is_on_the_plan() -> None:
    plan = (Path(__file__).parent.parent / "docs" / "architecture.md").read_text("utf-8")
    shown = set(re.findall(r"`([a-z_]+)(?:\.py|/)`", plan))
    assert shown == rooms() - {"data", "__main__"}
