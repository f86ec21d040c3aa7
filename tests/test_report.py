"""The pages: complete in themselves, well-formed, escaped, and saying what the run says."""

from __future__ import annotations

import base64
import json
import re
import sys
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from earmark.cli import results
from earmark.errors import InputError, MissingExtraError, StoreError
from earmark.files import write_json
from earmark.report import charts, meaning, page, report_html, svg, words, write_report
from earmark.run_files import ClipInfo
from earmark.runs import load_run
from page_checks import Page
from simulated_run import GENRES, simulate, simulated_clips

NASTY = '</title><script>alert("1")</script><img src=x onerror=y> & \' " é \u202e \x07'


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Page:
    """The page of a run with everything in it."""
    folder = simulate(tmp_path_factory.mktemp("full") / "run", repeats=2, dataset="GTZAN")
    return Page(report_html(load_run(folder)))


def test_the_page_is_sound(full: Page) -> None:
    full.check()
    assert len(full.html) < 600_000
    assert len(full.pictures()) >= 9


def test_the_page_says_what_the_run_says(full: Page, tmp_path: Path) -> None:
    run = load_run(simulate(tmp_path / "run", repeats=2, dataset="GTZAN"))
    assert run.metrics is not None
    assert f"{100 * run.metrics['accuracy']['value']:.1f}" in full.text
    assert f"{100 * run.metrics['accuracy']['low']:.1f} to {100 * run.metrics['accuracy']['high']:.1f}" in full.text
    for label in GENRES:
        assert label in full.text
    for heading in (
        "What this number means",
        "Leak tests",
        "Genre by genre",
        "What is taken for what",
        "Learning",
        "Fold by fold",
        "How far its confidence can be trusted",
        "The surest mistakes",
        "Labels to listen to",
        "Artist by artist",
        "How it was made",
    ):
        assert heading in full.text
    assert "Grouped by artist." in full.text
    assert "3 of 4 passed, none failed, 1 without a verdict" in full.text
    for told in ("1 min 23 s", "611 MB", "7, 17", "numpy", "earmark crossval GTZAN", "optimiser, rate"):
        assert told in full.text


def test_the_confusion_matrix_shows_its_numbers(full: Page, tmp_path: Path) -> None:
    run = load_run(simulate(tmp_path / "run", repeats=2, dataset="GTZAN"))
    assert run.metrics is not None
    picture = next(p for p in full.pictures() if "Confusion" in "".join(p.itertext()))
    space = "{http://www.w3.org/2000/svg}"
    shown = [t.text for t in picture.iter() if t.tag.replace(space, "") == "text" and "ink" in t.get("class", "")]
    expected = np.array(run.metrics["confusion"]) / 2
    assert [float(value or "nan") for value in shown] == pytest.approx(expected.ravel().tolist(), abs=0.5)


def test_spectrograms_are_pictures(full: Page) -> None:
    found = [given["src"] or "" for tag, given in full.tags if tag == "img"]
    assert len(found) == 16
    for source in found:
        head, data = source.split(",")
        assert head == "data:image/png;base64"
        assert base64.b64decode(data)[:8] == b"\x89PNG\r\n\x1a\n"


def test_nothing_from_the_data_becomes_markup(tmp_path: Path) -> None:
    labels = ("<b>blues</b>", 'ja"zz', "rock & roll")
    clips = [
        ClipInfo(f"{NASTY}{i}", labels[i % 3], f"g{i % 7}<i>", f"{NASTY} artist {i % 7}", f"{NASTY} title")
        for i in range(60)
    ]
    folder = simulate(
        tmp_path / "<i>run & co",
        labels=labels,
        clips=clips,
        folds=3,
        skill=0.5,
        dataset="<script>data",
        model="<script>model",
        protocol="<script>protocol",
        leaks=[{"test": "<u>leak", "passed": False, "value": 1.5, "bound": 0.1, "sentence": "<u>sentence"}],
    )
    found = Page(report_html(load_run(folder)))
    found.check()
    assert found.count("script") == 1
    assert found.count("b") + found.count("i") + found.count("u") <= found.html.count("<b>") + found.html.count("<i ")
    assert not [given for tag, given in found.tags if "onerror" in given]
    assert 'alert("1")' in found.text
    assert "<u>leak" in found.text


