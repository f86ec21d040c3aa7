"""Hearing clips in every version: who may hear them, and what the table says."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bundles import tiny_bundle
from earmark.audio import load
from earmark.bundle import load_bundle, save_bundle
from earmark.cli import main
from earmark.dataset import load_dataset
from earmark.errors import InputError
from earmark.robustness.ears import clips_fingerprint, fold_bundles, one_bundle
from earmark.robustness.genres import GenreOut, auroc
from earmark.robustness.measure import Heard, Robustness, mean_interval, measure
from earmark.robustness.refit import add_novelty
from earmark.robustness.sounds import KINDS, coloured_noise
from earmark.robustness.unknown import hear_unknown, together
from earmark.spectrogram import FrontEnd, fit_window, spectrogram
from page_checks import Page
from sounds import tone

RATE = 22050
# A short window keeps the network quick; the versions are the same.
SHORT = FrontEnd(seconds=2.0)


@pytest.fixture(scope="module")
def music(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("music")
    for label, pitch in (("bass", 150), ("treble", 6000)):
        (folder / label).mkdir()
        for number in range(2):
            soundfile.write(folder / label / f"{number}.wav", tone(2, RATE, pitch * (1 + 0.05 * number)), RATE)
    return folder


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("bundle") / "tiny.earmark"
    tiny_bundle(path, front_end=SHORT, unsure_below=0.2)
    return path


def folds(folder: Path, bundle: Path, ids: tuple[str, ...]) -> Path:
    """Two bundles of folds, each of which vouches for half of the clips."""
    folder.mkdir()
    model = load_bundle(bundle)
    rows = []
    for number in range(2):
        mine = ids[number::2]
        card = model.card.model_copy(update={"provenance": {"held_out": clips_fingerprint(mine)}})
        save_bundle(folder / f"f{number}.earmark", card, model.model)
        rows += [(clip, f"f{number}.earmark") for clip in mine]
    with (folder / "clips.csv").open("w", newline="") as handle:
        csv.writer(handle).writerows([("clip", "bundle"), *rows])
    return folder


def test_the_command_measures_out_of_fold_and_writes_all_it_says(
    music, bundle, tmp_path, capsys, monkeypatch
) -> None:
    dataset = load_dataset(music)
    where = folds(tmp_path / "folds", bundle, dataset.ids)
    words = ["earmark", "robustness", str(music), "--folds", str(where), "-o", str(tmp_path / "out"), "--jobs", "1"]
    monkeypatch.setattr("sys.argv", words)
    with pytest.raises(SystemExit) as left:
        main()
    assert not left.value.code
    shown = capsys.readouterr().out
    assert "gain −12 dB" in shown
    found = json.loads((tmp_path / "out" / "robustness.json").read_text())
    assert found["out_of_fold"]
    rows = {row["name"]: row for row in found["rows"]}
    assert rows["clean"]["accuracy"]["value"] == 1.0
    # A level is not a genre: nothing changes, to the last digit of the probability but rounding.
    for name in ("gain −12 dB", "gain +12 dB"):
        assert rows[name]["changed"]["value"] == 0
        assert abs(rows[name]["probability"]["value"]) < 1e-3
    # Without its treble, a treble tone is something else.
    assert rows["up to 4 kHz"]["accuracy"]["value"] == 0.5
    assert rows["up to 4 kHz"]["difference"]["value"] == -0.5
    assert "| up to 4 kHz |" in (tmp_path / "out" / "robustness.md").read_text()
    page = Page((tmp_path / "out" / "robustness.html").read_text())
    page.check()
    assert "Out of fold." in page.text


def test_numbers_do_not_depend_on_how_many_work(music, bundle) -> None:
    dataset = load_dataset(music)
    first, second = (measure(dataset, one_bundle(bundle), seed=seed).to_dict() for seed in (0, 0))
    assert first == second


def test_a_bundle_must_vouch_for_its_clips(music, bundle, tmp_path) -> None:
    ids = load_dataset(music).ids
    where = folds(tmp_path / "folds", bundle, ids)
    assert fold_bundles(where).out_of_fold
    table = where / "clips.csv"
    rows = table.read_text().replace("f0.earmark", "f1.earmark", 1)
    table.write_text(rows)
    with pytest.raises(InputError, match="never heard"):
        fold_bundles(where)
    table.write_text("clip,bundle\na,../f0.earmark\n")
    with pytest.raises(InputError, match="not the name of a file"):
        fold_bundles(where)
    with pytest.raises(InputError, match="no bundles of folds"):
        fold_bundles(tmp_path)


def test_finished_bundles_are_given_what_tells_strange_sound(music, bundle, tmp_path) -> None:
    dataset = load_dataset(music)
    pictures = np.stack(
        [spectrogram(fit_window(load(clip.path, RATE).samples, SHORT), SHORT) for clip in dataset.clips]
    )
    where = folds(tmp_path / "folds", bundle, dataset.ids)
    own = tmp_path / "own.earmark"
    own.write_bytes(bundle.read_bytes())
    before = load_bundle(own)
    made = add_novelty(own, where, replace(dataset, spectrograms=pictures, front_end=SHORT))
    after = load_bundle(own)
    assert (after.card, after.model) == (before.card, before.model)
    assert after.novelty is not None
    assert after.novelty.limits == made.limits
    # The folds still vouch for their clips, and refuse beyond the same limits.
    for file in fold_bundles(where).files.values():
        part = load_bundle(file).novelty
        assert part is not None
        assert part.limits == made.limits
    with pytest.raises(InputError, match="no spectrograms"):
        add_novelty(own, where, dataset)


def test_what_cannot_be_measured_says_why(music, bundle, tmp_path) -> None:
    other = tmp_path / "other"
    (other / "polka").mkdir(parents=True)
    (other / "waltz").mkdir()
    for label in ("polka", "waltz"):
        soundfile.write(other / label / "a.wav", tone(2, RATE), RATE)
    with pytest.raises(InputError, match="polka"):
        measure(load_dataset(other), one_bundle(bundle))
    with pytest.raises(InputError, match="no clip with a sound file"):
        measure(load_dataset(music), fold_bundles(folds(tmp_path / "folds", bundle, ("x", "y"))))


def test_rows_are_paired_and_point_the_right_way() -> None:
    generator = np.random.default_rng(0)
    true = generator.integers(0, 3, 90)
    clean = np.where(generator.random(90) < 0.7, true, (true + 1) % 3)
    worse = clean.copy()
    worse[:30] = (true[:30] + 1) % 3
    answered = np.ones(90, np.bool_)
    found = Robustness(
        dataset="x", model="y", out_of_fold=True, trained_on=False, labels=("a", "b", "c"),
        clips=tuple(f"{i}" for i in range(90)), groups=tuple(f"g{i // 3}" for i in range(90)), y_true=true,
        heard=(
            Heard("clean", "", clean, np.full(90, 0.6), answered),
            Heard("same", "", clean, np.full(90, 0.6), answered),
            Heard("worse", "", worse, np.full(90, 0.5), ~answered),
        ),
    )  # fmt: skip
    _, same, bad = found.rows
    assert (same.difference.value, same.difference.low, same.difference.high) == (0, 0, 0)
    assert bad.difference.value == pytest.approx((worse == true).mean() - (clean == true).mean())
    assert bad.difference.high < 0
    assert bad.large
    assert not same.large
    assert bad.probability.value == pytest.approx(-0.1)
    assert (bad.answered, np.isnan(bad.precision)) == (0, True)


def test_a_mean_of_one_group_has_no_interval() -> None:
    assert not mean_interval(np.ones(4), ["a"] * 4).known
    found = mean_interval(np.arange(4.0), list("abcd"))
    assert found.low <= found.value <= found.high


def test_sounds_are_the_same_each_time_and_unlike_one_another() -> None:
    assert {kind.half for kind in KINDS} == {"development", "test"}
    assert len({kind.name for kind in KINDS}) == len(KINDS)
    for kind in KINDS:
        first, again = (list(kind.examples(2, seconds=1.0)) for _ in range(2))
        np.testing.assert_array_equal(first, again)
        assert not np.array_equal(*first)
        assert all(sound.dtype == np.float32 and np.isfinite(sound).all() and sound.any() for sound in first), (
            kind.name
        )
        assert np.abs(first).max() <= 0.5 + 1e-6


@pytest.mark.parametrize("exponent", [0.0, 1.0, 2.0])
def test_the_colour_of_noise_is_its_slope(exponent: float) -> None:
    sound = coloured_noise(np.random.default_rng(0), 1 << 18, exponent, RATE)
    power = np.abs(np.fft.rfft(sound)) ** 2
    frequencies = np.fft.rfftfreq(len(sound), 1 / RATE)
    inside = (frequencies > 50) & (frequencies < 10000)
    slope = np.polyfit(np.log(frequencies[inside]), np.log(power[inside]), 1)[0]
    assert slope == pytest.approx(-exponent, abs=0.05)


def test_false_accepts_are_counted_by_kind(tmp_path) -> None:
    from earmark.predict import Classifier

    hears = Classifier(tiny_bundle(tmp_path / "b.earmark", front_end=SHORT, unsure_below=0.2))
    sounds = [("tone", "test", tone(2, RATE, 150)), ("tone", "test", tone(2, RATE, 6000))]
    sounds += [("silence", "test", np.zeros(2 * RATE, np.float32))]
    tones, silence = hear_unknown(hears, sounds)
    assert (tones.sounds, tones.accepted, tones.confident) == (2, 2, 2)
    assert (silence.sounds, silence.accepted, dict(silence.doubts)) == (1, 0, {"silent": 1})
    total = together([tones, silence])
    assert (total.sounds, total.accepted) == (3, 2)
    assert 0 < total.interval().low < 2 / 3 < total.interval().high < 1


def test_left_out_genres_by_coverage() -> None:
    one = GenreOut("a", np.linspace(0.5, 1, 100), np.linspace(0, 0.5, 50), np.zeros(100, bool), np.zeros(50, bool))
    assert one.auroc() == pytest.approx(1, abs=0.001)
    assert one.accepted(0.5, novelty=True).value == 0
    alike = GenreOut("b", np.arange(100.0), np.arange(100.0), np.zeros(100, bool), np.arange(100) < 100)
    assert alike.auroc() == pytest.approx(0.5)
    assert alike.accepted(0.3, novelty=False).value == pytest.approx(0.3)
    assert alike.accepted(0.3, novelty=True).value == 0
    assert auroc(np.array([1.0]), np.array([1.0])) == 0.5
