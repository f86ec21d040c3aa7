"""Hear: files in, progress, the answer, the timeline, playing, saving, and what goes wrong."""

from __future__ import annotations

import base64
import csv
import json
from itertools import pairwise
from pathlib import Path

import pytest
from chromium import Keys, Page


@pytest.fixture
def heard(page: Page, song: Path) -> Page:
    """The page with the song's answer."""
    page.open("hear")
    page.give(song)
    page.one(".verdict .genre")
    return page


def seconds(page: Page) -> float:
    """Where the play head stands, as the slider says it."""
    return float(page.one(".lanes").get_attribute("aria-valuenow") or "nan")


def test_a_file_becomes_an_answer_with_every_genre(heard: Page, song: Path) -> None:
    assert heard.text(".answer h2") == song.stem
    names = [row.split() for row in heard.texts(".bars li")]
    assert len(names) == 10
    shares = [0 if share == "<1%" else int(share.rstrip("%")) for *_, share in names]
    assert shares == sorted(shares, reverse=True)
    assert 95 <= sum(shares) <= 105
    assert "all of it heard" in heard.text(".answer .title")


def test_an_unsure_answer_says_so_and_why(heard: Page) -> None:
    doubt = heard.all(".verdict.doubtful")
    shown = heard.text(".verdict .said")
    first = heard.text(".bars li.first .name")
    if not doubt:
        assert shown.startswith(first)
        assert "likely" in shown
    elif "Most probably" in shown:
        assert shown.startswith("Unsure")
        assert f"It could be {first}" in shown
        assert "No genre reaches the" in shown
    else:
        assert shown.startswith("Unsure")
        assert "a name would be a guess" in shown


def test_progress_is_seen_before_the_answer(page: Page, song: Path) -> None:
    page.open("hear")
    throttled = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 800_000}
    page.browser.execute_cdp_cmd("Network.enable", {})
    page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", throttled)
    try:
        page.give(song)
        page.wait(lambda: "Sending" in page.text(".progress [role=status]"), "the sending")
        meter = page.one(".progress [role=progressbar]")
        page.wait(lambda: 0 < int(meter.get_attribute("aria-valuenow") or 0) < 70, "a share that was sent")
    finally:
        page.browser.execute_cdp_cmd("Network.emulateNetworkConditions", {**throttled, "uploadThroughput": -1})
    page.one(".verdict .genre")
    assert not page.all(".progress")


def test_the_timeline_stands_under_the_spectrogram(heard: Page) -> None:
    picture, strip = heard.one(".picture img").rect, heard.one(".lanes .genres").rect
    assert heard.run("return document.querySelector('.picture img').naturalWidth") > 500
    assert picture["width"] == pytest.approx(strip["width"], abs=1)
    assert strip["y"] >= picture["y"] + picture["height"]
    windows = heard.run(
        "return [...document.querySelectorAll('.window')].map(w => [w.offsetLeft, w.offsetLeft + w.offsetWidth])"
    )
    assert len(windows) == 3
    for (_, end), (start, _) in pairwise(windows):
        assert start == pytest.approx(end, abs=2)
    assert windows[-1][1] == pytest.approx(strip["width"], abs=3)


def test_it_plays_and_the_head_moves_along(heard: Page) -> None:
    assert seconds(heard) == 0
    heard.press(heard.named(".stage button", "Play Summer night"))
    heard.wait(lambda: seconds(heard) > 0.4, "the head to move")
    head = heard.run("return parseFloat(document.querySelector('.playhead').style.left)")
    assert head == pytest.approx(100 * seconds(heard) / 80, abs=1.5)
    heard.press(heard.named(".stage button", "Pause"))
    heard.named(".stage button", "Play Summer night")
    still = seconds(heard)
    heard.run("return new Promise(r => setTimeout(r, 250))")
    assert seconds(heard) == still


def test_seeking_by_click_and_by_key(heard: Page) -> None:
    from selenium.webdriver import ActionChains

    lanes = heard.one(".lanes")
    heard.run("arguments[0].scrollIntoView({ block: 'center' })", lanes)
    ActionChains(heard.browser).move_to_element(lanes).click().perform()
    heard.wait(lambda: seconds(heard) == pytest.approx(40, abs=0.5), "the middle")
    heard.wait(lambda: heard.run("return document.activeElement.classList.contains('lanes')"), "the focus")
    for key, place in ((Keys.ARROW_RIGHT, 41), (Keys.PAGE_DOWN, 31), (Keys.HOME, 0), (Keys.END, 80)):
        heard.keys(key)
        heard.wait(lambda place=place: seconds(heard) == pytest.approx(place, abs=0.6), f"second {place}")
    assert "of 1:20" in (heard.one(".lanes").get_attribute("aria-valuetext") or "")
    heard.keys(Keys.HOME)
    heard.keys(" ")
    heard.named(".stage button", "Pause")
    heard.keys(" ")
    heard.named(".stage button", "Play")


