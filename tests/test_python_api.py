"""The Python face: what ``import earmark`` offers, and the examples of the documentation, run as they stand."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import earmark
from music import RATE, piece
from sounds import by_name, make

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "python.md"
EXAMPLES = re.findall(r"^```python\n(.*?)^```", DOCUMENT.read_text("utf-8"), re.M | re.S)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder as the documentation assumes it."""
    place = tmp_path_factory.mktemp("docs")
    (place / "Music").mkdir()
    make(place, by_name("mp3"), piece(0, 8.0), RATE, "song")
    for seed in range(1, 5):
        make(place / "Music", by_name("mp3"), piece(seed, 8.0), RATE, f"piece {seed}")
    (place / "Music" / "broken.mp3").write_bytes(b"")
    return place


@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_the_examples_run(
    number: int, folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    exec(compile(EXAMPLES[number], f"example {number}", "exec"), {"__name__": "__main__"})
    if number != len(EXAMPLES) - 1:
        assert capsys.readouterr().out.strip()
    else:
        assert (folder / "map.html").stat().st_size > 10_000
        assert (folder / "way.m3u8").read_text("utf-8").count("Music/piece") == 4


def test_everything_offered_is_there() -> None:
    assert len(EXAMPLES) == 7
    for name in earmark.__all__:
        assert getattr(earmark, name) is not None
        assert name in dir(earmark)
    with pytest.raises(AttributeError, match="nothing"):
        earmark.nothing  # noqa: B018


def test_the_import_is_light() -> None:
    code = "import sys, earmark; print([m for m in ('numpy', 'av', 'onnxruntime', 'pydantic') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_typing_and_names_agree() -> None:
    """What type checkers see and what is loaded at run time are the same things."""
    import ast

    tree = ast.parse(Path(earmark.__file__).read_text("utf-8"))
    imports = next(node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module for node in imports.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert seen == earmark._HOMES
    assert sorted([*seen, "__version__"]) == sorted(earmark.__all__)
