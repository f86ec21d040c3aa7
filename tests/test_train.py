"""From sound on disk to a bundle that hears, through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from transformers import MobileNetV2Config, MobileNetV2Model

from earmark.bundle import load_bundle
from earmark.cli import main
from earmark.models.config import TrainingConfig
from earmark.predict import Classifier
from earmark.reproduce import GENRES, SYSTEMS, reproduce
from learning import blobs

RATE = 22050


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a MobileNetV2 of random weights."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("weights")
    network = MobileNetV2Model(MobileNetV2Config(tf_padding=True))
    # Statistics of some input, else the signal dies away on its way through fifty random layers.
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            module.momentum = 1.0
    with torch.no_grad():
        network.train()(torch.nn.functional.interpolate(torch.randn(8, 3, 16, 16), size=(256, 256)))
    network.eval().save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two genres that anybody can tell apart: low hums and high chirps; and one broken file."""
    folder = tmp_path_factory.mktemp("music")
    generator = np.random.default_rng(0)
    t = np.arange(4 * RATE) / RATE
    for genre, base in (("Hum", 110), ("Chirp", 3000)):
        (folder / genre).mkdir()
        for number in range(6):
            pitch = base * generator.uniform(0.8, 1.25)
            tone = np.sin(2 * np.pi * pitch * t) * (1 + np.sin(2 * np.pi * generator.uniform(1, 4) * t))
            tone += 0.01 * generator.standard_normal(len(t))
            soundfile.write(folder / genre / f"{number}.WAV", 0.3 * tone, RATE)
    (folder / "Hum" / "broken.mp3").write_bytes(b"this is no sound")
    return folder


def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, *words: object) -> tuple[int, str, str]:
    monkeypatch.setattr("sys.argv", ["earmark", *map(str, words)])
    with pytest.raises(SystemExit) as left:
        main()
    shown = capsys.readouterr()
    return int(left.value.code or 0), shown.out, shown.err


def test_train_then_classify(music, weights, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.setenv("EARMARK_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("EARMARK_BACKBONE", str(weights))
    out = tmp_path / "my.earmark"
    code, shown, errors = run(
        capsys, monkeypatch, "train", music, "-o", out, "--epochs", 15, "--folds", 2, "--jobs", 1
    )
    assert code == 1, "one file could not be used"
    assert "broken" in errors
    assert "Next: earmark classify" in shown
    assert load_bundle(out).labels == ("Chirp", "Hum")
    assert (tmp_path / "my.run" / "report.html").is_file()
    hears = Classifier(out)
    right = [hears.classify(path).label == path.parent.name for path in music.glob("*/*.WAV")]
    assert np.mean(right) >= 0.9
    code, shown, _ = run(
        capsys, monkeypatch, "classify", music / "Hum" / "0.WAV", "--bundle", out, "--format", "json"
    )
    assert code == 0
    assert "Hum" in shown


def test_reproduce_gives_the_reports_table(tmp_path: Path) -> None:
    found = reproduce(blobs(), tmp_path, training=TrainingConfig(epochs=3), jobs=1)
    rows = found.rows()
    assert [row["name"] for row in rows] == ["genre0", "genre1", "genre2", "accuracy"]
    assert [theirs for theirs, _ in rows[-1]["systems"]] == [0.53, 0.55, 0.71]
    assert json.loads((tmp_path / "reproduction.json").read_text())["systems"] == [s.name for s in SYSTEMS]
    assert [run.protocol["folds"] for run in found.runs] == [1, 1, 10]
    assert all(len(system.f1) == len(GENRES) for system in SYSTEMS)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["crossval", "nowhere"], "There is no dataset at nowhere"),
        (["crossval", "gtzan", "--model", "best"], "There is no model called 'best'"),
        (["crossval", "gtzan", "--protocol", "odd"], "There is no protocol 'odd'"),
        (["crossval", "gtzan", "--folds", "200", "--protocol", "random10"], "--folds 100"),
        (["crossval", "gtzan", "--epochs", "0"], "at least one epoch"),
        (["crossval", "gtzan", "--seeds", "a"], "whole numbers"),
        (["crossval", "gtzan", "--epochs", "many"], "--epochs"),
        (["train", "gtzan", "--backbone", "./none"], "config.json"),
        (["train", "gtzan", "--model", "resnet"], "There is no model called 'resnet'"),
        (["model", "summary", "--labels", "0"], "at least one genre"),
        (["classify", __file__, "--bundle", "none.earmark"], "no bundle at none.earmark"),
        (["frobnicate"], "No such command"),
        (["report", "nowhere"], "nowhere"),
    ],
)
def test_what_cannot_be_done_is_one_line_and_exit_code_2(words, sentence, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, errors = run(capsys, monkeypatch, *words)
    assert code == 2
    assert errors.startswith("earmark: ")
    assert errors.count("\n") == 1
    assert sentence in errors
    assert not list(tmp_path.iterdir()), "something was left behind"
