"""Folds, cross-validation, resuming after kill -9, and what the run says."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from earmark.crossval import crossval
from earmark.errors import InputError, StoreError
from earmark.folds import PROTOCOLS, default_protocol, group_numbers, inner_split, make_protocol
from earmark.learners import HeadLearner, learner_names, make_learner
from earmark.models.config import HeadConfig, TrainingConfig
from earmark.progress import Step
from earmark.runs import load_run
from learning import blobs

SMALL = HeadLearner(HeadConfig("tl-cnn-gru", units=4), TrainingConfig(epochs=12, batch_size=16, learning_rate=0.01))


def outcome(folder: Path) -> list[bytes]:
    return [(folder / name).read_bytes() for name in ("predictions.csv", "curves.csv", "folds.csv", "clips.csv")]


def test_random_folds_are_stratified_and_cover_every_clip_once() -> None:
    data = blobs()
    protocol = make_protocol(data, "random10", folds=5, seeds=[3, 4])
    assert protocol.folds_per_repeat == 5
    for repeat in (0, 1):
        tested = np.concatenate([fold.test for fold in protocol.folds if fold.repeat == repeat])
        assert sorted(tested) == list(range(60))
    for fold in protocol.folds:
        assert not set(fold.train) & set(fold.test)
        assert np.bincount(data.targets[fold.test]).tolist() == [4, 4, 4]


def test_grouped_folds_keep_artists_whole() -> None:
    data = blobs()
    groups = group_numbers(data)
    assert default_protocol(data) == "artist5"
    for fold in make_protocol(data).folds:
        assert not set(groups[fold.train]) & set(groups[fold.test])
        inner, held = inner_split(data.targets, groups, fold.train, 0)
        assert not set(groups[inner]) & set(groups[held])
        assert sorted([*inner, *held]) == sorted(fold.train)


def test_what_cannot_be_dealt_is_said_with_what_would_do() -> None:
    data = blobs(artists=3)
    with pytest.raises(InputError, match="--folds 3"):
        make_protocol(data, "artist5")
    with pytest.raises(InputError, match="--folds 20"):
        make_protocol(data, "random10", folds=21)
    with pytest.raises(InputError, match="at least 2 folds"):
        make_protocol(data, "random10", folds=1)
    with pytest.raises(InputError, match="Choose one of"):
        make_protocol(data, "artists")
    with pytest.raises(InputError, match="GTZAN"):
        make_protocol(data, "fault-filtered")
    with pytest.raises(InputError, match="its own number of folds"):
        make_protocol(data, "holdout", folds=3)
    lonely = data.select(np.flatnonzero((data.targets != 2) | (np.arange(60) == 2)))
    with pytest.raises(InputError, match="'genre2' has 1"):
        make_protocol(lonely, "random10")
    assert set(PROTOCOLS) == {"random10", "artist5", "fault-filtered", "holdout", "leave-one-group-out"}


def test_one_genre_is_nothing_to_learn() -> None:
    with pytest.raises(InputError, match="have one label, 'genre0'; learning needs at least 2 genres"):
        make_protocol(blobs(12, 1), "random10", folds=2)


def test_a_fold_file_is_followed_and_its_faults_are_named(tmp_path: Path) -> None:
    data = blobs(clips=12)
    path = tmp_path / "mine.csv"
    lines = [f"{clip.id},{'exclude' if n == 0 else n % 2}" for n, clip in enumerate(data.clips)]
    path.write_text("\n".join(["clip,fold", *lines]))
    protocol = make_protocol(data, path)
    assert [len(fold.test) for fold in protocol.folds] == [5, 6]
    assert all(0 not in fold.train for fold in protocol.folds)
    path.write_text("\n".join(["clip,fold", *lines[:-1]]))
    with pytest.raises(InputError, match=r"leaves out 1 of 12 clips, the first of them 'clip.011'"):
        make_protocol(data, path)
    path.write_text("\n".join(["clip,fold", *lines, "clip.999,1"]))
    with pytest.raises(InputError, match=r"line 14: the dataset has no clip 'clip.999'"):
        make_protocol(data, path)
    path.write_text("\n".join(["clip,fold", *lines, f"{data.clips[3].id},0"]))
    with pytest.raises(InputError, match="stands in two folds"):
        make_protocol(data, path)


def test_the_fault_filtered_split_of_gtzan() -> None:
    from earmark.dataset import load_dataset

    (fold,) = make_protocol(load_dataset("gtzan"), "fault-filtered").folds
    assert (len(fold.train), len(fold.test)) == (443 + 197, 290)


def test_a_run_tells_everything(tmp_path: Path) -> None:
    run = crossval(blobs(), SMALL, make_protocol(blobs(), "artist5"), tmp_path / "run", jobs=1, calibrate=True)
    assert run.metrics is not None
    assert run.metrics["accuracy"]["value"] > 0.5
    assert {test.test: test.passed for test in run.leaks} == {
        "shuffled labels give chance": True,
        "accuracy does not climb with fold order": True,
        "every fold begins from a fresh model": True,
        "no clip on two sides": True,
        "no recording on two sides": True,
        "no group on two sides": True,
        "nothing is fitted outside training": True,
        "not better than the labels allow": None,
    }
    assert all(fold["temperature"] > 0 for fold in run.info["folds"])
    assert {path.name for path in run.folder.iterdir()} == {
        "run.json", "clips.csv", "folds.csv", "curves.csv", "predictions.csv", "metrics.json", "leaks.json",
        "thumbnails.npz", "inner.csv",
    }  # fmt: skip


def test_side_by_side_gives_the_same_numbers(tmp_path: Path) -> None:
    protocol = make_protocol(blobs(), "random10", folds=3)
    alone, together = (crossval(blobs(), SMALL, protocol, tmp_path / str(jobs), jobs=jobs) for jobs in (1, 2))
    assert outcome(alone.folder) == outcome(together.folder)
    assert alone.leaks == together.leaks
    assert all(test.passed is not False for test in together.leaks)


def test_a_finished_run_is_read_and_another_refused(tmp_path: Path) -> None:
    data, out = blobs(), tmp_path / "run"
    first = make_protocol(data, "holdout")
    crossval(data, SMALL, first, out, leak_tests=False)
    before = (out / "run.json").stat().st_mtime_ns
    crossval(data, SMALL, first, out, leak_tests=False)
    assert (out / "run.json").stat().st_mtime_ns == before
    with pytest.raises(InputError, match="another finished run"):
        crossval(data, SMALL, make_protocol(data, "holdout", seeds=[1]), out, leak_tests=False)
    other = tmp_path / "full"
    other.mkdir()
    (other / "letter.txt").write_text("mine")
    with pytest.raises(InputError, match="not an empty folder"):
        crossval(data, SMALL, first, other)
    assert (other / "letter.txt").read_text() == "mine"


def test_every_learner_learns(tmp_path: Path) -> None:
    data = blobs()
    protocol = make_protocol(data, "artist5", folds=3)
    for name in learner_names():
        if name.startswith("tuned"):
            continue
        run = crossval(data, make_learner(name, TrainingConfig(epochs=5)), protocol, tmp_path / name, jobs=1)
        assert run.metrics is not None
        assert not [test for test in run.leaks if test.passed is False], name
    with pytest.raises(InputError, match="Choose one of"):
        make_learner("best")


KILLED = """
import sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from learning import blobs
from test_crossval import SLOW
import earmark.training
earmark.training.CHECKPOINT_SECONDS = 0.0
from earmark.crossval import crossval
from earmark.folds import make_protocol
if __name__ == "__main__":
    data = blobs()
    crossval(data, SLOW, make_protocol(data, "random10", folds=3), Path({out!r}), jobs=1, leak_tests=False)