@pytest.mark.parametrize(
    ("options", "said", "unsaid"),
    [
        ({"protocol": "random10", "grouped": False}, "Optimistic by construction", "Grouped by"),
        ({"protocol": "fault-filtered", "grouped": True, "folds": 2}, "443 clips train", "Optimistic"),
        ({"protocol": "mine.csv", "grouped": False}, "Groups are not kept apart", "Grouped by"),
        ({"one_model": True}, "Not a cross-validation", "had heard nothing else by"),
        ({"shuffled_labels": True, "skill": 0.0}, "A control, not a result", "had heard nothing else by"),
        ({"dataset": "GTZAN", "skill": 9.0}, "A leak is suspected", "The surest mistakes"),
        ({"dataset": "mine", "skill": 9.0}, "Of 200 clips", "A leak is suspected"),
        ({"leaks": []}, "No leak test was run", "none failed"),
        (
            {"leaks": [{"test": "it fails", "passed": False, "value": 0.8, "bound": 0.1, "sentence": "It does."}]},
            "do not quote this number",
            "none failed",
        ),
        ({"epochs": 0}, "Fold by fold", "Learning"),
        ({"per_group": 1}, "Fold by fold", "Artist by artist"),
        ({"per_label": 2, "per_group": 2, "folds": 2}, "Of 20 clips", "Few groups"),
    ],
)
def test_the_words_fit_the_run(tmp_path: Path, options: dict, said: str, unsaid: str) -> None:
    found = Page(report_html(load_run(simulate(tmp_path / "run", **{"per_label": 20, "epochs": 3, **options}))))
    found.check()
    assert said in found.text
    assert unsaid not in found.text
    doubtful = "not to be quoted" in found.text
    assert doubtful == any(given.get("class") == "note bad" for _, given in found.tags)


def test_few_groups_and_none(tmp_path: Path) -> None:
    few = simulate(tmp_path / "few", labels=("a", "b"), per_label=20, per_group=5, folds=2)
    assert "Few groups" in Page(report_html(load_run(few))).text
    clips = [ClipInfo(f"c{i}", "ab"[i % 2], "one") for i in range(20)]
    one = simulate(tmp_path / "one", labels=("a", "b"), clips=clips, folds=1)
    found = Page(report_html(load_run(one)))
    found.check()
    assert "No interval is possible" in found.text
    assert "One split, 20 tested clips" in found.text


def test_many_labels_many_folds_long_names(tmp_path: Path) -> None:
    labels = tuple(f"a genre with a very long name {i}" for i in range(30))
    folder = simulate(tmp_path / "run", labels=labels, per_label=4, folds=45, epochs=3)
    found = Page(report_html(load_run(folder)))
    found.check()
    assert "numbers show under the pointer" in found.text
    assert "Lines: the mean over models" in found.text


def test_a_run_without_predictions_still_has_a_page(tmp_path: Path) -> None:
    folder = simulate(tmp_path / "run", labels=("a", "b"), per_label=10, folds=2)
    (folder / "predictions.csv").unlink()
    info = json.loads((folder / "run.json").read_text())
    write_json(folder / "run.json", {**info, "kind": "train", "folds": [], "seconds": None, "peak_memory_mb": None})
    found = Page(report_html(load_run(folder)))
    found.check()
    assert "Learning" in found.text
    assert "accuracy, 95% interval" not in found.text


