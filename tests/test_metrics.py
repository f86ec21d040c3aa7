"""Scores against scikit-learn and SciPy, and what must hold for any data."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from earmark import metrics
from earmark.errors import InputError
from earmark.metrics import intervals

SMALL = settings(deadline=None, max_examples=40)


def example(n: int = 400, k: int = 6, skill: float = 1.5, seed: int = 0) -> tuple[NDArray, NDArray]:
    """True labels (n,) and probabilities (n, k) of a model that is right more often than not."""
    random = np.random.default_rng(seed)
    y = random.integers(0, k, n)
    z = random.normal(size=(n, k))
    z[np.arange(n), y] += skill
    return y, metrics.softmax(z)


@st.composite
def predictions(draw: st.DrawFn) -> tuple[NDArray, NDArray]:
    """Any labels and any probabilities, ties and zeros included."""
    k = draw(st.integers(2, 5))
    n = draw(st.integers(1, 30))
    y = np.array(draw(st.lists(st.integers(0, k - 1), min_size=n, max_size=n)))
    weights = draw(st.lists(st.lists(st.integers(0, 4), min_size=k, max_size=k), min_size=n, max_size=n))
    p = np.array(weights, dtype=float)
    p[p.sum(axis=1) == 0] = 1.0
    return y, p / p.sum(axis=1, keepdims=True)


# --- against the oracles ---


@pytest.mark.parametrize("seed", range(3))
def test_scores_equal_scikit_learn(seed: int) -> None:
    from sklearn import metrics as oracle

    y, p = example(seed=seed)
    said = p.argmax(axis=1)
    matrix = metrics.confusion_matrix(y, said, 6)
    np.testing.assert_array_equal(matrix, oracle.confusion_matrix(y, said, labels=range(6)))
    assert metrics.accuracy(y, said) == pytest.approx(oracle.accuracy_score(y, said), abs=1e-12)
    ours = metrics.precision_recall_f1(matrix)
    theirs = oracle.precision_recall_fscore_support(y, said, labels=range(6), zero_division=0)
    for a, b in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-12)
    assert metrics.macro_f1(matrix) == pytest.approx(oracle.f1_score(y, said, average="macro"), abs=1e-12)
    assert metrics.log_loss(y, p) == pytest.approx(oracle.log_loss(y, p), abs=1e-10)
    for top in (1, 2, 3, 6):
        expected = oracle.top_k_accuracy_score(y, p, k=top, labels=range(6)) if top < 6 else 1.0
        assert metrics.top_k_accuracy(y, p, top) == pytest.approx(expected, abs=1e-12)
    onehot = np.eye(6)[y]
    assert metrics.brier_score(y, p) == pytest.approx(float(((p - onehot) ** 2).sum(axis=1).mean()), abs=1e-12)


def test_macro_f1_of_absent_labels_equals_scikit_learn() -> None:
    from sklearn.metrics import f1_score

    y, said = np.array([0, 0, 1, 1]), np.array([0, 2, 1, 1])
    assert metrics.macro_f1(metrics.confusion_matrix(y, said, 5)) == pytest.approx(
        f1_score(y, said, average="macro", zero_division=0), abs=1e-12
    )


def test_reliability_equals_scikit_learn() -> None:
    from sklearn.calibration import calibration_curve

    y, p = example()
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == y
    bins = metrics.reliability(confidence, correct, 10)
    share, mean = calibration_curve(correct, confidence, n_bins=10)
    np.testing.assert_allclose([item.accuracy for item in bins], share, atol=1e-12)
    np.testing.assert_allclose([item.confidence for item in bins], mean, atol=1e-12)


@pytest.mark.parametrize("scale", [0.2, 1.0, 3.0, 12.0])
def test_temperature_equals_scipy_minimum(scale: float) -> None:
    from scipy.optimize import minimize_scalar

    y, p = example(300)
    logits = np.log(p) * scale

    def loss(log_t: float) -> float:
        return metrics.log_loss(y, metrics.apply_temperature(logits, float(np.exp(log_t))))

    best = minimize_scalar(loss, bounds=(-4, 4), method="bounded", options={"xatol": 1e-10})
    assert metrics.fit_temperature(logits, y) == pytest.approx(float(np.exp(best.x)), rel=1e-5)


@pytest.mark.parametrize(("right", "n"), [(0, 10), (3, 10), (72, 100), (100, 100), (723, 1000)])
def test_wilson_equals_scipy(right: int, n: int) -> None:
    from scipy.stats import binomtest

    theirs = binomtest(right, n).proportion_ci(0.95, method="wilson")
    ours = metrics.wilson(right, n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-12)


@pytest.mark.parametrize(("first", "second"), [(0, 0), (0, 5), (3, 9), (7, 7), (40, 60), (300, 250), (4000, 4200)])
def test_mcnemar_equals_scipy(first: int, second: int) -> None:
    from scipy.stats import binom, binomtest

    found = metrics.mcnemar(first, second)
    n = first + second
    exact = binomtest(first, n).pvalue if n else 1.0
    assert found.exact == pytest.approx(exact, rel=1e-9)
    if first != second:
        assert found.mid_p == pytest.approx(exact - binom.pmf(min(first, second), n, 0.5), rel=1e-9)
    else:
        assert found.mid_p == 1.0
    assert metrics.mcnemar(second, first).exact == found.exact


def test_holm_equals_scipy_free_definition() -> None:
    p = [0.01, 0.04, 0.03, 0.5]
    # Sorted: 0.01*4, 0.03*3, max(0.09, 0.04*2), 0.5.
    assert metrics.holm(p) == pytest.approx([0.04, 0.09, 0.09, 0.5])
    assert metrics.holm([0.9, 0.8]) == [1.0, 1.0]


def test_percentile_interval_equals_scipy_bootstrap() -> None:
    from scipy.stats import bootstrap

    y, p = example(150, skill=1.0)
    right = (p.argmax(axis=1) == y).astype(float)
    ours = metrics.bootstrap_scores(y, p.argmax(axis=1), 6, seed=3, resamples=20_000).accuracy
    theirs = bootstrap((right,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    # Both are Monte Carlo estimates of the same ends, on a grid of 1/150.
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=0.0101)


# --- what must hold for any data ---


@SMALL
@given(predictions(), st.randoms(use_true_random=False))
def test_order_of_clips_does_not_matter(data: tuple[NDArray, NDArray], random: object) -> None:
    y, p = data
    order = list(range(len(y)))
    random.shuffle(order)  # type: ignore[attr-defined]
    groups = [f"g{i % 7}" for i in range(len(y))]
    labels = [f"l{i}" for i in range(p.shape[1])]
    clips = [f"c{i:02d}" for i in range(len(y))]
    one = metrics.evaluate(labels, y, p, groups, clips=clips, resamples=60)
    other = metrics.evaluate(
        labels, y[order], p[order], [groups[i] for i in order], clips=[clips[i] for i in order], resamples=60
    )

    def same(a: object, b: object) -> None:
        if isinstance(a, dict) and isinstance(b, dict):
            assert a.keys() == b.keys()
            for key in a:
                same(a[key], b[key])
        elif isinstance(a, list) and isinstance(b, list):
            assert len(a) == len(b)
            for x, z in zip(a, b, strict=True):
                same(x, z)
        elif isinstance(a, float) and isinstance(b, float):
            assert a == pytest.approx(b, abs=1e-9)
        else:
            assert a == b

    same(one, other)


@SMALL
@given(predictions())
def test_scores_stay_in_their_bounds_and_json_is_clean(data: tuple[NDArray, NDArray]) -> None:
    y, p = data
    found = metrics.evaluate([f"l{i}" for i in range(p.shape[1])], y, p, resamples=40)
    json.dumps(found, allow_nan=False)
    for key in ("accuracy", "macro_f1", "wilson"):
        values = [found[key][end] for end in ("low", "value", "high") if found[key][end] is not None]
        assert all(-1e-12 <= value <= 1 + 1e-12 for value in values)
    assert 0 <= found["brier"] <= 2 + 1e-9
    assert found["log_loss"] >= 0
    assert 0 <= found["calibration"]["ece_equal_width"] <= 1
    assert 0 <= found["calibration"]["ece_equal_mass"] <= 1
    assert found["coverage"]["excess_aurc"] >= -1e-9
    assert found["coverage"]["curve"][-1][1] == pytest.approx(found["accuracy"]["value"])
    assert sum(map(sum, found["confusion"])) == len(y)
    tops = [found["top_k"][key] for key in sorted(found["top_k"], key=int)]
    assert tops == sorted(tops)
    assert found["calibration"]["log_loss_at_best"] <= found["log_loss"] + 1e-9


@SMALL
@given(predictions(), st.floats(0.05, 20))
def test_temperature_keeps_the_most_probable_label(data: tuple[NDArray, NDArray], temperature: float) -> None:
    _, p = data
    logits = metrics.log_probabilities(p)
    cooled = metrics.apply_temperature(logits, temperature)
    np.testing.assert_allclose(cooled.sum(axis=1), 1, atol=1e-12)
    rows = np.arange(len(p))
    # Ties stay ties; rounding may break them either way.
    assert (cooled[rows, p.argmax(axis=1)] >= cooled.max(axis=1) - 1e-9).all()


@SMALL
@given(predictions())
def test_fitted_temperature_is_the_best_nearby(data: tuple[NDArray, NDArray]) -> None:
    y, p = data
    logits = metrics.log_probabilities(p)
    best = metrics.fit_temperature(logits, y)
    assert 0.01 <= best <= 100

    def loss(t: float) -> float:
        z = logits / t
        return float((np.log(np.exp(z - z.max(axis=1, keepdims=True)).sum(axis=1)) + z.max(axis=1)).mean()) - float(
            z[np.arange(len(y)), y].mean()
        )

    for factor in (0.9, 1.1):
        if 0.01 <= best * factor <= 100:
            assert loss(best) <= loss(best * factor) + 1e-9


def test_perfect_and_worst() -> None:
    y = np.arange(60) % 3
    perfect = metrics.evaluate(["a", "b", "c"], y, np.eye(3)[y], [f"g{i // 4}" for i in range(60)])
    assert perfect["accuracy"] == {"value": 1.0, "low": 1.0, "high": 1.0, "level": 0.95}
    assert perfect["macro_f1"]["value"] == 1.0
    assert perfect["log_loss"] == perfect["brier"] == perfect["coverage"]["aurc"] == 0.0
    assert perfect["suspects"] == []
    worst = metrics.evaluate(["a", "b", "c"], y, np.eye(3)[(y + 1) % 3])
    assert worst["accuracy"]["value"] == worst["macro_f1"]["value"] == 0.0
    assert worst["brier"] == 2.0
    assert worst["coverage"]["for_precision"]["0.9"] is None
    assert np.isfinite(worst["log_loss"])


def test_constant_prediction_scores_chance_in_every_top_k() -> None:
    y = np.arange(100) % 10
    p = np.full((100, 10), 0.1)
    for top in range(1, 11):
        assert metrics.top_k_accuracy(y, p, top) == pytest.approx(top / 10)
    # All confidences tie, so every coverage has the same accuracy.
    curve = metrics.risk_coverage(p.max(axis=1), p.argmax(axis=1) == y)
    np.testing.assert_allclose(curve.accuracy, 0.1)


# --- calibration and selection ---


def test_calibrated_predictions_have_little_calibration_error() -> None:
    random = np.random.default_rng(0)
    _, p = example(20_000)
    y = (random.random((20_000, 1)) > p.cumsum(axis=1)[:, :-1]).sum(axis=1)
    confidence, correct = p.max(axis=1), p.argmax(axis=1) == y
    for by in ("width", "mass"):
        assert metrics.expected_calibration_error(confidence, correct, by=by) < 0.012  # type: ignore[arg-type]
    assert metrics.fit_temperature(np.log(p), y) == pytest.approx(1.0, abs=0.03)
    # Sharpened by a factor of three, they are overconfident, and the temperature says by how much.
    sharp = metrics.softmax(3 * np.log(p))
    assert metrics.fit_temperature(np.log(sharp), y) == pytest.approx(3.0, rel=0.03)
    assert metrics.expected_calibration_error(sharp.max(axis=1), correct) > 0.1


def test_bins_of_equal_mass_hold_as_many_clips() -> None:
    _, p = example(1000)
    confidence = p.max(axis=1)
    counts = [item.count for item in metrics.reliability(confidence, confidence > 0.5, 10, "mass")]
    assert counts == [100] * 10


def test_temperature_stops_at_its_ends() -> None:
    y = np.array([0, 1, 2] * 5)
    assert metrics.fit_temperature(5 * np.eye(3)[y], y) == 0.01
    assert metrics.fit_temperature(5 * np.eye(3)[(y + 1) % 3], y) == 100.0
    with pytest.raises(InputError, match="above zero"):
        metrics.apply_temperature(np.zeros((1, 2)), 0.0)


def test_risk_against_coverage_by_hand() -> None:
    confidence, correct = [0.9, 0.8, 0.7, 0.6], [1, 1, 0, 1]
    curve = metrics.risk_coverage(confidence, correct)
    np.testing.assert_allclose(curve.accuracy, [1, 1, 2 / 3, 3 / 4])
    assert metrics.aurc(confidence, correct) == pytest.approx((0 + 0 + 1 / 3 + 1 / 4) / 4)
    assert metrics.accuracy_at_coverage(confidence, correct, 0.5) == 1.0
    found = metrics.threshold_for_precision(confidence, correct, 0.75)
    assert found is not None
    assert (found.confidence, found.coverage, found.accuracy) == (0.6, 1.0, 0.75)
    assert metrics.threshold_for_precision([0.9, 0.8], [0, 1], 0.9) is None
    # A threshold cannot divide clips of the same confidence.
    tied = metrics.threshold_for_precision([0.9, 0.9, 0.1], [1, 0, 0], 0.9)
    assert tied is None


# --- intervals ---


def simulated_groups(random: np.random.Generator, groups: int, size: int) -> tuple[NDArray, list[str]]:
    """Right-or-wrong of clips whose artists differ in difficulty, 0.7 on average."""
    hard = random.beta(1.4, 0.6, groups)
    right = random.random((groups, size)) < hard[:, None]
    return right.ravel().astype(int), [f"g{i // size}" for i in range(groups * size)]


def test_interval_over_groups_covers_as_often_as_it_says_and_over_clips_does_not() -> None:
    random = np.random.default_rng(7)
    hits = {"groups": 0, "clips": 0}
    trials = 200
    for trial in range(trials):
        right, groups = simulated_groups(random, 60, 8)
        truth = np.zeros_like(right)
        said = 1 - right
        for name, unit in (("groups", groups), ("clips", None)):
            found = metrics.bootstrap_scores(truth, said, 2, unit, seed=trial, resamples=250).accuracy
            hits[name] += found.low <= 0.7 <= found.high
    # Binomial sd of 95 % over 200 trials is 1.5 points; percentile intervals fall a little short of their level.
    assert 0.90 <= hits["groups"] / trials <= 0.985
    assert hits["clips"] / trials < 0.75


def test_bootstrap_equals_plain_resampling() -> None:
    """The matrix product gives what drawing the clips themselves gives."""
    y, p = example(120, 4)
    said = p.argmax(axis=1)
    groups = [f"g{i // 5:02d}" for i in range(120)]
    found = metrics.bootstrap_scores(y, said, 4, groups, seed=5, resamples=200)
    members = [np.flatnonzero(np.array(groups) == name) for name in sorted(set(groups))]
    accuracy, macro = [], []
    for row in np.concatenate(list(metrics.draws(len(members), 200, 5))):
        rows = np.concatenate([np.tile(members[g], int(times)) for g, times in enumerate(row) if times])
        accuracy.append(metrics.accuracy(y[rows], said[rows]))
        macro.append(metrics.macro_f1(metrics.confusion_matrix(y[rows], said[rows], 4)))
    for interval, values in ((found.accuracy, accuracy), (found.macro_f1, macro)):
        assert (interval.low, interval.high) == pytest.approx(tuple(np.quantile(values, [0.025, 0.975])), abs=1e-12)


def test_one_group_has_no_interval() -> None:
    found = metrics.bootstrap_scores([0, 1, 1], [0, 1, 0], 2, ["same"] * 3)
    assert found.accuracy.value == pytest.approx(2 / 3)
    assert not found.accuracy.known
    assert found.accuracy.to_dict()["low"] is None


def test_seeds_decide_the_draws() -> None:
    first = np.concatenate(list(metrics.draws(30, 600, 1)))
    assert first.shape == (600, 30)
    assert (first.sum(axis=1) == 30).all()
    np.testing.assert_array_equal(first, np.concatenate(list(metrics.draws(30, 600, 1))))
    assert (first != np.concatenate(list(metrics.draws(30, 600, 2)))).any()
    # The first block does not depend on how many follow.
    np.testing.assert_array_equal(first[: intervals.BLOCK], next(metrics.draws(30, 300, 1)))


def test_several_seeds_are_averaged_and_clips_are_not_counted_twice() -> None:
    y, p = example(200, 4)
    q = example(200, 4, seed=0)[1][::-1]
    clips = [f"c{i:03d}" for i in range(200)]
    labels = list("abcd")
    one = metrics.evaluate(labels, y, p, clips=clips)
    twice = metrics.evaluate(
        labels, np.tile(y, 2), np.tile(p, (2, 1)), clips=clips * 2, repeats=[0] * 200 + [1] * 200
    )
    # The same seed twice: nothing new is known, so the interval must not shrink.
    assert twice["accuracy"] == one["accuracy"]
    assert twice["macro_f1"] == pytest.approx(one["macro_f1"])
    assert (twice["clips"], twice["predictions"], twice["repeats"]) == (200, 400, 2)
    assert twice["spread"]["accuracy"] == 0.0
    assert one["spread"]["accuracy"] is None
    mixed = metrics.evaluate(
        labels, np.tile(y, 2), np.concatenate([p, q]), clips=clips * 2, repeats=[0] * 200 + [1] * 200
    )
    each = [row["accuracy"] for row in mixed["per_repeat"]]
    assert mixed["accuracy"]["value"] == pytest.approx(np.mean(each))
    assert mixed["spread"]["accuracy"] == pytest.approx(np.std(each, ddof=1))
    with pytest.raises(InputError, match="clip of each prediction"):
        metrics.evaluate(labels, np.tile(y, 2), np.tile(p, (2, 1)), repeats=[0] * 200 + [1] * 200)


def test_folds_are_scored_one_by_one() -> None:
    y, p = example(100, 4)
    found = metrics.evaluate(list("abcd"), y, p, folds=[i % 5 for i in range(100)])
    assert [row["clips"] for row in found["per_fold"]] == [20] * 5
    assert np.mean([row["accuracy"] for row in found["per_fold"]]) == pytest.approx(found["accuracy"]["value"])


# --- pairs ---


def paired(seed: int = 0, better: float = 0.15) -> tuple[NDArray, NDArray, NDArray, list[str]]:
    random = np.random.default_rng(seed)
    right, groups = simulated_groups(random, 80, 5)
    y = random.integers(0, 4, len(right))
    a = np.where(right == 1, y, (y + 1) % 4)
    b = np.where((a == y) | (random.random(len(y)) < better), y, a)
    return y, a, b, groups


def test_paired_interval_is_narrower_than_what_the_two_intervals_allow() -> None:
    y, a, b, groups = paired()
    order = {name: i for i, name in enumerate(sorted(set(groups)))}
    sums = [metrics.sums_by_group(y, said, groups, None, 4, order) for said in (a, b)]
    found = metrics.paired_bootstrap(*sums, seed=1)
    alone = [metrics.bootstrap_scores(y, said, 4, groups, seed=1) for said in (a, b)]
    assert found.accuracy.value == pytest.approx(alone[1].accuracy.value - alone[0].accuracy.value)
    assert found.macro_f1.value == pytest.approx(alone[1].macro_f1.value - alone[0].macro_f1.value)
    assert found.accuracy.low > 0
    width = found.accuracy.high - found.accuracy.low
    assert width < 0.7 * (alone[0].accuracy.high - alone[0].accuracy.low)
    back = metrics.paired_bootstrap(*sums[::-1], seed=1)
    assert (back.accuracy.low, back.accuracy.high) == pytest.approx((-found.accuracy.high, -found.accuracy.low))
    itself = metrics.paired_bootstrap(sums[0], sums[0])
    assert itself.accuracy.low == itself.accuracy.high == 0.0


def test_sign_test_is_mcnemar_for_one_repeat() -> None:
    y, a, b, _ = paired()
    found = metrics.sign_test(a == y, b == y)
    assert (found.first, found.second) == (int(((a == y) & (b != y)).sum()), int(((a != y) & (b == y)).sum()))
    # Two of three repeats right against one of three: the clip goes to the first; 1/3 computed twice is a tie.
    assert metrics.sign_test([2 / 3, 1 / 3, 1 / 3], [1 / 3, 1 / 3, 1.0 - 2 / 3]).first == 1


def test_sign_test_keeps_its_level() -> None:
    random = np.random.default_rng(3)
    rejected = {"exact": 0, "mid_p": 0}
    for _ in range(1000):
        found = metrics.mcnemar(*np.bincount(random.integers(0, 2, 40), minlength=2).tolist())
        rejected["exact"] += found.exact < 0.05
        rejected["mid_p"] += found.mid_p < 0.05
    assert rejected["exact"] <= rejected["mid_p"] <= 70


# --- clips ---


def test_a_planted_label_fault_is_found_by_name() -> None:
    y, p = example(300, 4, skill=4.0)
    wrong = y.copy()
    wrong[[17, 123]] = (y[[17, 123]] + 1) % 4
    p[17], p[123] = np.eye(4)[y[17]] * 0.9 + 0.025, np.eye(4)[y[123]] * 0.96 + 0.01
    clips = [f"clip {i}" for i in range(300)]
    found = metrics.suspects(metrics.per_clip(clips, wrong, p))
    assert [item.clip for item in found[:2]] == ["clip 123", "clip 17"]
    assert found[0].suggested == y[123]
    assert found[0].label == wrong[123]
    # One prediction that agrees with the label is enough to acquit it.
    twice = metrics.per_clip([*clips, "clip 123"], [*wrong, wrong[123]], np.vstack([p, np.eye(4)[wrong[123]]]))
    assert "clip 123" not in [item.clip for item in metrics.suspects(twice)]


def test_clips_and_groups_by_hand() -> None:
    clips = ["a", "b", "a", "b", "a", "c"]
    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.4, 0.6], [0.3, 0.7], [0.8, 0.2], [0.1, 0.9]])
    found = metrics.per_clip(clips, [0, 0, 0, 0, 0, 0], p)
    assert found.clips == ("a", "b", "c")
    np.testing.assert_array_equal(found.times, [3, 2, 1])
    np.testing.assert_array_equal(found.right, [2, 0, 0])
    np.testing.assert_array_equal(found.predicted, [0, 1, 1])
    np.testing.assert_allclose(found.probabilities[0], [0.7, 0.3])
    assert [found.clips[i] for i in metrics.worst(found)] == ["c", "b"]
    groups = metrics.per_group(found, ["x", "y", "x"])
    assert [(g.group, g.clips) for g in groups] == [("x", ("a", "c")), ("y", ("b",))]
    assert groups[0].accuracy == pytest.approx((2 / 3 + 0) / 2)
    with pytest.raises(InputError, match="two labels"):
        metrics.per_clip(clips, [0, 0, 1, 0, 0, 0], p)


def test_the_decision_may_differ_from_the_most_probable_label() -> None:
    y, p = example(50, 3)
    said = (p.argmax(axis=1) + 1) % 3
    found = metrics.evaluate(["a", "b", "c"], y, p, predicted=said)
    assert found["accuracy"]["value"] == pytest.approx(np.mean(said == y))
    assert found["top_k"]["2"] == pytest.approx(metrics.top_k_accuracy(y, p, 2))


# --- bad input ---


@pytest.mark.parametrize(
    ("y", "p", "words"),
    [
        ([0, 1], [[0.5, 0.5]], "2 true labels but 1 predictions"),
        ([], np.zeros((0, 2)), "nothing to score"),
        ([0.5], [[1.0, 0.0]], "whole numbers"),
        ([2], [[1.0, 0.0]], "0..1"),
        ([-1], [[1.0, 0.0]], "0..1"),
        ([0], [[0.5, 0.4]], "sum to 1"),
        ([0], [[1.5, -0.5]], "lie in 0..1"),
        ([0], [[np.nan, 1.0]], "finite"),
        ([0], [0.5, 0.5], "one row per clip"),
    ],
)
def test_bad_input_is_refused_with_a_sentence(y: object, p: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        metrics.evaluate(["a", "b"], y, p)  # type: ignore[arg-type]


def test_lengths_must_fit() -> None:
    y, p = example(10, 3)
    with pytest.raises(InputError, match="10 predictions but 9 groups"):
        metrics.evaluate(["a", "b", "c"], y, p, ["g"] * 9)
    with pytest.raises(InputError, match="2 labels but probabilities for 3"):
        metrics.evaluate(["a", "b"], y, p)
    with pytest.raises(InputError, match="successes"):
        metrics.wilson(5, 4)
    with pytest.raises(InputError, match="Coverage"):
        metrics.accuracy_at_coverage([0.5], [1], 0.0)
    with pytest.raises(InputError, match="negative"):
        metrics.mcnemar(-1, 2)


def test_importing_metrics_imports_nothing_heavy() -> None:
    code = (
        "import sys, earmark.metrics, earmark.runs, earmark.compare;"
        "print([m for m in ('sklearn','scipy','torch','jinja2','matplotlib','soundfile') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
