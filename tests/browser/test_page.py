"""What holds for every view: accessible, light and dark, narrow, by keyboard, and honest when things go wrong."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile
from chromium import Keys, Page

from serving import Process

VIEWS = {
    "hear": ".zone",
    "listen": ".start",
    "library": "li.track[data-id]",
    "library/playlist": ".builder",
    "library/map": ".map canvas",
    "library/numbers": ".genre-bars",
    "library/track/1": ".stage img",
    "runs": ".forest tbody tr",
}


@pytest.mark.parametrize("view", VIEWS)
def test_no_barriers_in_either_theme(page: Page, view: str) -> None:
    page.open(view)
    page.one(VIEWS[view])
    settle(page)
    assert page.barriers() == []
    page.scheme("dark")
    settle(page)
    assert page.barriers("color-contrast") == []


def settle(page: Page) -> None:
    """Let nothing move, so that colours are looked at in their final state."""
    page.run("for (const a of document.getAnimations()) try { a.finish() } catch { a.cancel() }")


def test_no_barriers_in_an_answer_a_failure_and_a_dialog(page: Page, song: Path, music: Path) -> None:
    page.open("hear")
    page.give(song, music / "broken.mp3")
    page.one(".verdict .genre")
    page.one(".similar li.track[data-id]")
    settle(page)
    assert page.barriers() == []
    page.click(".queue li button", "broken.mp3")
    page.one(".answer [role=alert]")
    assert page.barriers() == []
    page.press(page.named("button", "About the model"))
    page.one("dialog")
    assert page.barriers() == []
    page.keys(Keys.ESCAPE)
    page.wait(lambda: not page.all("dialog"), "the dialog to close")


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_stands_out_of_a_narrow_screen(page: Page, view: str) -> None:
    page.size(360, 740)
    page.open(view)
    page.one(VIEWS[view])
    assert page.run("return document.documentElement.scrollWidth") <= 360
    for link in page.all(".views a"):
        assert link.rect["height"] >= 44
        assert 0 <= link.rect["x"] <= 360 - link.rect["width"]


def test_an_answer_on_a_narrow_screen(page: Page, song: Path) -> None:
    page.size(360, 740)
    page.open("hear")
    page.give(song)
    page.one(".verdict .genre")
    page.one(".similar li.track[data-id]")
    assert page.run("return document.documentElement.scrollWidth") <= 360


def brightness(page: Page) -> float:
    """Of the page's ground, 0 to 255."""
    return float(
        page.run(
            "const c = document.createElement('canvas').getContext('2d');"
            "c.fillStyle = getComputedStyle(document.body).backgroundColor; c.fillRect(0, 0, 1, 1);"
            "const [r, g, b] = c.getImageData(0, 0, 1, 1).data; return (r + g + b) / 3"
        )
    )


def test_the_theme_follows_the_system_until_it_is_chosen(page: Page) -> None:
    page.open("hear")
    assert brightness(page) > 230
    page.scheme("dark")
    assert brightness(page) < 40
    page.click("#theme")
    assert brightness(page) > 230
    page.open("library")
    assert brightness(page) > 230
    page.click("#theme")
    page.scheme("light")
    assert brightness(page) < 40
    page.click("#theme")
    assert brightness(page) > 230


def test_the_keyboard_reaches_every_view(page: Page) -> None:
    page.open("hear")
    page.one(".zone")
    page.keys(Keys.TAB)
    assert page.run("return document.activeElement.textContent") == "Skip to the content"
    seen = set()
    for _ in range(7):
        page.keys(Keys.TAB)
        seen.add(page.run("return document.activeElement.textContent.trim()"))
    assert {"Hear", "Listen", "Library", "Runs"} <= seen
    page.run("document.querySelector('[data-view=runs]').focus()")
    page.keys(Keys.ENTER)
    page.one("h1", "Runs")
    assert page.run("return document.activeElement.id") == "view"


def test_a_server_without_library_and_runs_says_what_to_do(page: Page, tmp_path: Path) -> None:
    long = tmp_path / "long.wav"
    soundfile.write(long, np.random.default_rng(0).uniform(-0.1, 0.1, 110 * 22050), 22050, subtype="PCM_16")
    with Process(tmp_path, "--jobs", "1", "--max-seconds", "95") as running:
        page.address = running.address
        for view in ("library", "library/playlist", "library/map", "library/numbers"):
            page.open(view)
            assert "earmark scan MUSIC" in page.text(".empty")
        assert page.barriers() == []
        page.open("runs")
        assert "--runs" in page.text(".empty")
        page.open("hear")
        page.give(long)
        assert "at most 95 s are heard here" in page.text(".answer [role=alert]")
        page.click("button", "Hear three stretches of it")
        page.one(".verdict .genre")
        assert "1:30 of it heard, in 3 stretches" in page.text(".answer .title")
        assert len(page.all(".window")) == 3
        assert "earmark scan FOLDER" in page.text(".similar")
    # The server has ended.
    page.click(".views a", "Runs")
    assert "The server does not answer" in page.text("[role=alert]")
    assert "earmark serve" in page.text("#offline")


def test_a_busy_server_is_asked_again(page: Page, song: Path) -> None:
    page.open("hear")
    page.one(".zone")
    page.run(
        """
        const Real = XMLHttpRequest;
        let left = 1;
        window.XMLHttpRequest = class extends Real {
          send(body) {
            if (left-- <= 0) return super.send(body);
            const text = JSON.stringify({ detail: '32 requests are being served; come again in a moment.' });
            Object.defineProperties(this, { status: { value: 503 }, responseText: { value: text } });
            this.getResponseHeader = name => (name === 'Retry-After' ? '1' : null);
            this.onload();
          }
        };
        """
    )
    page.give(song)
    page.one(
        ".progress [role=status]", "32 requests are being served; come again in a moment. Trying again in 1 second"
    )
    page.one(".verdict .genre")


def test_a_server_with_a_token_asks_for_it(page: Page, catalogue: Path, tmp_path: Path) -> None:
    with Process(tmp_path, "--jobs", "1", "--catalogue", str(catalogue), "--token", "correct-horse") as running:
        page.address = running.address.split("?")[0]
        page.open("library")
        page.one("#token").send_keys("wrong-horse")
        assert page.barriers() == []
        page.click("button", "Go in")
        page.one(".door [role=alert]", "not the server's token")
        page.one("#token").clear()
        page.one("#token").send_keys("correct-horse", Keys.ENTER)
        page.one("li.track[data-id]")
