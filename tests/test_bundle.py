"""Bundles: what they refuse, that the base install suffices, and one front end for training and serving."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from earmark.audio import load
from earmark.bundle import Bundle, load_bundle, save_bundle
from earmark.errors import AudioError, EarmarkError, InputError, StoreError
from earmark.predict import Classifier, packaged_bundle
from earmark.spectrogram import MEL, fit_window, spectrogram

RATE = 22050


@pytest.fixture(scope="module")
def shipped() -> Classifier:
    return Classifier()


def music(seconds: float, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    t = np.arange(int(seconds * RATE)) / RATE
    tones = sum(np.sin(2 * np.pi * f * t) * (np.sin(2 * np.pi * f / 300 * t) > 0) for f in (220, 330, 495, 1200))
    return (0.1 * tones + 0.01 * generator.standard_normal(len(t))).astype(np.float32)


def test_the_shipped_bundle_is_small_and_says_what_it_is() -> None:
    bundle = load_bundle(packaged_bundle())
    assert packaged_bundle().stat().st_size <= 10_000_000
    assert bundle.labels == (
        "blues",
        "classical",
        "country",
        "disco",
        "hiphop",
        "jazz",
        "metal",
        "pop",
        "reggae",
        "rock",
    )
    assert bundle.front_end == MEL
    assert 0 < bundle.unsure_below < 1
    assert bundle.card.scores
    assert bundle.card.licence
    assert bundle.card.limits


def test_serving_and_training_share_one_front_end(shipped: Classifier, tmp_path: Path) -> None:
    """A file heard through the bundle gives what its training picture gives, to the bit."""
    from earmark.extract import listen

    path = tmp_path / "clip.flac"
    soundfile.write(path, music(30), RATE)
    trained_on, _ = listen(path, shipped.bundle.front_end)
    served = spectrogram(fit_window(load(path, RATE).samples, MEL), MEL)
    np.testing.assert_array_equal(trained_on, served)
    probabilities, embedding = shipped.window_probabilities(trained_on[None])
    found = shipped.classify(path)
    np.testing.assert_array_equal(
        [found.timeline[0].probabilities[label] for label in shipped.labels], probabilities[0]
    )
    np.testing.assert_array_equal(found.embedding, embedding[0])


def test_a_prediction_is_consistent(shipped: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "long.wav"
    soundfile.write(path, music(200), RATE)
    found = shipped.classify(path)
    assert found.path == str(path)
    assert len(found.timeline) == 3
    assert [round(start) for start, _ in found.heard] == [0, 85, 170]
    assert sum(found.probabilities.values()) == pytest.approx(1)
    assert list(found.probabilities.values()) == sorted(found.probabilities.values(), reverse=True)
    assert found.label == next(iter(found.probabilities))
    assert found.unsure == (found.doubt is not None)
    assert found.unsure or found.confidence >= shipped.bundle.unsure_below
    whole = shipped.classify(path, full=True)
    assert len(whole.timeline) == 7
    assert whole.heard[-1][1] == pytest.approx(200, abs=0.1)
    assert json.loads(json.dumps(whole.to_dict(timeline=True, embedding=True)))["label"] == whole.label
    assert len(whole.to_dict(top_k=3)["probabilities"]) == 3


def test_samples_blocks_and_files_give_one_answer(shipped: Classifier, tmp_path: Path) -> None:
    path = tmp_path / "minute.flac"
    soundfile.write(path, music(62), RATE)
    from_file = shipped.classify(path, full=True)
    from_samples = shipped.classify_samples(load(path, RATE).samples, RATE)
    assert from_file.probabilities == from_samples.probabilities
    with path.open("rb") as handle:
        assert shipped.classify(handle, full=True).probabilities == from_file.probabilities


def test_gain_and_short_sound(shipped: Classifier) -> None:
    sound = music(30)
    loud, quiet = (shipped.classify_samples(np.float32(gain) * sound, RATE) for gain in (0.9, 0.09))
    assert loud.label == quiet.label
    assert loud.confidence == pytest.approx(quiet.confidence, abs=0.01)
    assert shipped.classify_samples(sound[: 3 * RATE], RATE).heard == ((0.0, 3.0),)
    with pytest.raises(AudioError, match="at least 1 s"):
        shipped.classify_samples(sound[:1000], RATE)
    with pytest.raises(AudioError, match="silent"):
        shipped.classify_samples(np.zeros(30 * RATE, np.float32), RATE)
    with pytest.raises(InputError, match="22050"):
        shipped.classify_samples(sound, 44100)
    with pytest.raises(InputError, match="At least one window"):
        shipped.classify(packaged_bundle(), windows=0)


def test_a_bundle_comes_back_as_it_was(tmp_path: Path) -> None:
    bundle = load_bundle(packaged_bundle())
    copy = save_bundle(tmp_path / "copy.earmark", bundle.card, bundle.model, bundle.novelty)
    assert copy.id == bundle.id
    assert (tmp_path / "copy.earmark").read_bytes() == packaged_bundle().read_bytes()


def test_damage_is_found_wherever_it_is(tmp_path: Path) -> None:
    whole = packaged_bundle().read_bytes()
    path = tmp_path / "damaged.earmark"
    generator = np.random.default_rng(0)
    for place in generator.integers(0, len(whole), 25):
        data = bytearray(whole)
        data[place] ^= 0x55
        path.write_bytes(bytes(data))
        try:
            assert load_bundle(path).id == load_bundle(packaged_bundle()).id
        except EarmarkError as error:
            assert str(path) in str(error)
    for length in (0, 10, 1000, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(InputError, match=r"damaged|no Earmark bundle"):
            load_bundle(path)
    with pytest.raises(InputError, match="no bundle at"):
        load_bundle(tmp_path / "none.earmark")


def test_other_versions_and_impossible_cards_are_refused(tmp_path: Path) -> None:
    def rewrite(name: str, old: bytes, new: bytes) -> Path:
        path = tmp_path / "odd.earmark"
        with zipfile.ZipFile(packaged_bundle()) as source, zipfile.ZipFile(path, "w") as target:
            for part in source.namelist():
                data = source.read(part)
                target.writestr(part, data.replace(old, new) if part == name else data)
        return path

    with pytest.raises(StoreError, match="format 9"):
        load_bundle(rewrite("manifest.json", b'"format": 1', b'"format": 9'))
    with pytest.raises(StoreError, match="not what its manifest says"):
        load_bundle(rewrite("bundle.json", b"blues", b"bluez"))
    bundle = load_bundle(packaged_bundle())
    fewer = bundle.card.model_copy(update={"labels": bundle.labels[:-1]})
    with pytest.raises(StoreError, match="10"):
        Bundle(fewer, bundle.model, "x", MEL).session()


NO_TORCH = """
import sys
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"torch", "transformers", "sklearn", "onnx", "jinja2", "matplotlib", "mutagen",
                                  "fastapi", "pyarrow", "librosa", "scipy"}:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Refuse())
