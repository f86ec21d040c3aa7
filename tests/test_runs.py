"""Run folders: read back as written, and refused with a sentence where they are damaged."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from earmark.errors import InputError, StoreError
from earmark.files import write_json
from earmark.run_files import PREDICTION_COLUMNS, ClipInfo, write_predictions
from earmark.runs import load_run
from simulated_run import rewrite_csv, simulate

LABELS = ("blues", "jazz", "rock")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small run."""
    return simulate(tmp_path / "run", labels=LABELS, per_label=12, repeats=2, folds=3, epochs=4)


def test_a_run_is_read_as_it_was_written(folder: Path) -> None:
    run = load_run(folder)
    assert run.name == "run"
    assert run.labels == LABELS
    assert (run.kind, run.model, run.dataset) == ("crossval", "tl-cnn-gru", "simulated")
    assert len(run.clips) == 36
    assert run.clips["jazz.00001"].name == "Artist ja0 – Song 1"
    assert run.clips["jazz.00000"] == ClipInfo("jazz.00000", "jazz")
    assert run.group_of("jazz.00000") == "jazz.00000"
    assert run.group_of("jazz.00001") == "Artist ja0"
    found = run.predictions
    assert found is not None
    assert found.probabilities.shape == (72, 3)
    np.testing.assert_allclose(found.probabilities.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_array_equal(found.predicted, found.probabilities.argmax(axis=1))
    assert sorted(set(found.repeat.tolist())) == [0, 1]
    assert set(run.roles) == set(zip(found.repeat.tolist(), found.fold.tolist(), strict=True))
    tested = [clip for place, roles in run.roles.items() if place[0] == 0 for clip in roles["test"]]
    assert sorted(tested) == sorted(run.clips)
    assert run.curves[0, 0].epoch.tolist() == [1, 2, 3, 4]
    assert [test.passed for test in run.leaks] == [True, True, True, None]
    assert run.joint is not None
    assert run.joint.times.tolist() == [2] * 36
    picture = run.thumbnails(["rock.00003", "nobody"])
    assert list(picture) == ["rock.00003"]
    assert picture["rock.00003"].dtype == np.uint8


def test_float32_probabilities_survive_the_csv(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    clips = {f"c{i}": ClipInfo(f"c{i}", "a", "g") for i in range(50)}
    p = random.random((50, 2)).astype(np.float32)
    p[:, 1] = 1 - p[:, 0]
    write_predictions(tmp_path / "p.csv", ("a", "b"), clips, [(0, 0, f"c{i}", "a", p[i]) for i in range(50)])
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == ",".join([*PREDICTION_COLUMNS, "p:a", "p:b"])
    back = np.array([[float(cell) for cell in line.split(",")[-2:]] for line in lines[1:]], dtype=np.float32)
    np.testing.assert_array_equal(back, p)


def test_scores_are_computed_where_they_are_missing_or_from_another_version(folder: Path) -> None:
    stored = load_run(folder).metrics
    (folder / "metrics.json").unlink()
    assert load_run(folder).metrics == stored
    write_json(folder / "metrics.json", {"format": 99})
    assert load_run(folder).metrics == stored


def test_a_run_may_lack_curves_leaks_and_thumbnails(folder: Path) -> None:
    for name in ("curves.csv", "leaks.json", "thumbnails.npz", "folds.csv"):
        (folder / name).unlink()
    run = load_run(folder)
    assert run.curves == {}
    assert run.leaks == ()
    assert run.thumbnails(["rock.00003"]) == {}
    (folder / "predictions.csv").unlink()
    run = load_run(folder)
    assert run.predictions is None
    assert run.metrics is None
    assert run.joint is None


def test_an_empty_cell_is_a_missing_number(folder: Path) -> None:
    rewrite_csv(folder / "curves.csv", lambda rows: [rows[0], *([*row[:5], "", ""] for row in rows[1:])])
    assert np.isnan(load_run(folder).curves[0, 0].validation_loss).all()


def test_names_with_commas_quotes_and_newlines_survive(tmp_path: Path) -> None:
    odd = 'He said "no", <b>\nтest'
    clips = [ClipInfo(f"{odd} {i}", LABELS[i % 3], None, odd, odd) for i in range(12)]
    run = load_run(simulate(tmp_path / "r", labels=LABELS, clips=clips, folds=2))
    assert run.clips[f"{odd} 0"].title == odd
    assert run.predictions is not None
    assert set(run.predictions.clips) == set(run.clips)


def test_there_is_no_run(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="does not exist"):
        load_run(tmp_path / "nowhere")
    with pytest.raises(InputError, match=r"holds no run\.json"):
        load_run(tmp_path)


def edit_json(name: str, change: Callable[[dict], None]) -> Callable[[Path], None]:
    def edit(folder: Path) -> None:
        value = json.loads((folder / name).read_text())
        change(value)
        write_json(folder / name, value)

    return edit


def edit_csv(name: str, change: Callable[[list[list[str]]], list[list[str]]]) -> Callable[[Path], None]:
    return lambda folder: rewrite_csv(folder / name, change)


def put(row: int, column: int, value: str) -> Callable[[list[list[str]]], list[list[str]]]:
    def change(rows: list[list[str]]) -> list[list[str]]:
        rows[row][column] = value
        return rows

    return change


DAMAGES: dict[str, tuple[Callable[[Path], object], str]] = {
    "torn run.json": (lambda f: (f / "run.json").write_text('{"format": 1, "lab'), "run.json cannot be read"),
    "run.json is a list": (lambda f: (f / "run.json").write_text("[]"), "not a run's description"),
    "no labels": (edit_json("run.json", lambda v: v.pop("labels")), "says nothing of the labels"),
    "labels twice": (edit_json("run.json", lambda v: v.update(labels=["blues", "blues"])), "lists no labels"),
    "no dataset name": (edit_json("run.json", lambda v: v.update(dataset={})), "does not say the name"),
    "no clips.csv": (lambda f: (f / "clips.csv").unlink(), "clips.csv cannot be read"),
    "no column": (edit_csv("clips.csv", put(0, 1, "genre")), "lacks the column label"),
    "clip twice": (edit_csv("clips.csv", lambda r: [*r, r[1]]), "twice"),
    "unknown label": (edit_csv("clips.csv", put(3, 1, "polka")), "'polka' at line 4"),
    "torn clips.csv": (edit_csv("clips.csv", lambda r: [*r[:-1], r[-1][:2]]), "torn at line 37"),
    "unknown clip": (edit_csv("predictions.csv", put(5, 2, "polka.1")), "polka.1 at line 6"),
    "other label": (edit_csv("predictions.csv", put(5, 5, "polka")), "label at line 6"),
    "no number": (edit_csv("predictions.csv", put(5, 8, "much")), "other than a probability at line 6"),
    "bad sum": (edit_csv("predictions.csv", put(5, 8, "3.5")), "do not sum to 1"),
    "nan": (edit_csv("predictions.csv", put(5, 8, "nan")), "do not sum to 1"),
    "predicted twice": (edit_csv("predictions.csv", lambda r: [*r, r[1]]), "twice in one fold"),
    "no predictions": (edit_csv("predictions.csv", lambda r: r[:1]), "holds no predictions"),
    "half a fold": (edit_csv("predictions.csv", put(5, 0, "0.5")), "whole number"),
    "not text": (lambda f: (f / "predictions.csv").write_bytes(b"\xff\xfe\x00" * 50), "cannot be read"),
    "other predictions": (edit_csv("predictions.csv", lambda r: r[:-1]), "does not belong to predictions.csv"),
    "odd role": (edit_csv("folds.csv", put(2, 3, "tset")), "'tset' at line 3"),
    "fold of unknown clip": (edit_csv("folds.csv", put(2, 2, "polka.1")), "polka.1 at line 3"),
    "odd curve": (edit_csv("curves.csv", put(2, 3, "low")), "other than a number at line 3"),
    "odd leaks": (lambda f: (f / "leaks.json").write_text('[{"test": "x"}]'), "leak tests"),
}


@pytest.mark.parametrize("name", DAMAGES)
def test_damage_is_told_in_a_sentence(folder: Path, name: str) -> None:
    harm, words = DAMAGES[name]
    harm(folder)
    with pytest.raises(StoreError, match=words) as caught:
        load_run(folder)
    assert str(folder) in str(caught.value)
    assert str(caught.value).endswith(".")


def test_another_version_is_refused(folder: Path) -> None:
    edit_json("run.json", lambda v: v.update(format=2, earmark="9.0"))(folder)
    with pytest.raises(StoreError, match=r"written by earmark 9\.0 in format 2; this version reads format 1"):
        load_run(folder)


def test_damaged_thumbnails_are_refused(folder: Path) -> None:
    whole = (folder / "thumbnails.npz").read_bytes()
    for harm in (whole[: len(whole) // 2], b"", b"PK\x03\x04nonsense"):
        (folder / "thumbnails.npz").write_bytes(harm)
        with pytest.raises(StoreError, match="thumbnails"):
            load_run(folder).thumbnails(["rock.00003"])
    np.savez(folder / "thumbnails.npz", ids=np.array(["a"]), thumbnails=np.zeros((1, 4, 4)))
    with pytest.raises(StoreError, match="8-bit"):
        load_run(folder).thumbnails(["a"])
    # Pickled objects are never unpacked.
    np.savez(folder / "thumbnails.npz", ids=np.array([{}], dtype=object), thumbnails=np.zeros((1, 4, 4), np.uint8))
    with pytest.raises(StoreError, match="thumbnails"):
        load_run(folder).thumbnails(["a"])
