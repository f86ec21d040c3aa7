"""``earmark tags``: what is said, what is written, exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner, Result

pytest.importorskip("mutagen")

from earmark.cli import app
from earmark.errors import EarmarkError, InputError
from tag_files import content, ffmpeg_tags, make

NAMES = ("none.mp3", "id3v24.mp3", "bare.flac", "old-genre.m4a")


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder to work in, with a data folder of its own."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setattr("earmark.library.tags.journal.folder", lambda: tmp_path / "data" / "tag-journals")
    (tmp_path / "music").mkdir()
    rows = []
    for name in NAMES:
        make(name, tmp_path / "music")
        row = {"path": f"music/{name}", "label": "hiphop", "confidence": 0.7, "unsure": False, "bundle": "ab" * 32}
        rows.append(row | {"probabilities": {"hiphop": 0.7, "pop": 0.3}})
    rows.append({"path": "music/none.wav", "problem": "missing", "reason": "music/none.wav: there is no such file."})
    (tmp_path / "heard.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return tmp_path


def earmark(*arguments: str, code: int = 0) -> Result:
    result = CliRunner().invoke(app, ["tags", *arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.output
    return result


def test_plan_apply_undo(here: Path) -> None:
    said = earmark("plan", "--predictions", "heard.jsonl", code=1)
    assert said.stdout.splitlines() == [
        str(here / "music"),
        "  none.mp3  no genre → Hip-Hop  hiphop 0.70",
        "  bare.flac  no genre → Hip-Hop  hiphop 0.70",
        "5 files: 2 to write, 2 have a genre, 1 failed.",
        "No file was changed. To write: earmark tags apply earmark-tags.jsonl",
    ]
    assert said.stderr == f"failed: {here}/music/none.wav: There is no such file.\n"
    assert (here / "music" / "none.mp3").read_bytes() == content("none.mp3")

    said = earmark("apply", "earmark-tags.jsonl")
    assert said.stdout.splitlines() == ["2 files: 2 written.", "To take it back: earmark tags undo"]
    assert ffmpeg_tags(here / "music" / "none.mp3")["genre"] == "Hip-Hop"
    assert earmark("apply", "earmark-tags.jsonl").stdout == "2 files: 0 written, 2 already had their genre.\n"

    assert earmark("undo").stdout.splitlines()[1] == "2 files: 2 as before, byte for byte."
    for name in NAMES:
        assert (here / "music" / name).read_bytes() == content(name)
    with pytest.raises(InputError, match="nothing to undo"):
        earmark("undo")


def test_options_reach_the_library(here: Path) -> None:
    (here / "words.toml").write_text('[hiphop]\nname = "Rap"\n')
    options = ("--mode", "replace", "--top-k", "2", "--threshold", "0.2", "--separator", " + ", "--id3", "2.3")
    earmark("plan", "music", "--predictions", "heard.jsonl", "--vocabulary", "words.toml", "--fields", *options,
            "-o", "my.plan", code=1)  # fmt: skip
    earmark("apply", "my.plan", "--journal", "my.journal", "--keep-mtime")
    tags = ffmpeg_tags(here / "music" / "none.mp3")
    assert tags["genre"] == "Rap + Pop"
    assert tags["earmark_probabilities"] == "hiphop 0.70, pop 0.30"
    assert tags["earmark_model"] == "ab" * 8
    assert (here / "music" / "none.mp3").read_bytes()[:4] == b"ID3\x03"
    assert not (here / "data").exists()
    assert "my.journal" in earmark("undo", "my.journal").stdout


def test_only_the_named_folders(here: Path) -> None:
    (here / "other").mkdir()
    (here / "music" / "none.mp3").rename(here / "other" / "none.mp3")
    rows = (here / "heard.jsonl").read_text().replace("music/none.mp3", "other/none.mp3")
    (here / "heard.jsonl").write_text(rows)
    assert "1 file: 1 to write." in earmark("plan", "other", "--predictions", "heard.jsonl").stdout
    assert "1 file: 1 to write." in earmark("plan", "music/bare.flac", "--predictions", "heard.jsonl").stdout


def test_what_stays_is_shown_on_request(here: Path) -> None:
    said = earmark("plan", "--predictions", "heard.jsonl", "--all", "--mode", "add", "--threshold", "0.9", code=1)
    assert "  id3v24.mp3  Pop  below the threshold (hiphop 0.70)" in said.stdout
    assert "There is nothing to write. The reasons are in earmark-tags.jsonl." in said.stdout


def test_a_failed_file_gives_exit_code_1(here: Path) -> None:
    earmark("plan", "--predictions", "heard.jsonl", code=1)
    (here / "music" / "none.mp3").chmod(0o444)
    (here / "music" / "bare.flac").write_bytes(b"something else")
    said = earmark("apply", "earmark-tags.jsonl", code=1)
    assert said.stdout == "2 files: 0 written, 1 skipped, 1 failed.\n"
    assert "bare.flac: it was changed after the plan was made" in said.stderr
    assert "none.mp3: It is read-only." in said.stderr


def test_a_reason_that_many_files_share_is_said_once(here: Path) -> None:
    rows = []
    for number in range(4):
        (here / "music" / f"{number}.tta").write_bytes(b"TTA1" + bytes(100))
        rows.append({"path": f"music/{number}.tta", "label": "pop", "confidence": 0.9})
    rows += [{"path": f"music/{name}", "label": "pop", "confidence": 0.9} for name in ("gone.mp3", "none.mp3")]
    (here / "more.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    said = earmark("plan", "--predictions", "more.jsonl", code=1)
    assert said.stderr.splitlines() == [
        f"failed: {here}/music/gone.mp3: It cannot be read (No such file or directory).",
        "failed: 4 files: Tags of TrueAudio files cannot be written.",
        "Each of them is in the plan, and shown by --all.",
    ]
    assert "6 files: 1 to write, 5 failed." in said.stdout
    assert (here / "earmark-tags.jsonl").read_text().count(".tta") == 4
    said = earmark("plan", "--predictions", "more.jsonl", "--all", code=1)
    assert said.stderr.count("failed: ") == said.stderr.count("\n") == 5


def test_obstacles_are_said_in_the_plan(here: Path) -> None:
    (here / "music" / "none.mp3").chmod(0o444)
    (here / "again.flac").hardlink_to(here / "music" / "bare.flac")
    said = earmark("plan", "--predictions", "heard.jsonl", code=1).stdout
    assert "    (as it is now, it cannot be written: it is read-only)" in said
    assert "    (as it is now, it cannot be written: it has 2 names (hard links)" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("plan",), "Name files or folders"),
        (("plan", "--predictions", "nowhere"), "cannot be read"),
        (("plan", "--predictions", "music/bare.flac"), "is no prediction"),
        (("plan", "music", "-o", "music/bare.flac"), "exists and is no plan"),
        (("plan", "--predictions", "heard.jsonl", "--vocabulary", "nowhere"), "vocabulary nowhere cannot be read"),
        (("plan", "elsewhere", "--predictions", "heard.jsonl"), "no sound files"),
        (("apply", "heard.jsonl"), "is not a plan"),
        (("undo", "heard.jsonl"), "is not a journal"),
    ],
)
def test_what_is_not_understood(arguments: tuple[str, ...], said: str) -> None:
    with pytest.raises(EarmarkError, match=said):
        earmark(*arguments)


def test_vocabulary_can_be_printed_and_used(here: Path) -> None:
    (here / "words.toml").write_text(earmark("vocabulary").stdout)
    earmark("plan", "--predictions", "heard.jsonl", "--vocabulary", "words.toml", code=1)


def test_columns_fit_a_terminal(here: Path) -> None:
    """As a person sees it: in a terminal of 80 columns, through the real command."""
    pty = pytest.importorskip("pty")
    long = here / "music" / ("A long name of a song 日本語のタイトル " * 2 + ".flac")
    (here / "music" / "bare.flac").rename(long)
    rows = (here / "heard.jsonl").read_text().replace("music/bare.flac", str(long))
    (here / "heard.jsonl").write_text(rows)
    code = "import sys; from earmark.cli import main; sys.argv = ['earmark', 'tags', *sys.argv[1:]]; main()"
    ours, theirs = pty.openpty()
    command = [sys.executable, "-c", code, "plan", "--predictions", "heard.jsonl", "--mode", "add", "--fields"]
    environment = os.environ | {"COLUMNS": "80", "TERM": "xterm", "NO_COLOR": "1"}
    with subprocess.Popen(command, stdout=theirs, stderr=subprocess.DEVNULL, env=environment) as process:
        os.close(theirs)
        said = b""
        while block := _read(ours):
            said += block
        assert process.wait() == 1
    from rich.cells import cell_len

    lines = [line.split("\x1b[1m")[-1].replace("\x1b[0m", "") for line in said.decode().replace("\r", "").split("\n")]
    assert max(cell_len(line) for line in lines if "/music" not in line) <= 80
    assert any("…" in line and ".flac" in line for line in lines)
    assert any("no genre → Hip-Hop + fields" in line for line in lines)


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65536)
    except OSError:  # how Linux says that the other side of a terminal is closed
        return b""


def test_from_the_sound_itself(here: Path) -> None:
    """Heard by worker processes with a small real model; the file that has a genre is not heard at all."""
    pytest.importorskip("onnx", reason="the small model for tests is made with onnx")
    from bundles import tiny_bundle

    bundle = tiny_bundle(here / "tiny.earmark")
    time = np.arange(22050 * 2) / 22050
    for name, hertz in (("low.wav", 110), ("high.flac", 7000)):
        soundfile.write(here / "music" / name, 0.3 * np.sin(2 * np.pi * hertz * time), 22050)
    (here / "music" / "text.mp3").write_text("no sound")
    said = earmark(
        "plan", "music", "--bundle", "tiny.earmark", "--jobs", "1", "--unsure", "--fields", "--all", code=1
    )
    assert "  low.wav  no genre → Bass + fields  bass" in said.stdout
    assert "  high.flac  no genre → Treble + fields  treble" in said.stdout
    assert "text.mp3" in said.stderr
    earmark("apply", "earmark-tags.jsonl")
    assert ffmpeg_tags(here / "music" / "low.wav")["earmark_model"] == bundle.id[:16]
    kept = earmark("plan", "music/low.wav", "music/id3v24.mp3", "--bundle", "nowhere.earmark")
    assert "2 files: 0 to write, 2 have a genre." in kept.stdout, "nothing had to be heard, so no model was needed"


def test_from_the_catalogue(here: Path) -> None:
    pytest.importorskip("onnx", reason="the small model for tests is made with onnx")
    from bundles import tiny_bundle
    from earmark.library.library import Library

    tiny_bundle(here / "tiny.earmark")
    time = np.arange(22050 * 2) / 22050
    soundfile.write(here / "music" / "low.wav", 0.3 * np.sin(2 * np.pi * 110 * time), 22050)
    with Library(here / "catalogue.db") as library:
        library.scan(here / "music", bundle=here / "tiny.earmark", jobs=1)
    said = earmark("plan", "--catalogue", "catalogue.db", "music")
    assert "  low.wav  no genre → Bass  bass" in said.stdout