from earmark.predict import Classifier
print(Classifier().classify(sys.argv[1]).label)
sys.argv = ["earmark", "crossval", "gtzan", "-o", sys.argv[2]]
from earmark.cli import main
main()
"""


def test_the_base_install_hears_and_names_the_extra_it_lacks(tmp_path: Path, shipped: Classifier) -> None:
    path = tmp_path / "clip.wav"
    soundfile.write(path, music(30), RATE)
    done = subprocess.run(
        [sys.executable, "-c", NO_TORCH, str(path), str(tmp_path / "run")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.split() == [shipped.classify(path).label]
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "pip install 'earmark[train]'" in done.stderr


@pytest.mark.shared
def test_real_sound_scores_like_its_stored_picture(shared: Path, shipped: Classifier) -> None:
    with np.load(shared / "gtzan" / "mel.npz") as archive:
        row = {str(name): number for number, name in enumerate(archive["ids"])}
        pictures = archive["mel"]
    same = 0
    paths = sorted((shared / "gtzan" / "audio").glob("*/*.flac"))[::5]
    for path in paths:
        stored, _ = shipped.window_probabilities(pictures[row[path.stem]][None])
        same += shipped.classify(path).label == shipped.labels[int(stored[0].argmax())]
    assert same >= len(paths) - 1