def test_similar_tracks_of_the_library_with_play_buttons(heard: Page) -> None:
    rows = heard.wait(
        lambda: len(heard.all(".similar li.track[data-id]")) >= 6 and heard.all(".similar li.track"), "rows"
    )
    title = rows[0].find_element("css selector", ".title").text
    heard.press(rows[0].find_element("css selector", ".mini-play"))
    heard.wait(lambda: heard.text("#player .what b") == title, "the player")
    heard.wait(lambda: heard.run("return document.querySelector('#player input').value > 0.2"), "sound")
    heard.press(heard.named("#player button", "Close"))
    assert not heard.all("#player")


def test_saving_as_json_csv_and_picture(heard: Page, song: Path) -> None:
    heard.click(".saves button", "JSON")
    row = json.loads(heard.download("*.json").read_text("utf-8"))
    assert row["path"] == song.name
    assert sum(row["probabilities"].values()) == pytest.approx(1, abs=1e-6)
    assert len(row["timeline"]) == 3
    assert "spectrogram" not in row
    heard.click(".saves button", "CSV")
    [line] = csv.DictReader(heard.download("*.csv").read_text("utf-8").splitlines())
    assert line["label"] == row["label"]
    assert float(line[f"p:{row['label']}"]) == row["confidence"]
    heard.click(".saves button", "PNG")
    picture = heard.download("*.png").read_bytes()
    assert picture[:8] == b"\x89PNG\r\n\x1a\n"
    assert len(picture) > 50_000


def test_the_csv_is_that_of_the_command_line(heard: Page, song: Path) -> None:
    from typer.testing import CliRunner

    from earmark.cli import app

    heard.click(".saves button", "CSV")
    ours = heard.download("*.csv").read_text("utf-8").splitlines()
    theirs = CliRunner().invoke(app, ["classify", str(song), "--full", "--format", "csv"]).stdout.splitlines()
    assert ours[0] == theirs[0]
    [mine], [other] = csv.DictReader(ours), csv.DictReader(theirs)
    assert Path(other.pop("path")).name == mine.pop("path")
    for name in ("label", "heard", "problems", "bundle", "unsure", "doubt", "key"):
        assert mine[name] == other[name]
    assert float(mine["tempo"]) == float(other["tempo"])


def test_several_files_with_one_that_cannot_be_heard(page: Page, song: Path, music: Path) -> None:
    page.open("hear")
    page.give(music / "Artist A" / "00 piece.flac", music / "broken.mp3", music / "Artist B" / "01 piece.flac")
    page.one(".queue h2", "2 files heard, 1 not")
    page.click(".queue li button", "broken.mp3")
    problem = page.text(".answer [role=alert]")
    assert "This file was not heard" in problem
    assert "broken.mp3" in problem
    page.click(".queue li button", "01 piece.flac")
    page.one(".verdict .genre")
    page.click(".queue footer button", "CSV")
    rows = list(csv.DictReader(page.download("*.csv").read_text("utf-8").splitlines()))
    assert [row["path"] for row in rows] == ["00 piece.flac", "01 piece.flac"]


def test_a_dropped_file_is_heard(page: Page, music: Path) -> None:
    page.open("hear")
    page.one(".zone")
    page.run(
        """
        const bytes = Uint8Array.from(atob(arguments[0]), c => c.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], 'dropped.flac', { type: 'audio/flac' }));
        const kind = { dataTransfer: transfer, bubbles: true, cancelable: true };
        for (const name of ['dragenter', 'dragover', 'drop'])
          document.querySelector('.zone').dispatchEvent(new DragEvent(name, kind));
        """,
        base64.b64encode((music / "Artist C" / "02 piece.flac").read_bytes()).decode(),
    )
    assert page.one(".answer h2", "dropped")


def test_a_file_that_is_too_large_is_refused_with_the_servers_sentence(page: Page, tmp_path: Path) -> None:
    large = tmp_path / "large.wav"
    large.write_bytes(b"RIFF" + bytes(4_600_000))
    page.open("hear")
    page.give(large)
    assert "4 MB" in page.text(".answer [role=alert]")
    page.named("button", "Try again")


def test_nothing_is_refused_by_the_policy_of_the_page(heard: Page) -> None:
    heard.one(".similar li.track[data-id]")
    heard.press(heard.named(".stage button", "Play"))
    heard.wait(lambda: seconds(heard) > 0.1, "sound")
    assert heard.complaints() == []


def test_a_folder_gives_its_sounds_and_nothing_else(page: Page, music: Path, tmp_path: Path) -> None:
    folder = tmp_path / "Album"
    folder.mkdir()
    for name in ("00 piece.flac", "03 piece.flac"):
        (folder / name).write_bytes((music / "Artist A" / name).read_bytes())
    (folder / "cover.jpg").write_bytes(b"\xff\xd8 a picture")
    page.open("hear")
    page.one(".zone")
    page.browser.find_element("id", "choose-folder").send_keys(str(folder))
    page.one(".queue h2", "2 files heard")
    assert "cover.jpg" not in page.text(".queue ol")
