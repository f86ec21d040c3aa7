"""What a bundle knows of what it has learnt from: distances, limits, the part of the file, and the answers."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bundles import BANDS, tiny_bundle
from earmark.bundle import load_bundle, save_bundle
from earmark.doubt import Doubt
from earmark.errors import EarmarkError, InputError, StoreError
from earmark.features import MFCC, mfcc_statistics
from earmark.folds import make_protocol
from earmark.novelty import Classes, Novelty, Timbres
from earmark.predict import Classifier
from earmark.spectrogram import MEL, fit_window, spectrogram
from earmark.train_novelty import learn_novelty, novelty_like, set_limits
from learning import blobs
from sounds import tone

RATE = 22050


def clusters(seed: int = 0, clips: int = 120, size: int = 12) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    targets = np.arange(clips) % 3
    centres = np.random.default_rng(99).normal(size=(3, size)) * 5
    return (centres[targets] + generator.normal(size=(clips, size))).astype(np.float32), targets


def hum(pitch: float, seconds: float = 30) -> np.ndarray:
    """A tone with a slow tremolo and a little noise."""
    sound = tone(seconds, RATE, pitch) * (1 + 0.5 * np.sin(np.arange(int(seconds * RATE)) / RATE * 12))
    return (sound + 0.01 * np.random.default_rng(0).standard_normal(len(sound))).astype(np.float32)


@pytest.fixture(scope="module")
def knows_hums(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle that has learnt from hums between 150 and 400 Hz."""
    path = tmp_path_factory.mktemp("novelty") / "hums.earmark"
    bundle = tiny_bundle(path, unsure_below=0.3)
    pictures = np.stack([spectrogram(hum(pitch), MEL) for pitch in np.linspace(150, 400, 12)])
    _, embeddings = Classifier(bundle).window_probabilities(pictures)
    timbres = mfcc_statistics(pictures)
    novelty = Novelty(Timbres.fit(timbres), 12.0, Classes.fit(embeddings, np.arange(12) // 6), 8.0)
    save_bundle(path, bundle.card, bundle.model, novelty)
    return path


def test_a_training_clip_is_nearest_to_itself_and_far_ones_are_far() -> None:
    rows, targets = clusters()
    timbres = Timbres.fit(rows)
    np.testing.assert_allclose(timbres.distances(rows), 0, atol=0.01)
    assert (timbres.distances(rows + 100) > timbres.distances(clusters(1)[0]).max()).all()
    classes = Classes.fit(rows, targets)
    new, _ = clusters(1)
    assert classes.distances(-new).min() > np.median(classes.distances(new))
    # Only the direction of an embedding counts.
    np.testing.assert_allclose(classes.distances(7 * new), classes.distances(new), rtol=1e-3)


def test_distances_of_the_genre_agree_with_the_textbook() -> None:
    rows, targets = clusters(size=4)
    classes = Classes.fit(rows, targets)
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    means = np.stack([unit[targets == k].mean(axis=0) for k in range(3)])
    inside = unit - means[targets]
    covariance = inside.T @ inside / (len(rows) - 3)
    covariance += 0.1 * np.trace(covariance) / 4 * np.eye(4)
    gaps = unit[:, None] - means
    textbook = np.sqrt(np.einsum("nki,ij,nkj->nk", gaps, np.linalg.inv(covariance), gaps).min(axis=1))
    np.testing.assert_allclose(classes.distances(rows), textbook, rtol=1e-3)


@given(st.integers(1, 3), st.floats(0, 0.5), st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_limits_refuse_the_share_that_they_may_and_not_more(count: int, refused: float, seed: int) -> None:
    generator = np.random.default_rng(seed)
    distances = {str(k): generator.gamma(2, size=400) for k in range(count)}
    limits = set_limits(distances, refused)
    beyond = np.any([distances[name] > limit for name, limit in limits.items()], axis=0).mean()
    assert refused - 0.011 <= beyond <= refused + 1e-12


def test_limits_do_not_take_nonsense() -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        set_limits({"a": np.ones(3)}, 1.0)
    assert set_limits({"a": np.zeros(3)}, 0.5)["a"] > 0


def test_learning_refuses_known_music_rarely_and_strange_vectors_always() -> None:
    dataset = blobs(120, artists=10)
    folds = make_protocol(dataset, "artist5", seeds=[0]).folds
    embeddings = dataset.features["mobilenet_v2"]
    novelty = learn_novelty(dataset, folds, embeddings)
    assert novelty is not None
    assert set(novelty.limits) == {"timbre", "embedding"}
    refused = [novelty.strange(t[None], e) for t, e in zip(dataset.features[MFCC], embeddings, strict=True)]
    assert np.mean(refused) <= 0.05
    assert novelty.strange(dataset.features[MFCC][:1] + 50, embeddings[0])
    # One odd window of three does not make a song strange.
    windows = np.stack([dataset.features[MFCC][0], dataset.features[MFCC][0], dataset.features[MFCC][0] + 50])
    assert not novelty.strange(windows, embeddings[0])
    by_timbre = learn_novelty(dataset, folds)
    assert by_timbre is not None
    assert set(by_timbre.limits) == {"timbre"}
    # Embeddings that are each fold's own, only turned, tell the same.
    turned = [embeddings[:, ::-1]] * len(folds)
    again = learn_novelty(dataset, folds, embeddings, fold_embeddings=turned)
    assert again is not None
    assert again.embedding_limit == pytest.approx(novelty.embedding_limit, rel=1e-4)
    with pytest.raises(InputError, match="one array per fold"):
        learn_novelty(dataset, folds, embeddings, fold_embeddings=turned[:-1])
    assert learn_novelty(replace(dataset, features={"x": embeddings}), folds) is None
    of_a_fold = novelty_like(novelty, dataset.features[MFCC][:50], dataset.targets[:50], embeddings[:50])
    assert of_a_fold.limits == novelty.limits


def test_the_part_comes_back_as_it_was_written() -> None:
    rows, targets = clusters()
    for novelty in (
        Novelty(Timbres.fit(rows), 3.0, Classes.fit(rows, targets), 4.0),
        Novelty(Timbres.fit(rows), 3.0),
    ):
        data = novelty.to_bytes()
        back = Novelty.from_bytes(data, 12)
        assert back.limits == novelty.limits
        new, _ = clusters(1)
        for row in new[:5]:
            assert back.ratios(row[None], row) == pytest.approx(novelty.ratios(row[None], row), rel=5e-3)
        assert back.to_bytes() == Novelty.from_bytes(back.to_bytes(), 12).to_bytes()


def test_a_part_that_does_not_fit_is_refused() -> None:
    rows, targets = clusters()
    novelty = Novelty(Timbres.fit(rows), 3.0, Classes.fit(rows, targets), 4.0)
    with pytest.raises(StoreError, match="does not fit"):
        Novelty.from_bytes(novelty.to_bytes(), 13)
    for limit in (float("nan"), 0.0, -1.0):
        with pytest.raises(StoreError):
            Novelty.from_bytes(replace(novelty, limit=limit).to_bytes(), 12)
    data = novelty.to_bytes()
    for bad in (b"", b"x" * 50, data[: len(data) // 2], data.replace(b'\\"format\\": 1', b'\\"format\\": 7')):
        with pytest.raises(StoreError):
            Novelty.from_bytes(bad, 12)


def test_bundles_without_the_part_stay_as_they_were(tmp_path: Path, knows_hums: Path) -> None:
    old = tiny_bundle(tmp_path / "old.earmark", unsure_below=0.3)
    assert old.novelty is None
    new = load_bundle(knows_hums)
    assert new.novelty is not None
    assert new.id != old.id
    assert (new.card, new.model) == (old.card, old.model)
    with zipfile.ZipFile(tmp_path / "old.earmark") as archive:
        assert sorted(archive.namelist()) == ["bundle.json", "manifest.json", "model.onnx"]
    # A reader of before: the parts that it knows are there, under the same format.
    with zipfile.ZipFile(knows_hums) as archive:
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["format"] == 1
    assert set(manifest["parts"]) == {"bundle.json", "model.onnx", "novelty.safetensors"}


def test_a_changed_part_is_found(tmp_path: Path, knows_hums: Path) -> None:
    path = tmp_path / "changed.earmark"
    with zipfile.ZipFile(knows_hums) as source, zipfile.ZipFile(path, "w") as target:
        for name in source.namelist():
            data = bytearray(source.read(name))
            if name == "novelty.safetensors":
                data[-1] ^= 1
            target.writestr(name, bytes(data))
    with pytest.raises(EarmarkError, match="novelty"):
        load_bundle(path)


def test_answers_say_why_they_are_unsure(knows_hums: Path) -> None:
    hears = Classifier(knows_hums)
    known = hears.classify_samples(hum(280), RATE)
    assert known.doubt is None
    assert not known.unsure
    assert known.answer == "bass"
    for strange in (np.random.default_rng(0).standard_normal(30 * RATE).astype(np.float32), hum(5000)):
        found = hears.classify_samples(0.1 * strange, RATE)
        assert found.doubt == Doubt.STRANGE == "unlike anything it has learnt"
        assert found.answer == "unsure"
        assert found.to_dict()["doubt"] == str(Doubt.STRANGE)
    # Level alone: the same hum is known at -50 dB and faint at -70.
    assert hears.classify_samples(hum(280) * np.float32(10 ** (-45 / 20)), RATE).doubt is None
    faint = hears.classify_samples(hum(280) * np.float32(10 ** (-70 / 20)), RATE)
    assert faint.doubt == Doubt.FAINT
    assert faint.label == known.label


def test_confidence_still_decides_where_nothing_is_strange(tmp_path: Path) -> None:
    bundle = tiny_bundle(tmp_path / "proud.earmark", unsure_below=1.0)
    found = Classifier(bundle).classify_samples(hum(280), RATE)
    assert found.doubt == Doubt.BETWEEN
    assert found.unsure


def test_pictures_have_no_level_and_answer_like_sound(knows_hums: Path) -> None:
    hears = Classifier(knows_hums)
    sound = hum(300)
    from_picture = hears.classify_spectrograms(spectrogram(fit_window(sound, MEL), MEL)[None])
    from_sound = hears.classify_samples(sound, RATE)
    assert from_picture.probabilities == from_sound.probabilities
    assert from_picture.doubt == from_sound.doubt
    with pytest.raises(InputError, match="spectrograms"):
        hears.classify_spectrograms(np.zeros((1, BANDS, BANDS), np.uint8))
