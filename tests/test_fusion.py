"""Late fusion of saved runs: honest weights, nothing from the tested clips."""

from __future__ import annotations

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from earmark.crossval import crossval
from earmark.errors import InputError, StoreError
from earmark.folds import group_numbers, make_protocol
from earmark.fusion import combine, fit_weights, fuse
from earmark.learners import make_learner
from earmark.metrics import log_probabilities, softmax
from earmark.report import write_report
from earmark.run_files import read_inner
from earmark.runs import Run, load_run
from learning import blobs


def two_views(clips: int = 150) -> object:
    """Clips that two kinds of features each tell halfway, with errors of their own."""
    data = blobs(clips, spread=2.0)
    noise = np.random.default_rng(5).normal(0, 2.0, (clips, 12)).astype(np.float32)
    centres = np.random.default_rng(6).normal(size=(3, 12)).astype(np.float32)
    other = centres[data.targets] + noise
    return replace(data, features={**data.features, "mel_statistics": other})


def made(
    folder: Path, model: str, *, protocol: str = "artist5", shuffle: bool = False, calibrate: bool = True
) -> Run:
    data = two_views()
    dealt = make_protocol(data, protocol, folds=3)
    return crossval(
        data, make_learner(model), dealt, folder / f"{model}-{protocol}", jobs=1, calibrate=calibrate,
        leak_tests=False, shuffle_labels=shuffle,
    )  # fmt: skip


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Run, Run]:
    folder = tmp_path_factory.mktemp("runs")
    return made(folder, "mfcc-svm"), made(folder, "mel-logistic")


def accuracy(run: Run) -> float:
    assert run.metrics is not None
    return float(run.metrics["accuracy"]["value"])


def test_two_models_that_err_apart_are_better_together(runs: tuple[Run, Run], tmp_path: Path) -> None:
    fused = fuse(runs, tmp_path / "fused", command=["test"])
    assert accuracy(fused) > max(map(accuracy, runs)) + 0.01
    assert fused.model == "mfcc-svm + mel-logistic"
    assert [len(fold["weights"]) for fold in fused.info["folds"]] == [2] * 3
    assert fused.protocol == runs[0].protocol
    assert write_report(fused).stat().st_size > 10_000
    told = {test.test: test for test in fused.leaks}
    assert told["fusion weights are fitted inside training"].passed is True
    assert told["not better than the labels allow"].value == pytest.approx(accuracy(fused))


def test_a_model_with_itself_gives_the_same_answers(runs: tuple[Run, Run], tmp_path: Path) -> None:
    fused = fuse([runs[0], runs[0]], tmp_path / "self")
    assert fused.predictions is not None and runs[0].predictions is not None
    assert (fused.predictions.predicted == runs[0].predictions.predicted).all()
    equal = fuse([runs[0], runs[0]], tmp_path / "equal", weights="equal")
    assert equal.predictions is not None
    np.testing.assert_allclose(equal.predictions.probabilities, runs[0].predictions.probabilities, atol=1e-9)
    # The temperature was fitted on the same inner clips already, so there is nothing left to sharpen.
    for fold in fused.info["folds"]:
        assert sum(fold["weights"]) == pytest.approx(1, abs=0.02)


def test_weights_from_other_folds_come_to_the_same(runs: tuple[Run, Run], tmp_path: Path) -> None:
    inner, others = (fuse(runs, tmp_path / w, weights=w) for w in ("inner", "other-folds"))
    assert accuracy(others) == pytest.approx(accuracy(inner), abs=0.05)
    told = {test.test: test.passed for test in others.leaks}
    assert told["fusion weights are fitted inside training"] is None


def test_shuffled_labels_give_chance(tmp_path: Path) -> None:
    parts = [made(tmp_path, model, shuffle=True) for model in ("mfcc-svm", "mel-logistic")]
    assert accuracy(fuse(parts, tmp_path / "fused")) < 1 / 3 + 0.1


def test_tested_clips_have_no_say_in_the_weights(runs: tuple[Run, Run], tmp_path: Path) -> None:
    """Inner clips belong to the training side, groups whole; other predictions of tested clips change no weight."""
    groups = dict(zip((c.id for c in two_views().clips), group_numbers(two_views()), strict=True))
    for run in runs:
        for place, inner in read_inner(run.folder / "inner.csv", run.labels, run.clips).items():
            tested = {groups[clip] for clip in run.roles[place]["test"]}
            assert inner.clips and not tested & {groups[clip] for clip in inner.clips}
    before = [fold["weights"] for fold in fuse(runs, tmp_path / "one").info["folds"]]
    copy = tmp_path / "copy"
    shutil.copytree(runs[0].folder, copy)
    with (copy / "predictions.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    for row in rows:
        row.update({f"p:{label}": f"{float(label == runs[0].labels[0])}" for label in runs[0].labels})
        row["predicted"] = runs[0].labels[0]
    with (copy / "predictions.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    after = [fold["weights"] for fold in fuse([load_run(copy), runs[1]], tmp_path / "two").info["folds"]]
    assert after == before


def test_what_does_not_belong_together_is_refused(runs: tuple[Run, Run], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least two"):
        fuse(runs[:1], tmp_path / "a")
    with pytest.raises(InputError, match="same folds"):
        fuse([runs[0], made(tmp_path, "mel-logistic", protocol="random10")], tmp_path / "b")
    bare = made(tmp_path, "mel-logistic", calibrate=False)
    with pytest.raises(InputError, match="--calibrate"):
        fuse([runs[0], bare], tmp_path / "c")
    assert accuracy(fuse([runs[0], bare], tmp_path / "d", weights="equal")) > 0.5
    with pytest.raises(InputError, match="choose one of inner"):
        fuse(runs, tmp_path / "f", weights="best")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="not an empty folder"):
        fuse(runs, tmp_path / "d")
    shutil.copytree(runs[1].folder, tmp_path / "torn")
    text = (tmp_path / "torn" / "inner.csv").read_text().replace("clip.0", "clip.9")
    (tmp_path / "torn" / "inner.csv").write_text(text)
    with pytest.raises(StoreError, match=r"inner\.csv"):
        fuse([runs[0], load_run(tmp_path / "torn")], tmp_path / "e")


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10_000), models=st.integers(1, 4), skill=st.floats(0, 3))
def test_the_weights_are_the_best_there_are(seed: int, models: int, skill: float) -> None:
    rng = np.random.default_rng(seed)
    targets = rng.integers(0, 4, 60)
    logits = rng.normal(size=(models, 60, 4)) + skill * np.eye(4)[targets] * rng.uniform(0, 1, (models, 1, 1))
    logs = log_probabilities(softmax(logits))
    best = fit_weights(logs, targets)
    assert (best >= 0).all() and (best <= 20).all()

    def loss(weights: np.ndarray) -> float:
        return float(-log_probabilities(combine(logs, weights))[np.arange(60), targets].sum())

    for _ in range(20):
        other = np.clip(best + rng.normal(0, 0.3, models), 0, 20)
        assert loss(best) <= loss(other) + 0.1


def test_a_model_that_guesses_gets_no_weight() -> None:
    rng = np.random.default_rng(0)
    targets = rng.integers(0, 5, 400)
    good = log_probabilities(softmax(3 * np.eye(5)[targets] + rng.normal(size=(400, 5))))
    guess = log_probabilities(softmax(3 * rng.normal(size=(400, 5))))
    weights = fit_weights(np.stack([good, guess]), targets)
    assert weights[0] > 0.8 and weights[1] < 0.05
