"""What is wrong with a dataset is found, said in readable words, and decides the exit code."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
import typer
from typer.testing import CliRunner

from earmark.cli import data as cli
from earmark.data_check import Level, Report, check_dataset
from earmark.dataset import load_dataset
from earmark.errors import InputError
from music import RATE, piece


@pytest.fixture(scope="module")
def sown(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with one of everything that can be wrong."""
    root = tmp_path_factory.mktemp("sown") / "library"
    for number in range(6):
        path = root / ("jazz" if number < 4 else "rock") / f"{number}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
            file.artist = f"Artist {number % 3}"
            file.write(piece(number))
    (root / "opera").mkdir()
    soundfile.write(root / "opera" / "alone.wav", piece(20), RATE)
    (root / "jazz" / "empty.wav").write_bytes(b"")
    (root / "jazz" / "text [x].mp3").write_text("no sound " * 300)
    soundfile.write(root / "jazz" / "silent.wav", np.zeros(30 * RATE), RATE)
    soundfile.write(root / "jazz" / "short.wav", piece(21, 8.0), RATE)
    shutil.copy(root / "jazz" / "1.flac", root / "jazz" / "copy.wav")
    soundfile.write(root / "rock" / "cover.ogg", 0.4 * piece(2)[4 * RATE :], RATE)
    soundfile.write(root / "rock" / "later.ogg", 0.4 * piece(4)[7 * RATE :], RATE)
    broken = piece(22).copy()
    broken[100:200] = np.nan
    soundfile.write(root / "rock" / "nan.wav", broken, RATE, subtype="FLOAT")
    soundfile.write(root / "stray.wav", piece(23), RATE)
    return root


@pytest.fixture(scope="module")
def report(sown: Path, tmp_path_factory: pytest.TempPathFactory) -> Report:
    return check_dataset(sown, cache=tmp_path_factory.mktemp("cache"), jobs=2)


def test_all_that_was_sown_is_found_and_nothing_else(report: Report) -> None:
    found = {(finding.kind, finding.level, finding.clips) for finding in report.findings}
    assert found == {
        ("empty", Level.BAD, ("jazz/empty",)),
        ("not-audio", Level.BAD, ("jazz/text [x]",)),
        ("silent", Level.BAD, ("jazz/silent",)),
        ("wrong-suffix", Level.WARNING, ("jazz/copy",)),
        ("not-finite", Level.WARNING, ("rock/nan",)),
        ("short", Level.WARNING, ("jazz/short",)),
        ("duplicate", Level.WARNING, ("jazz/1", "jazz/copy")),
        ("label-conflict", Level.WARNING, ("jazz/2", "rock/cover")),
        ("same-recording", Level.NOTE, ("rock/4", "rock/later")),
        ("one-clip", Level.WARNING, ("opera/alone",)),
        ("few-groups", Level.WARNING, ()),
        ("unbalanced", Level.NOTE, ()),
        ("no-artist", Level.NOTE, ("jazz/short", "opera/alone", "rock/nan")),
        ("unlabelled", Level.WARNING, ("stray.wav",)),
    }
    assert report.bad and (report.clips, report.used) == (15, 12)
    assert [f.level for f in report.findings] == sorted(
        (f.level for f in report.findings), key=[Level.BAD, Level.WARNING, Level.NOTE].index
    )
    assert report.labels == {"jazz": 6, "opera": 1, "rock": 5} and report.most_folds == 1


def test_every_finding_says_what_and_what_is_done(report: Report, sown: Path) -> None:
    for finding in report.findings:
        assert finding.what.endswith(".") and finding.action.endswith(".")
        assert str(sown) not in finding.what
    sentences = {finding.kind: finding.what for finding in report.findings}
    assert sentences["wrong-suffix"].startswith("jazz/copy.wav: The name ")
    assert "labelled 'jazz' and 'rock'" in sentences["label-conflict"]


def test_a_good_dataset_has_nothing_bad(tmp_path: Path) -> None:
    for number in range(12):
        path = tmp_path / "music" / ("a" if number < 6 else "b") / f"{number}.flac"
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
            file.artist = f"Artist {number}"
            file.write(piece(number))
    report = check_dataset(tmp_path / "music", cache=tmp_path / "cache")
    assert report.findings == () and not report.bad and report.most_folds == 6
    assert report.seconds == pytest.approx(360.0)


