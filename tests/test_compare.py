"""Comparing runs: numbers against the metrics, refusals, the page and the command."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import typer
from typer.testing import CliRunner

from earmark import metrics
from earmark.cli import results
from earmark.compare import compare, names_of
from earmark.errors import InputError
from earmark.report import compare_html, verdict
from earmark.runs import load_run
from page_checks import Page
from simulated_run import rewrite_csv, simulate

LABELS = ("blues", "country", "jazz", "rock")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A good run, a better one on the same folds, one on other folds, one on fewer clips."""
    base = tmp_path_factory.mktemp("runs")
    options = {"labels": LABELS, "per_label": 30, "repeats": 2, "epochs": 2}
    return {
        "plain": simulate(base / "plain", seed=1, skill=1.4, **options),
        "better": simulate(base / "better", seed=2, skill=2.6, model="other", **options),
        "twin": simulate(base / "twin", seed=1, skill=1.4, **options),
        "dealt": simulate(base / "dealt", seed=1, fold_seed=5, **options),
        "fewer": simulate(base / "fewer", seed=1, **{**options, "per_label": 20}),
        "once": simulate(base / "once", seed=1, **{**options, "repeats": 1}),
        "random": simulate(base / "random", seed=1, protocol="random10", grouped=False, **options),
        "others": simulate(base / "others", labels=("a", "b"), per_label=20, repeats=2),
    }


def test_differences_are_those_of_the_scores(runs: dict[str, Path]) -> None:
    plain, better = load_run(runs["plain"]), load_run(runs["better"])
    found = compare([plain, better], resamples=400)
    assert plain.metrics is not None
    assert better.metrics is not None
    pair = found.pair(0, 1)
    for key in ("accuracy", "macro_f1"):
        expected = better.metrics[key]["value"] - plain.metrics[key]["value"]
        assert getattr(pair.differences, key).value == pytest.approx(expected)
    assert pair.differences.accuracy.low > 0
    assert "better is better than plain" in verdict(found, pair)
    assert found.entries[0].accuracy.value == pytest.approx(plain.metrics["accuracy"]["value"])
    # The same draws for the same seed and resamples: a run's interval is the one its own report shows.
    own = metrics.evaluate(
        plain.labels,
        plain.predictions.y_true,  # type: ignore[union-attr]
        plain.predictions.probabilities,  # type: ignore[union-attr]
        [plain.group_of(clip) for clip in plain.predictions.clips],  # type: ignore[union-attr]
        clips=plain.predictions.clips,  # type: ignore[union-attr]
        repeats=plain.predictions.repeat.tolist(),  # type: ignore[union-attr]
        resamples=400,
    )
    assert found.entries[0].accuracy.to_dict() == pytest.approx(own["accuracy"])


def test_won_clips_are_the_discordant_ones(runs: dict[str, Path]) -> None:
    found = compare([load_run(runs["plain"]), load_run(runs["better"])], resamples=100)
    pair = found.pair(0, 1)
    by_first, by_second = found.won(pair)
    assert (len(by_first), len(by_second)) == (pair.test.first, pair.test.second)
    gap = found.entries[1].share_right - found.entries[0].share_right
    assert (gap[by_second] > 0).all()
    assert (gap[by_first] < 0).all()
    assert (np.diff(gap[by_second]) <= 1e-12).all()
    assert pair.adjusted == pair.test.mid_p
    assert json.loads(json.dumps(found.to_dict(), allow_nan=False))["pairs"][0]["won_by_second"] == [
        found.clips[i] for i in by_second
    ]


def test_twins_cannot_be_told_apart(runs: dict[str, Path]) -> None:
    found = compare([load_run(runs["plain"]), load_run(runs["twin"])], resamples=100)
    pair = found.pair(0, 1)
    assert pair.differences.accuracy.low == pair.differences.accuracy.high == 0.0
    assert pair.test.exact == 1.0
    assert "cannot be told apart" in verdict(found, pair)
    assert found.settings == ()


def test_the_order_of_two_runs_only_turns_the_sign(runs: dict[str, Path]) -> None:
    a, b = load_run(runs["plain"]), load_run(runs["better"])
    one, other = compare([a, b], resamples=200).pairs[0], compare([b, a], resamples=200).pairs[0]
    assert one.differences.accuracy.low == pytest.approx(-other.differences.accuracy.high)
    assert (one.test.first, one.test.second) == (other.test.second, other.test.first)


