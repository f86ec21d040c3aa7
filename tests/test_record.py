"""The table of record: from runs to Markdown and JSON, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from earmark.errors import InputError
from earmark.gtzan.facts import clip_facts
from earmark.record import make_record, markdown, read_record, update_readme, write_record
from earmark.runs import Run, evaluate_predictions, load_run
from simulated_run import simulate

LABELS = ("blues", "jazz", "rock")


def made(folder: Path, model: str, protocol: str, skill: float, **more: object) -> Run:
    settings = {"labels": LABELS, "per_label": 12, "folds": 3, "epochs": 0, "repeats": 2, **more}
    where = folder / f"{model}-{protocol}-{len(list(folder.iterdir()))}"
    return load_run(
        simulate(where, model=model, protocol=protocol, skill=skill, grouped=protocol == "artist5", **settings)  # type: ignore[arg-type]
    )


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return [
        made(tmp_path, "strong", "random10", 4.0),
        made(tmp_path, "strong", "artist5", 3.0),
        made(tmp_path, "weak", "artist5", 0.0),
    ]


def test_rows_rise_and_columns_begin_with_the_strictest(runs: list[Run]) -> None:
    record = make_record(runs)
    assert record.models == ("weak", "strong")
    assert record.protocols == ("artist5", "random10")
    cell = record.cells["strong", "artist5"]
    metrics = runs[1].metrics
    assert metrics is not None
    assert (cell.accuracy, cell.low, cell.high) == tuple(metrics["accuracy"][key] for key in ("value", "low", "high"))
    assert cell.spread == metrics["spread"]["accuracy"]
    assert cell.seeds == (7, 17)
    assert ("weak", "random10") not in record.cells


def test_markdown_says_every_figure_and_marks_what_is_missing_or_optimistic(runs: list[Run], tmp_path: Path) -> None:
    record = make_record(runs)
    text = markdown(record)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert len({row.count("|") for row in rows}) == 1
    assert "random10 (optimistic)" in rows[0]
    assert rows[2].endswith("| – |")
    for cell in record.cells.values():
        assert f"**{100 * cell.accuracy:.1f}** ({100 * cell.low:.1f} to {100 * cell.high:.1f})" in text  # type: ignore[operator]
    path = write_record(record, tmp_path / "docs" / "table.md")
    assert path.read_text(encoding="utf-8").endswith(text)
    stored = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert stored["models"][1]["scores"]["artist5"]["accuracy"] == record.cells["strong", "artist5"].accuracy


def test_the_readme_keeps_everything_outside_the_marks(runs: list[Run], tmp_path: Path) -> None:
    readme = tmp_path / "README.md"
    readme.write_text("before\n<!-- record -->\nold figures\n<!-- /record -->\nafter\n", encoding="utf-8")
    record = make_record(runs)
    update_readme(record, readme)
    once = readme.read_text(encoding="utf-8")
    assert once == f"before\n<!-- record -->\n{markdown(record)}<!-- /record -->\nafter\n"
    update_readme(record, readme)
    assert readme.read_text(encoding="utf-8") == once
    readme.write_text("no marks", encoding="utf-8")
    with pytest.raises(InputError, match="needs the lines"):
        update_readme(record, readme)
    with pytest.raises(InputError, match=r"end in \.md"):
        write_record(record, tmp_path / "table.txt")


def test_a_failed_leak_test_is_marked(tmp_path: Path) -> None:
    failed = [{"test": "no group on two sides", "passed": False, "value": 3.0, "bound": 0.0, "sentence": "3 are."}]
    text = markdown(make_record([made(tmp_path, "leaky", "artist5", 4.0, leaks=failed)]))
    assert "**†" in text
    assert "no group on two sides" in text


def test_rows_of_a_table_made_before_stay_where_no_run_takes_their_place(runs: list[Run], tmp_path: Path) -> None:
    before = make_record(runs)
    path = write_record(before, tmp_path / "table.md").with_suffix(".json")
    assert read_record(path) == before
    again = made(tmp_path, "weak", "artist5", 1.0)
    both = make_record([again], read_record(path))
    assert both.protocols == ("artist5",)
    assert both.cells["strong", "artist5"] == before.cells["strong", "artist5"]
    assert both.cells["weak", "artist5"].run == again.name
    for content, told in (("{}", "no table of record"), (None, "cannot be read"), ('{"format": 9}', "format 9")):
        other = tmp_path / "other.json"
        other.unlink(missing_ok=True)
        if content is not None:
            other.write_text(content, encoding="utf-8")
        with pytest.raises(InputError, match=told):
            read_record(other)


def test_fewer_seeds_of_the_same_folds_are_told_in_their_cell(runs: list[Run], tmp_path: Path) -> None:
    # The simulated runs deal the same clips in every repeat, so a run of one seed is a part of one of three.
    one = made(tmp_path, "dear", "artist5", 2.0, repeats=1, fingerprint="part")
    text = markdown(make_record([*runs, one]))
    row = next(line for line in text.splitlines() if line.startswith("| dear"))
    assert ", seed 7 |" in row
    assert "seeds 7, 17" in text


def test_runs_that_do_not_belong_are_refused(runs: list[Run], tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at least one"):
        make_record([])
    with pytest.raises(InputError, match="claim the place"):
        make_record([*runs, made(tmp_path, "weak", "artist5", 0.0)])
    with pytest.raises(InputError, match="one model across folds"):
        make_record([*runs, made(tmp_path, "kept", "artist5", 0.0, one_model=True)])
    with pytest.raises(InputError, match="shuffled labels"):
        make_record([*runs, made(tmp_path, "dealt", "artist5", 0.0, shuffled_labels=True)])
    with pytest.raises(InputError, match="deal the clips otherwise"):
        make_record([*runs, made(tmp_path, "other", "artist5", 0.0, fingerprint="ffff")])
    other = runs[0]
    other.info["dataset"]["fingerprint"] = "0000"
    with pytest.raises(InputError, match="same clips"):
        make_record(runs[::-1])


PUBLISHED = Path(__file__).resolve().parent.parent / "docs" / "runs"


@pytest.mark.parametrize("name", sorted(path.parent.name for path in PUBLISHED.glob("*/run.json")))
def test_published_answers_give_the_published_figures(name: str) -> None:
    run = load_run(PUBLISHED / name)
    assert run.metrics is not None
    again = evaluate_predictions(run)
    assert again["accuracy"] == run.metrics["accuracy"]
    assert again["macro_f1"] == run.metrics["macro_f1"]
    assert "/" not in run.info["dataset"]["facts"]["source"]
    assert (run.folder / "leaks.json").exists()
    sides = {name: facts.fault_filtered for name, facts in clip_facts().items()}
    for roles in run.roles.values():
        # All that is not tested is learnt from, but for the split that has sides of its own.
        rest = [name for name in run.clips if name not in roles["test"]]
        learning = [name for name in rest if run.protocol["name"] != "fault-filtered" or sides[name] == "train"]
        tested, learnt = ({run.clips[name].group for name in names} for names in (roles["test"], learning))
        assert (not tested & learnt) == run.protocol["grouped"]


def test_there_are_published_answers() -> None:
    assert (PUBLISHED / "tuned-gru+musical-artist5").is_dir()