def test_a_thousand_clips_stay_small(tmp_path: Path) -> None:
    thumbnails = np.random.default_rng(0).integers(0, 256, (1000, 64, 160), dtype=np.uint8)
    clips = simulated_clips(GENRES, 100, 3)
    run = load_run(
        simulate(tmp_path / "run", clips=clips, thumbnails=thumbnails, repeats=2, folds=10, epochs=60, skill=1.5)
    )
    # Random noise is the worst that a PNG can meet.
    assert len(report_html(run)) < 1_500_000


def test_writing_is_atomic_and_goes_where_it_should(tmp_path: Path) -> None:
    folder = simulate(tmp_path / "run", labels=("a", "b"), per_label=10, folds=2)
    assert write_report(folder) == folder / "report.html"
    assert write_report(load_run(folder), tmp_path / "deep" / "page.html").is_file()
    (folder / "thumbnails.npz").write_bytes(b"broken")
    before = (folder / "report.html").read_bytes()
    with pytest.raises(StoreError):
        write_report(folder)
    assert (folder / "report.html").read_bytes() == before


def test_without_jinja_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = load_run(simulate(tmp_path / "run", labels=("a", "b"), per_label=10, folds=2))
    page._environment.cache_clear()
    monkeypatch.setitem(sys.modules, "jinja2", None)
    with pytest.raises(MissingExtraError, match=r"earmark\[train\]"):
        report_html(run)
    page._environment.cache_clear()


def test_the_command(tmp_path: Path) -> None:
    app = typer.Typer()
    results.register(app)
    folder = simulate(tmp_path / "run", labels=("a", "b"), per_label=10, folds=2)
    done = CliRunner().invoke(app, ["report", str(folder), "-o", str(tmp_path / "page.html")])
    assert done.exit_code == 0
    assert done.output.strip() == str(tmp_path / "page.html")
    Page((tmp_path / "page.html").read_text()).check()
    assert isinstance(CliRunner().invoke(app, ["report", str(tmp_path)]).exception, InputError)


# --- the pictures ---


def rendered(picture: svg.Markup) -> ElementTree.Element:
    """The picture as XML; every number in it is finite."""
    root = ElementTree.fromstring(picture)
    for element in root.iter():
        for key, value in element.attrib.items():
            if key in ("x", "y", "x1", "x2", "y1", "y2", "cx", "cy", "r", "width", "height"):
                assert np.isfinite(float(value)), (element.tag, key, value)
            assert "nan" not in value.split()
    return root


numbers = st.floats(-1e6, 1e6, allow_nan=False) | st.just(float("nan"))
names = st.text(max_size=40)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(numbers, numbers), max_size=8), names)
def test_lines_and_dots_take_any_numbers(points: list[tuple[float, float]], name: str) -> None:
    rendered(
        charts.line_chart("a", [charts.Line(points, name, dots=True)], title=name, rules=[charts.Rule(0.5, name)])
    )
    rendered(charts.scatter("b", [charts.Point(x, y, tip=name) for x, y in points], title=name, diagonal=True))


@pytest.mark.parametrize("points", [[(0.0, 1.0), (1e-308, 1.0)], [(1e6, 0.0), (1e6, 5e-324)]])
def test_a_diagonal_that_the_axes_do_not_reach_is_not_drawn(points: list[tuple[float, float]]) -> None:
    root = rendered(charts.scatter("b", [charts.Point(x, y) for x, y in points], title="t", diagonal=True))
    assert not [element for element in root.iter() if element.get("class") == "rule"]


@settings(deadline=None, max_examples=30)
@given(st.lists(st.tuples(names, st.floats(-5, 5), st.floats(0, 2)), min_size=1, max_size=6))
def test_bars_and_intervals_take_any_numbers(rows: list[tuple[str, float, float]]) -> None:
    axis = charts.Axis(format=svg.signed_points)
    rendered(
        charts.bar_chart(
            "a", [charts.BarRow(n, [charts.Bar(v, v - w, v + w)]) for n, v, w in rows], title="t", axis=axis
        )
    )
    rendered(
        charts.interval_chart(
            "b", [charts.Whisker(n, v, v - w, float("nan")) for n, v, w in rows], title="t", axis=axis
        )
    )
    rendered(charts.number_line("c", [charts.Mark(v, n, strong=w > 1) for n, v, w in rows], title="t", axis=axis))