def test_three_runs_are_compared_in_pairs_and_p_values_adjusted(runs: dict[str, Path]) -> None:
    found = compare([load_run(runs[name]) for name in ("plain", "better", "twin")], resamples=100)
    assert [(pair.first, pair.second) for pair in found.pairs] == [(0, 1), (0, 2), (1, 2)]
    assert found.pair(2, 1) is found.pairs[2]
    assert [pair.adjusted for pair in found.pairs] == metrics.holm([pair.test.mid_p for pair in found.pairs])
    assert ("model: name", ("tl-cnn-gru", "other", "tl-cnn-gru")) in found.settings
    every = [entry.share_right for entry in found.entries]
    for item in found.suspects:
        assert all(share[found.clips.index(item.clip)] == 0 for share in every)
        assert item.times == 6


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ("dealt", "made on other folds"),
        ("fewer", "made on other clips: 40 only in the first, 0 only in the second"),
        ("once", "another number of repeats: 2 and 1"),
        ("random", "other protocols: artist5 and random10"),
    ],
)
def test_unlike_runs_are_refused_or_explained(runs: dict[str, Path], other: str, words: str) -> None:
    pair = [load_run(runs["plain"]), load_run(runs[other])]
    with pytest.raises(InputError, match=words) as caught:
        compare(pair)
    assert "--allow-different" in str(caught.value)
    found = compare(pair, allow_different=True, resamples=100)
    assert words in " ".join(found.reasons)
    assert len(found.clips) == (80 if other == "fewer" else 120)
    assert words in Page(compare_html(found)).text


def test_other_labels_are_always_refused(runs: dict[str, Path]) -> None:
    with pytest.raises(InputError, match="other labels"):
        compare([load_run(runs["plain"]), load_run(runs["others"])], allow_different=True)


def test_relabelled_clips_and_other_groups_are_told(runs: dict[str, Path], tmp_path: Path) -> None:
    changed = simulate(tmp_path / "changed", labels=LABELS, per_label=30, repeats=2, epochs=2, seed=1, skill=1.4)

    def regroup(rows: list[list[str]]) -> list[list[str]]:
        rows[2][2] = "someone else"
        return rows

    rewrite_csv(changed / "clips.csv", regroup)
    with pytest.raises(InputError, match="group their clips differently"):
        compare([load_run(runs["plain"]), load_run(changed)])


def test_what_cannot_be_compared(runs: dict[str, Path], tmp_path: Path) -> None:
    plain = load_run(runs["plain"])
    with pytest.raises(InputError, match="at least two"):
        compare([plain])
    with pytest.raises(InputError, match="given twice"):
        compare([plain, plain])
    bare = simulate(tmp_path / "bare", labels=LABELS, per_label=30, repeats=2, epochs=2)
    (bare / "predictions.csv").unlink()
    with pytest.raises(InputError, match="holds no predictions"):
        compare([plain, load_run(bare)])


def test_runs_of_one_name_get_their_parents(tmp_path: Path) -> None:
    found = [load_run(simulate(tmp_path / part / "run", labels=LABELS, per_label=5, epochs=0)) for part in "ab"]
    assert names_of(found) == ("a/run", "b/run")


def test_the_page_says_it_all(runs: dict[str, Path]) -> None:
    found = compare([load_run(runs[name]) for name in ("plain", "better", "twin")], resamples=100)
    page = Page(compare_html(found))
    page.check()
    assert verdict(found, found.pair(0, 1)) in page.text
    assert "Every pair" in page.text
    assert "What else differs" in page.text
    assert page.count("table") >= 5


# --- the command ---


@pytest.fixture
def command() -> typer.Typer:
    app = typer.Typer()
    results.register(app)
    return app


def test_the_command_prints_a_table_and_writes_page_and_numbers(
    runs: dict[str, Path], tmp_path: Path, command: typer.Typer
) -> None:
    folders = [str(runs["plain"]), str(runs["better"])]
    done = CliRunner().invoke(command, ["compare", *folders, "-o", str(tmp_path / "c.html"), "--resamples", "200"])
    assert done.exit_code == 0, done.output
    for words in ("120 clips in common", "better is better than plain", "McNemar", "blues", "won : lost"):
        assert words in done.output
    Page((tmp_path / "c.html").read_text()).check()
    done = CliRunner().invoke(command, ["compare", *folders, "-o", str(tmp_path / "c.json"), "--resamples", "200"])
    assert done.exit_code == 0
    assert json.loads((tmp_path / "c.json").read_text())["clips"] == 120


def test_the_command_refuses_other_folds_and_other_endings(
    runs: dict[str, Path], tmp_path: Path, command: typer.Typer
) -> None:
    done = CliRunner().invoke(command, ["compare", str(runs["plain"]), str(runs["dealt"])])
    assert isinstance(done.exception, InputError)
    done = CliRunner().invoke(
        command, ["compare", str(runs["plain"]), str(runs["dealt"]), "--allow-different", "--resamples", "100"]
    )
    assert done.exit_code == 0
    assert "Not like with like" in done.output
    done = CliRunner().invoke(
        command, ["compare", str(runs["plain"]), str(runs["twin"]), "-o", str(tmp_path / "c.pdf")]
    )
    assert isinstance(done.exception, InputError)