"""
SLOW = HeadLearner(HeadConfig("tl-cnn-gru", units=32), TrainingConfig(epochs=25, batch_size=8, learning_rate=0.01))


@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9 on Windows")
def test_killed_within_a_fold_it_goes_on_to_the_same_result(tmp_path: Path) -> None:
    protocol = make_protocol(blobs(), "random10", folds=3)
    crossval(blobs(), SLOW, protocol, tmp_path / "whole", jobs=1, leak_tests=False)
    script = tmp_path / "killed.py"
    out = tmp_path / "killed"
    script.write_text(KILLED.format(tests=str(Path(__file__).parent), out=str(out)))
    # The kill falls into the second fold: the first one's result and a checkpoint are there to go on from.
    process = subprocess.Popen([sys.executable, str(script)])
    deadline = time.monotonic() + 100
    while not (out / "folds/r0-f01.checkpoint").exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, "it ended before it could be killed"
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "run.json").exists()
    first = (out / "folds" / "r0-f00.json").read_bytes()
    told: list[Step] = []
    run = crossval(blobs(), SLOW, protocol, out, jobs=1, leak_tests=False, progress=told.append)
    assert [step.note for step in told[:2]] == ["", "1 of 3 folds"]
    assert json.loads(first)["seconds"] == run.info["folds"][0]["seconds"], "the first fold was fitted again"
    resumed = next(step for step in told if "r0-f01 epoch" in step.note)
    assert "epoch 1," not in resumed.note, "the second fold was begun anew"
    assert outcome(out) == outcome(tmp_path / "whole")
    assert not (out / "folds").exists()
    assert not (out / "unfinished.json").exists()


def test_a_damaged_fold_or_checkpoint_is_said(tmp_path: Path) -> None:
    data, out = blobs(), tmp_path / "run"
    protocol = make_protocol(data, "random10", folds=2)
    crossval(data, SMALL, protocol, out, leak_tests=False, jobs=1)
    info = json.loads((out / "run.json").read_text())
    (out / "run.json").unlink()
    (out / "unfinished.json").write_text(json.dumps({"identity": info["identity"]}))
    (out / "folds").mkdir()
    (out / "folds" / "r0-f00.json").write_text("{")
    with pytest.raises(StoreError, match="damaged"):
        crossval(data, SMALL, protocol, out, leak_tests=False, jobs=1)
    (out / "folds" / "r0-f00.json").unlink()
    (out / "folds" / "r0-f00.checkpoint").write_bytes(b"nothing of use")
    with pytest.raises(StoreError, match="checkpoint"):
        crossval(data, SMALL, protocol, out, leak_tests=False, jobs=1)
    (out / "folds" / "r0-f00.checkpoint").unlink()
    assert crossval(data, SMALL, protocol, out, leak_tests=False, jobs=1).metrics == load_run(out).metrics