def test_a_line_chart_puts_points_where_they_belong() -> None:
    picture = charts.line_chart(
        "a",
        [charts.Line([(0, 0), (10, 1)], dots=True)],
        title="t",
        x=charts.Axis(range=(0, 10)),
        y=charts.Axis(range=(0, 1)),
        width=480,
        height=300,
    )
    dots = [e for e in rendered(picture).iter() if e.tag.endswith("circle")]
    (x0, y0), (x1, y1) = [(float(d.get("cx", "")), float(d.get("cy", ""))) for d in dots]
    assert x0 == 52
    assert x1 == 466
    assert y0 > y1 > 0


@pytest.mark.parametrize(
    "accuracies",
    [
        (0.80, 0.75, 0.70, 0.72, 0.71, 0.74, 0.70, 0.81, 0.76, 0.72),
        (0.70, 0.71, 0.72, 0.73, 0.74, 0.75, 0.76, 0.77, 0.78, 0.79),
        (0.79, 0.78, 0.77, 0.76, 0.75, 0.74, 0.73, 0.72, 0.71, 0.70),
        (0.74, 0.60, 0.90),
    ],
)
def test_the_name_of_a_level_covers_no_point(accuracies: tuple[float, ...]) -> None:
    points = [(fold + 1.0, value) for fold, value in enumerate(accuracies)]
    mean = float(np.mean(accuracies))
    picture = charts.line_chart(
        "a", [charts.Line(points, dots=True)], title="t", rules=[charts.Rule(mean, "all clips 74.1%")], height=270
    )
    root = rendered(picture)
    dots = [(float(e.get("cx", "")), float(e.get("cy", ""))) for e in root.iter() if e.tag.endswith("circle")]
    name = next(e for e in root.iter() if e.get("class") == "rule-name")
    x, y, wide = float(name.get("x", "")), float(name.get("y", "")), svg.width_of("all clips 74.1%")
    left = x - wide if name.get("text-anchor") == "end" else x
    assert len(dots) == len(accuracies)
    assert not [dot for dot in dots if left < dot[0] < left + wide and y - 12 < dot[1] < y + 3]


@pytest.mark.parametrize(
    ("protocol", "words"),
    [
        ({"name": "random10", "folds": 10, "repeats": 1}, "10 random folds"),
        ({"name": "random10", "folds": 5, "repeats": 3}, "5 random folds, 3 seeds"),
        ({"name": "artist5", "folds": 3, "repeats": 1, "grouped": True}, "3 folds by artist"),
        ({"name": "holdout", "folds": 1, "repeats": 1, "grouped": False}, "one random split"),
        ({"name": "fault-filtered", "folds": 1, "repeats": 2}, "the fault-filtered split, 2 seeds"),
        ({"name": "leave-one-group-out", "folds": 7, "repeats": 1}, "each of 7 artists left out once"),
        ({"name": "mine.csv", "folds": 4, "repeats": 1}, "4 folds of mine.csv"),
    ],
)
def test_a_run_says_the_folds_that_it_had(tmp_path: Path, protocol: dict[str, object], words: str) -> None:
    folder = simulate(tmp_path / "run", repeats=1)
    info = json.loads((folder / "run.json").read_text("utf-8"))
    info["protocol"] |= protocol
    write_json(folder / "run.json", info)
    run = load_run(folder)
    assert meaning.dealing(run) == words
    assert f"cross-validation, {words}" in report_html(run)


def test_bars_are_as_long_as_their_values() -> None:
    picture = charts.bar_chart(
        "a", [charts.BarRow("x", [charts.Bar(0.5)]), charts.BarRow("y", [charts.Bar(0.25)])], title="t"
    )
    wide = [float(e.get("width", "")) for e in rendered(picture).iter() if e.get("class", "").startswith("bar")]
    assert wide[0] == pytest.approx(2 * wide[1], abs=0.2)