def test_a_dataset_of_nothing_but_bad_files_is_listed_too(tmp_path: Path) -> None:
    for name in ("a/1.wav", "a/2.wav", "b/1.wav"):
        (tmp_path / "music" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "music" / name).write_bytes(b"")
    report = check_dataset(tmp_path / "music", cache=tmp_path / "cache")
    assert [finding.kind for finding in report.findings] == ["empty"] * 3 and report.used == 0


def test_gtzan_without_sound_is_checked_by_what_is_known() -> None:
    report = check_dataset("gtzan")
    kinds = [finding.kind for finding in report.findings]
    assert not report.bad and report.seconds is None and report.most_folds == 9
    assert kinds.count("label-conflict") == 1 and set(kinds) == {
        "duplicate", "label-conflict", "same-recording", "large-group", "no-artist",
    }  # fmt: skip
    conflict = next(finding for finding in report.findings if finding.kind == "label-conflict")
    assert conflict.clips == ("metal.00058", "rock.00016")


# --- the commands ------------------------------------------------------------------------------------------------


def run(*arguments: object, cache: Path) -> tuple[int, str]:
    app = typer.Typer()
    cli.register(app)
    environment = {"EARMARK_CACHE": str(cache), "COLUMNS": "80", "TERM": "dumb"}
    result = CliRunner().invoke(app, ["data", *map(str, arguments)], env=environment)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.output


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cli-cache")


def test_the_check_reads_well_at_80_columns(sown: Path, cache: Path) -> None:
    code, text = run("check", sown, "--jobs", 1, cache=cache)
    assert code == 1
    assert max(len(line.rstrip()) for line in text.splitlines()) <= 80
    assert "not audio\n  jazz/text [x].mp3 is not a sound file that Earmark knows" in text
    assert "→ Left out." in text
    assert text.rstrip().endswith("library: 15 clips, 3 left out, 3 genres, 6.0 minutes, at most 1 fold by group")


def test_the_check_as_json_holds_everything(sown: Path, cache: Path, report: Report) -> None:
    code, text = run("check", sown, "--format", "json", "--jobs", 1, cache=cache)
    assert code == 1
    loaded = json.loads(text)
    assert len(loaded["findings"]) == len(report.findings) and loaded["used"] == 12
    assert loaded["findings"][0].keys() == {"kind", "level", "clips", "what", "action"}


def test_build_then_show_and_check_the_archive(sown: Path, cache: Path, tmp_path: Path) -> None:
    code, text = run("build", sown, "-o", tmp_path / "x.npz", "--jobs", 1, cache=cache)
    assert code == 1 and text.count("left out: ") == 3 and "12 clips, " in text
    dataset = load_dataset(tmp_path / "x.npz")
    assert len(dataset) == 12 and dataset.spectrograms is not None
    code, text = run("show", tmp_path / "x.npz", cache=cache)
    assert code == 0 and text.startswith("library: 12 clips, 3 genres, 5.5 minutes\nspectrograms: mel, 128 x 387")
    assert "6 clips are cut from 3 recordings" in text
    assert run("check", tmp_path / "x.npz", cache=cache)[0] == 0
    code, text = run("show", sown, "--format", "json", cache=cache)
    summary = json.loads(text)
    assert code == 0 and summary["clips"] == 15 and summary["spectrograms"] is None
    assert summary["labels"][0] == {"label": "jazz", "clips": 9, "groups": 7, "largest_group": 2}
    code, text = run("build", sown, "-o", tmp_path / "y.npz", "--kind", "stft", "--jobs", 1, cache=cache)
    assert load_dataset(tmp_path / "y.npz").spectrograms.shape == (12, 1025, 1292)


def test_what_the_commands_do_not_understand(tmp_path: Path, cache: Path) -> None:
    with pytest.raises(InputError, match=r"does not end in \.npz"):
        run("build", tmp_path, "-o", tmp_path / "x.zip", cache=cache)
    with pytest.raises(InputError, match="no sound files"):
        run("build", "gtzan", "-o", tmp_path / "x.npz", cache=cache)
    assert list(tmp_path.iterdir()) == []


def test_the_area_imports_nothing_heavy() -> None:
    code = "import sys; import earmark.cli.data; print([m for m in ('numpy', 'av', 'soundfile') if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
