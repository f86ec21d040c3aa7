"""Runs: on one scale, with their reports side by side."""

from __future__ import annotations

from chromium import Page


def test_runs_stand_on_one_scale_and_a_damaged_one_says_why(page: Page) -> None:
    page.open("runs")
    page.one(".forest tbody tr")
    names, texts = page.texts(".forest tbody th"), page.texts(".forest tbody tr")
    rows = {name.splitlines()[0]: text for name, text in zip(names, texts, strict=True)}
    assert set(rows) == {"by artist", "dealt at random", "torn"}
    assert "optimistic" in rows["dealt at random"]
    assert "optimistic" not in rows["by artist"]
    assert "damaged" in rows["torn"]
    points = page.run("return [...document.querySelectorAll('.interval .point')].map(p => parseFloat(p.style.left))")
    for name, point in zip(("by artist", "dealt at random"), points, strict=True):
        assert f"{point:.1f}%" in rows[name]


def test_two_reports_are_shown_side_by_side(page: Page) -> None:
    page.open("runs")
    page.one(".sides iframe")
    page.press(page.named(".forest input", "dealt at random"))
    page.wait(lambda: len(page.all(".sides iframe")) == 2, "two reports")
    left, right = page.all(".sides iframe")
    assert abs(left.rect["y"] - right.rect["y"]) < 2
    assert left.rect["x"] + left.rect["width"] <= right.rect["x"]
    for frame in (left, right):
        page.browser.switch_to.frame(frame)
        page.one("h1", "tl-cnn-gru on simulated")
        # The report's own script works inside: its tables can be sorted.
        page.one("th button")
        page.browser.switch_to.default_content()
    assert page.complaints() == []
