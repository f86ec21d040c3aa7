"""Each leak is planted and caught; the honest procedure passes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from earmark import fold_worker, leaks
from earmark.baselines import Baseline
from earmark.crossval import crossval
from earmark.dataset import Clip, Dataset, make_dataset
from earmark.folds import Fold, Protocol, group_numbers, make_protocol
from earmark.learners import HeadLearner
from earmark.models.config import HeadConfig, TrainingConfig
from earmark.run_files import LeakTest
from earmark.runs import Run

LABELS = 4
SHUFFLED = "shuffled labels give chance"
ORDER = "accuracy does not climb with fold order"
FRESH = "every fold begins from a fresh model"
FITTED = "nothing is fitted outside training"


def data(*, per_label: int = 30, per_group: int = 3, separation: float = 0.25, recordings: int = 1) -> Dataset:
    """Clips of four genres in 24 dimensions, in groups; ``recordings`` clips share a recording."""
    random = np.random.default_rng(0)
    clips, rows = [], []
    middles = random.normal(size=(LABELS, 24)) * separation
    for label in range(LABELS):
        for i in range(per_label):
            name = f"g{label}.{i:03d}"
            group = f"artist {label}-{i // per_group}"
            recording = f"tape {label}-{i // recordings}" if recordings > 1 else None
            clips.append(Clip(name, f"g{label}", group=group, recording=recording))
            rows.append(middles[label] + random.normal(size=24))
    features = np.array(rows, dtype=np.float32)
    return make_dataset("made up", clips, features={"x": features, "mfcc": features})


def head(epochs: int = 60) -> HeadLearner:
    return HeadLearner(HeadConfig("tl-cnn-gru", units=48), TrainingConfig(epochs, 32, 5e-3), "x")


def told_by(run: Run) -> dict[str, LeakTest]:
    return {test.test: test for test in run.leaks}


def test_the_honest_procedure_passes_every_test(tmp_path: Path) -> None:
    dataset = data()
    run = crossval(dataset, head(20), make_protocol(dataset, "artist5", folds=5), tmp_path / "run", jobs=1)
    assert {test.test: test.passed for test in run.leaks} == {
        SHUFFLED: True,
        ORDER: True,
        FRESH: True,
        "no clip on two sides": True,
        "no recording on two sides": True,
        "no group on two sides": True,
        FITTED: True,
        "not better than the labels allow": None,
    }


def test_a_model_kept_between_folds_is_caught_three_times(tmp_path: Path) -> None:
    dataset = data(per_label=40)
    learner = replace(head(), training=TrainingConfig(120, 32, 5e-3))
    protocol = make_protocol(dataset, "random10", folds=5)
    found = told_by(crossval(dataset, learner, protocol, tmp_path / "run", jobs=1, one_model=True))
    assert found[SHUFFLED].passed is False
    assert found[ORDER].passed is False
    assert found[FRESH].passed is False
    assert found[FRESH].value == 4


def test_shuffled_labels_are_caught_by_a_learner_that_knows_the_answers(tmp_path: Path) -> None:
    dataset = data()
    found = leaks.shuffled_labels(0.25, dataset.targets)
    assert found.passed
    assert found.bound is not None
    assert not leaks.shuffled_labels(found.bound + 1 / len(dataset), dataset.targets).passed
    honest = crossval(
        dataset, head(10), make_protocol(dataset, "random10", folds=5), tmp_path / "run", jobs=1, leak_tests=False,
        shuffle_labels=True,
    )  # fmt: skip
    assert honest.metrics is not None
    assert leaks.shuffled_labels(honest.metrics["accuracy"]["value"], dataset.targets).passed


def test_a_scaler_fitted_on_all_clips_is_caught(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = data()
    protocol = make_protocol(dataset, "random10", folds=3)
    assert told_by(crossval(dataset, head(2), protocol, tmp_path / "honest", jobs=1))[FITTED].passed
    honest = fold_worker.fit_fold

    def leaking(work: Any, fold: Fold, identity: str, **more: Any) -> Any:
        scaled = (work.features - work.features.mean(axis=0)) / work.features.std(axis=0)
        return honest(replace(work, features=scaled.astype(np.float32)), fold, identity, **more)

    monkeypatch.setattr(fold_worker, "fit_fold", leaking)
    assert told_by(crossval(dataset, head(2), protocol, tmp_path / "leaking", jobs=1))[FITTED].passed is False


def by_name(found: list[LeakTest]) -> dict[str, LeakTest]:
    return {test.test: test for test in found}


def recording_numbers(dataset: Dataset) -> np.ndarray[Any, np.dtype[np.int64]]:
    names = [dataset.recording_of(clip) for clip in dataset.clips]
    return np.unique(names, return_inverse=True)[1].astype(np.int64)


def test_groups_and_recordings_on_two_sides_are_caught() -> None:
    dataset = data(recordings=3)
    groups, recordings = group_numbers(dataset), recording_numbers(dataset)
    dealt = make_protocol(dataset, "random10", folds=5).folds
    found = by_name(leaks.disjoint_sides(dealt, groups, recordings, grouped=True))
    assert found["no clip on two sides"].passed is True
    assert found["no group on two sides"].passed is False
    assert found["no recording on two sides"].passed is False
    # A protocol that does not promise it is told of it, and not failed.
    told = by_name(leaks.disjoint_sides(dealt, groups, recordings, grouped=False))
    assert told["no group on two sides"].passed is None
    assert "optimistic" in told["no group on two sides"].sentence
    kept = make_protocol(dataset, "artist5", folds=5).folds
    assert all(test.passed for test in leaks.disjoint_sides(kept, groups, recordings, grouped=True))


def test_a_recording_on_two_sides_is_caught_alone() -> None:
    groups = np.arange(8)
    recordings = np.array([0, 1, 2, 3, 4, 5, 6, 0])
    rows = np.arange(8)
    fold = Fold(0, 0, 0, rows[:6], rows[:0], rows[6:])
    found = by_name(leaks.disjoint_sides([fold], groups, recordings, grouped=True))
    assert [test.passed for test in found.values()] == [True, False, True]
    assert found["no recording on two sides"].value == 1


def test_segments_of_a_clip_on_two_sides_are_caught(tmp_path: Path) -> None:
    whole = data(per_label=15, per_group=1, separation=0.1)
    segments, rows = [], []
    random = np.random.default_rng(1)
    for clip, row in zip(whole.clips, whole.features["x"], strict=True):
        for part in range(3):
            segments.append(Clip(f"{clip.id}#{part}", clip.label, group=clip.id, recording=clip.id))
            rows.append(row + 0.05 * random.normal(size=24))
    features = np.array(rows, dtype=np.float32)
    dataset = make_dataset("segments", segments, features={"mfcc": features})
    found = {}
    for name in ("random10", "artist5"):
        protocol = make_protocol(dataset, name, folds=5)
        # Said to keep clips whole, whether it does or not: that is the leak.
        protocol = Protocol(protocol.name, "", True, protocol.seeds, protocol.folds)
        learner = replace(Baseline("nearest", "mfcc"))
        found[name] = crossval(dataset, learner, protocol, tmp_path / name, jobs=1)
    leaky, fair = told_by(found["random10"]), told_by(found["artist5"])
    assert leaky["no recording on two sides"].passed is False
    assert leaky["no group on two sides"].passed is False
    assert fair["no recording on two sides"].passed is True
    scores = {name: run.metrics["accuracy"]["value"] for name, run in found.items() if run.metrics}
    assert scores["random10"] > scores["artist5"] + 0.2


def test_a_stale_initial_weight_is_caught() -> None:
    dataset = data()
    folds = make_protocol(dataset, "random10", folds=3).folds
    learner = head()
    expected = [learner.expected_initial_weights(dataset.features["x"][f.train], LABELS, f.seed) for f in folds]
    names = [fold.name for fold in folds]
    assert leaks.fresh_models(names, expected, expected).passed
    stale = [expected[0], expected[0], expected[2]]
    found = leaks.fresh_models(names, stale, expected)
    assert found.passed is False
    assert "r0-f01" in found.sentence
    assert leaks.fresh_models(names, ["", "", ""], ["", "", ""]).passed is None


@pytest.mark.parametrize(("folds", "spread"), [(5, 0.04), (5, 0.08), (10, 0.04), (10, 0.08)])
def test_fold_order_seldom_raises_a_false_alarm(folds: int, spread: float) -> None:
    random = np.random.default_rng(folds)
    runs = 2000
    alarms = 0
    for _ in range(runs):
        truth = np.clip(random.normal(0.7, spread, folds), 0, 1)
        alarms += leaks.fold_order((random.binomial(100, truth) / 100).tolist(), 100).passed is False
    assert alarms / runs < 0.01


def test_fold_order_finds_the_measured_climb() -> None:
    # 30 epochs a fold with one model kept, as measured on GTZAN.
    assert leaks.fold_order([0.77, 0.97, 0.90, 1.0, 0.99, 1.0, 1.0, 1.0, 0.99, 1.0], 100).passed is False
    # The same without the GRU: slower and steadier.
    assert leaks.fold_order([0.70, 0.74, 0.80, 0.85, 0.92, 0.95, 0.97, 0.98, 0.98, 0.98], 100).passed is False
    assert leaks.fold_order([0.77, 0.97], 100).passed is None


def test_gtzan_has_a_ceiling() -> None:
    assert leaks.suspiciously_good(0.96, True).passed is False
    assert leaks.suspiciously_good(0.95, True).passed is True
    assert leaks.suspiciously_good(1.0, False).passed is None
