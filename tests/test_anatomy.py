"""The anatomy of a step: every procedure is carried out, resumed, judged by its figures and shown on a page."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from earmark import anatomy
from earmark.anatomy import Anatomy, Claim, Condition, explain
from earmark.anatomy_seeds import Repeated, Spread, explain_seeds
from earmark.dataset import Clip, Dataset, make_dataset
from earmark.errors import InputError
from earmark.report.anatomy_page import anatomy_html, sentences
from earmark.report.anatomy_seeds_view import markdown_over, sentences_over
from earmark.run_scores import accuracy, best_epochs, fold_accuracies, matching_epochs
from page_checks import Page

FOLDS = 3


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    """Forty clips that are hard to tell apart and easy to learn by heart."""
    random = np.random.default_rng(3)
    middles = 0.25 * random.normal(size=(2, 64))
    clips = [Clip(f"g{i % 2}.{i:03d}", f"g{i % 2}") for i in range(40)]
    features = np.stack([middles[i % 2] + random.normal(size=64) for i in range(40)]).astype(np.float32)
    return make_dataset("made up", clips, features={"mobilenet_v2": features})


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("anatomy") / "out"


@pytest.fixture(scope="module")
def found(dataset: Dataset, folder: Path) -> Anatomy:
    return explain(dataset, folder, epochs=3, folds=FOLDS, jobs=1, claim=Claim(0.5, 0.9, False))


def by_key(condition: Condition) -> dict[str, anatomy.Explanation]:
    return {item.key: item for item in condition.explanations}


def test_every_procedure_is_a_run_and_begins_alike(found: Anatomy, folder: Path) -> None:
    assert [where.model for where in found.conditions if not where.matched] == ["tl-cnn-gru", "tl-cnn"]
    for where in found.conditions:
        for runs in (where.runs, where.shuffled):
            assert list(runs) == ["split", "honest", "kept"]
            assert all(run.folder.parent == folder for run in runs.values())
        # Nothing has been kept before the first fold.
        assert fold_accuracies(where.runs["honest"])[0] == fold_accuracies(where.runs["kept"])[0]
        honest, kept = where.runs["honest"].info["folds"], where.runs["kept"].info["folds"]
        same = [a["initial_weights"] == b["initial_weights"] for a, b in zip(honest, kept, strict=True)]
        assert same == [True] + [False] * (FOLDS - 1)
        fresh = {test.test: test for test in where.leak_tests["kept"]}["every fold begins from a fresh model"]
        assert fresh.passed is False
        assert all(test.passed is not False for test in where.leak_tests["honest"][2:])


def test_steps_come_from_the_figures_of_the_runs(found: Anatomy) -> None:
    where = found.conditions[0]
    items = by_key(where)
    split, honest = accuracy(where.runs["split"]), accuracy(where.runs["honest"])
    assert items["honest"].step == pytest.approx(honest - split)
    assert items["kept"].after == accuracy(where.runs["kept"])
    assert items["best-fold"].after == max(fold_accuracies(where.runs["honest"]))
    assert items["best-epoch"].after >= honest
    assert best_epochs(where.runs["honest"]) == items["best-epoch"].folds
    assert items["unlucky"].before <= honest
    for item in items.values():
        assert item.step_fits == (abs(item.step - 0.4) <= item.tolerance)


def test_a_kept_model_learns_shuffled_labels_by_heart(dataset: Dataset, tmp_path: Path) -> None:
    more = explain(dataset, tmp_path, epochs=12, folds=4, jobs=1, learning_rate=3e-3, claim=Claim(0.1, 0.9))
    kept, honest = (by_key(more.conditions[0])[key] for key in ("kept", "honest"))
    assert kept.shuffled > 0.85
    assert honest.shuffled < 0.75
    assert more.conditions[0].leak_tests["kept"][0].passed is False
    assert more.conditions[0].leak_tests["honest"][0].passed is True
    assert "answers from memory" in sentences(more)[-1]


def test_finished_runs_are_read_and_other_settings_stand_beside_them(
    dataset: Dataset, found: Anatomy, folder: Path
) -> None:
    before = {path: path.stat().st_mtime_ns for path in folder.glob("*/run.json")}
    again = explain(dataset, folder, epochs=3, folds=FOLDS, jobs=1, claim=found.claim)
    assert again.to_dict() == found.to_dict()
    assert {path: path.stat().st_mtime_ns for path in folder.glob("*/run.json")} == before
    assert json.loads((folder / "explanation.json").read_text(encoding="utf-8")) == json.loads(
        json.dumps(found.to_dict())
    )
    with pytest.raises(InputError, match="another finished run"):
        explain(dataset, folder, epochs=3, folds=FOLDS, seed=1, jobs=1, claim=found.claim)


def test_the_page_is_whole_and_its_sentences_follow_the_figures(found: Anatomy) -> None:
    page = Page(anatomy_html(Repeated((found,))))
    page.check()
    for sentence in sentences(found):
        assert sentence in page.text
    assert "The report publishes" not in page.text
    ours = by_key(found.conditions[0])["honest"]
    fitting = tuple(
        replace(where, claim=Claim(ours.before, ours.after)) for where in found.conditions if not where.matched
    )
    other = replace(found, conditions=fitting, claim=Claim(ours.before, ours.after))
    assert by_key(other.conditions[0])["honest"].fits
    said = sentences(other)
    assert "could be the claimed step" in said[0]
    assert "Step and both figures of the claim are met by: cross-validation itself" in said[1]
    text = Page(anatomy_html(Repeated((other,)))).text
    assert "The report publishes no accuracies of single folds" in text
    assert text != page.text


def test_over_seeds_every_figure_is_a_mean_and_agreement_is_counted(
    dataset: Dataset, found: Anatomy, folder: Path, tmp_path: Path
) -> None:
    options = {"epochs": 3, "folds": FOLDS, "jobs": 1, "claim": Claim(0.5, 0.9, False)}
    # What is there of a seed is read.
    shutil.copytree(folder, tmp_path / "seed-0")
    over = explain_seeds(dataset, tmp_path, [0, 4], **options)
    assert over.experiments[0].to_dict() == found.to_dict()
    assert over.seeds == (0, 4)
    assert explain(dataset, tmp_path / "seed-4", seed=4, **options).to_dict() == over.experiments[1].to_dict()
    for key in ("honest", "kept", "best-fold"):
        alone = [by_key(one.conditions[0])[key] for one in over.experiments]
        item = over.finding(key)
        assert item.step.values == tuple(one.step for one in alone)
        assert item.step.mean == pytest.approx(np.mean([one.after - one.before for one in alone]))
        assert (item.step_fits, item.fits) == (sum(a.step_fits for a in alone), sum(a.fits for a in alone))
        assert item.step.low is not None and item.step.low <= item.step.mean <= (item.step.high or 0)
    page = Page(anatomy_html(over))
    page.check()
    text = markdown_over(over)
    for sentence in sentences_over(over):
        assert sentence in page.text and sentence in text
    assert "seeds 0 and 4" in page.text
    assert "one deal of the clips" not in page.text
    saved = json.loads((tmp_path / "explanation.json").read_text(encoding="utf-8"))
    assert saved["findings"] == json.loads(json.dumps(over.to_dict()["findings"]))
    for seeds in ([], [1, 1]):
        with pytest.raises(InputError, match="none of them twice"):
            explain_seeds(dataset, tmp_path, seeds, **options)


def test_a_network_that_one_seed_lacks_is_counted_over_the_others(found: Anatomy) -> None:
    full = tuple(where for where in found.conditions if not where.matched)
    matched = replace(full[0], matched=True, epochs=1)
    over = Repeated((replace(found, conditions=full), replace(found, conditions=(*full, matched), seed=1)))
    counted = {(item.model, item.matched): item.seeds for item in over.findings}
    assert counted == {("tl-cnn-gru", False): 2, ("tl-cnn-gru", True): 1, ("tl-cnn", False): 2}
    assert [item.model for item in over.findings] == sorted((i.model for i in over.findings), reverse=True)
    Page(anatomy_html(over)).check()


def test_interval_of_a_mean_is_students() -> None:
    figure = Spread.of([0.1, 0.2, 0.3])
    # t(0.975, 2) = 4.30265 (any printed table); the standard error of these is 0.1 / sqrt(3).
    assert figure.high == pytest.approx(0.2 + 4.30265 * 0.1 / 3**0.5, rel=1e-5)
    assert Spread.of([0.4]).low is None


def test_a_claim_must_be_two_accuracies(dataset: Dataset, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="between 0 and 1"):
        explain(dataset, tmp_path, claim=Claim(55, 71))
    with pytest.raises(InputError, match="at least 3 folds"):
        explain(dataset, tmp_path, folds=2)


def test_matching_takes_the_nearer_epoch(found: Anatomy) -> None:
    split = found.conditions[0].runs["split"]
    curve = replace(split.curves[0, 0], validation_accuracy=np.array([0.3, 0.5, 0.7, 0.8]))
    shown = replace(split, curves={(0, 0): curve})
    assert matching_epochs(shown, 0.55) == 2
    assert matching_epochs(shown, 0.65) == 3
    assert matching_epochs(shown, 0.2) == 1
    assert matching_epochs(shown, 0.9) is None
    assert matching_epochs(shown, 0.79) is None