@settings(deadline=None, max_examples=60)
@given(st.floats(-1e5, 1e5), st.floats(1e-4, 1e5), st.integers(2, 10))
def test_ticks_are_round_and_inside(low: float, span: float, wanted: int) -> None:
    found = svg.ticks(low, low + span, wanted)
    assert all(low - 1e-6 * span <= value <= low + span + 1e-6 * span for value in found)
    assert len(found) <= 3 * wanted
    if len(found) > 2:
        steps = np.diff(found)
        assert steps == pytest.approx(steps[0], rel=1e-3)
        assert f"{steps[0]:.3e}"[:3] in ("1.0", "2.0", "2.5", "5.0")


def test_both_inks_can_be_read_on_every_shade() -> None:
    """Numbers in the heat map keep a contrast of 4.2 to 1 or more, in light and in dark."""
    style = (page.FOLDER / "style.css").read_text()
    light, dark = style.split("prefers-color-scheme: dark", 1)

    def colour(part: str, name: str) -> np.ndarray:
        value = re.search(rf"--{name}: #([0-9a-f]+);", part)
        assert value is not None
        text = value[1] if len(value[1]) == 6 else "".join(letter * 2 for letter in value[1])
        return np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)]) / 255

    def luminance(rgb: np.ndarray) -> float:
        linear = np.where(rgb <= 0.03928, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
        return float(linear @ [0.2126, 0.7152, 0.0722])

    def contrast(a: np.ndarray, b: np.ndarray) -> float:
        high, low = sorted((luminance(a), luminance(b)), reverse=True)
        return (high + 0.05) / (low + 0.05)

    for part in (light, dark):
        assert contrast(colour(part, "ink"), colour(part, "paper")) > 12
        for name in ("soft", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "good", "bad", "warn"):
            assert contrast(colour(part, name), colour(part, "paper")) > 4.5, name
            assert contrast(colour(part, name), colour(part, "card")) > 4.5, name
        for hue in ("heat-right", "heat-wrong"):
            for shade in np.linspace(0, 1, 51):
                mixed = colour(part, "empty") * (1 - shade) + colour(part, hue) * shade
                ink = "over" if round(shade, 2) >= charts.SWITCH_INK else "under"
                assert contrast(mixed, colour(part, ink)) > 4.2, (hue, shade)


def test_what_may_not_stand_in_a_page_is_replaced() -> None:
    assert svg.clean("a\x00b\ud800c\x1f\ufffe é\n") == "a\ufffdb\ufffdc\ufffd\ufffd é\n"
    html = page.render("base.html.j2", title="<\ud800>")
    assert "<title>&lt;\ufffd&gt;</title>" in html
    html.encode("utf-8")


def test_words() -> None:
    assert words.pct(0.7234) == "72.3"
    assert words.pct(None) == words.decimals(float("nan")) == "–"
    assert words.points(-0.0312) == "−3.1"
    assert words.points(-0.0001) == "0.0"
    assert words.duration(3.21) == "3.2 s"
    assert words.duration(192) == "3 min 12 s"
    assert words.duration(7260) == "2 h 1 min"
    assert words.p_value(0) == "< 0.0001"
    assert words.p_value(0.0312) == "0.031"
    assert words.count(1, "clip") == "1 clip"
    assert words.count(1200, "is", "are") == "1,200 are"
    assert words.listed(["a", "b", "c"]) == "a, b and c"
    assert words.when("2026-11-03T09:05:00+00:00") == "3 November 2026, 09:05 UTC"
    assert words.when("yesterday") == "yesterday"
    assert meaning.flatten({"a": {"b": [1, 2], "c": None}, "d_e": True}) == [
        ("a, b", "1, 2"),
        ("a, c", "–"),
        ("d e", "yes"),
    ]
