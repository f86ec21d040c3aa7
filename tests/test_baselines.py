"""The baselines: probabilities that mean something, and decisions that stay the method's own."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.svm import SVC

from earmark.baselines import BASELINES, Baseline
from earmark.duels import duels_to_probabilities
from earmark.metrics.selective import aurc
from earmark.musical_features import SIZE


def clips(labels: int, count: int = 240) -> tuple[np.ndarray, np.ndarray]:
    """Overlapping clouds: easy in the middle, doubtful between."""
    random = np.random.default_rng(labels)
    targets = random.permutation(np.arange(count) % labels)
    features = 1.1 * random.normal(size=(labels, 12))[targets] + random.normal(size=(count, 12))
    return features, targets.astype(np.int64)


@pytest.mark.parametrize("labels", [2, 3, 7])
def test_the_support_vector_machine_keeps_its_decision(labels: int) -> None:
    features, targets = clips(labels)
    fitted = Baseline("mfcc-svm", "x").fit(features[::2], targets[::2], labels, seed=0)
    steps = fitted.pipeline[:-1]
    # Of two genres there is but one duel, so no tie to break.
    own = SVC(C=10.0, gamma="scale", break_ties=labels > 2).fit(steps.transform(features[::2]), targets[::2])
    log_probabilities = fitted.log_probabilities(features[1::2])
    assert np.array_equal(log_probabilities.argmax(axis=1), own.predict(steps.transform(features[1::2])))
    assert np.allclose(np.exp(log_probabilities).sum(axis=1), 1)


@pytest.mark.parametrize("name", ["mfcc-svm", "mel-logistic", "nearest"])
def test_confidence_tells_right_from_wrong(name: str) -> None:
    features, targets = clips(7, 700)
    fitted = Baseline(name, "x").fit(features[::2], targets[::2], 7, seed=0)
    probabilities = np.exp(fitted.log_probabilities(features[1::2]))
    confidence, correct = probabilities.max(axis=1), probabilities.argmax(axis=1) == targets[1::2]
    assert confidence.std() > 0.05
    # The mean risk over all coverages is that of answering everything where confidence tells nothing.
    assert aurc(confidence, correct) < 0.7 * (1 - correct.mean())


def test_nearest_takes_the_genre_of_the_nearest_clip() -> None:
    features, targets = clips(5)
    fitted = Baseline("nearest", "x").fit(features[::2], targets[::2], 5, seed=0)
    known = features[::2] / np.linalg.norm(features[::2], axis=1, keepdims=True)
    nearest = targets[::2][(features[1::2] @ known.T).argmax(axis=1)]
    assert np.array_equal(fitted.log_probabilities(features[1::2]).argmax(axis=1), nearest)


@given(arrays.arrays(np.float64, (5, 6), elements=st.floats(-50, 50)))
def test_duels_do_not_depend_on_the_order_of_genres(duels: np.ndarray) -> None:
    found = duels_to_probabilities(duels, 4)
    assert np.isfinite(found).all() and np.allclose(found.sum(axis=1), 1)
    table = np.zeros((5, 4, 4))
    rows, columns = np.triu_indices(4, 1)
    table[:, rows, columns] = duels
    table -= table.transpose(0, 2, 1)
    turned = table[:, ::-1, ::-1][:, rows, columns]
    other = duels_to_probabilities(turned, 4)[:, ::-1]
    # A margin of exactly nothing has no winner to agree on, nor have equal sums of margins.
    clear = (np.abs(duels) > 1e-6).all(axis=1) & (np.diff(np.sort(table.sum(axis=2))) > 1e-6).all(axis=1)
    assert np.allclose(found[clear], other[clear])


def test_every_baseline_answers_for_every_genre_even_one_it_never_saw() -> None:
    few, targets = clips(3)
    for name in BASELINES:
        # One model knows its features by their places.
        features = np.tile(few, (1, 100))[:, :SIZE] if name == "musical-svm" else few
        fitted = Baseline(name, "x").fit(features[targets < 2], targets[targets < 2], 3, seed=0)
        found = np.exp(fitted.log_probabilities(features))
        assert found.shape == (len(features), 3)
        assert np.allclose(found.sum(axis=1), 1)
        assert found[:, 2].max() < 0.01
