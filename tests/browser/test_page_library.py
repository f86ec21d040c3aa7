"""Library: search, filters, pages, playing, corrections, playlists, the map, the numbers."""

from __future__ import annotations

import pytest
from chromium import Keys, Page


@pytest.fixture
def library(page: Page) -> Page:
    """The page at the library's tracks."""
    page.open("library")
    page.one("li.track[data-id]")
    return page


def titles(page: Page, inside: str = "") -> list[str]:
    """Titles of the tracks that are shown."""
    return page.texts(f"{inside} li.track[data-id] .title")


def shown(page: Page) -> dict[str, str]:
    """What can be read of each track, by its number."""
    rows = "[...document.querySelectorAll('li.track[data-id]')]"
    return page.run(f"return Object.fromEntries({rows}.map(e => [e.dataset.id, e.innerText]))")


def choose(page: Page, css: str, value: str) -> None:
    """Choose from a list."""
    from selenium.webdriver.support.ui import Select

    Select(page.one(css)).select_by_value(value)


def test_all_tracks_are_listed_and_the_search_narrows_them(library: Page) -> None:
    assert library.text(".found") == "12 tracks"
    assert len(titles(library)) == 12
    library.one("#search").send_keys("lanterns")
    library.wait(lambda: library.text(".found") == "2 tracks found", "two tracks")
    assert sorted(titles(library)) == ["Nine Lanterns", "Nine Lanterns II"]
    library.one("#search").send_keys(" nothing of that kind")
    library.one(".empty h2", "Nothing like that here")
    library.click(".empty button")
    library.wait(lambda: len(titles(library)) == 12, "all tracks")


def test_filters_by_genre_and_certainty_agree_with_the_rows(library: Page) -> None:
    rows = shown(library)
    doubtful = {number for number, text in rows.items() if "Unsure" in text}
    assert doubtful
    for label, wanted in (("Unsure", doubtful), ("Sure", set(rows) - doubtful)):
        library.click(".segments label", label)
        library.wait(
            lambda wanted=wanted: set(shown(library)) == wanted if wanted else library.all(".empty"),
            f"the tracks that are {label.lower()}",
        )
    library.press(library.one(".segments label", "All"))
    library.wait(lambda: len(titles(library)) == 12, "all tracks")
    name = library.text("li.track[data-id] .chip").replace("Unsure", "").strip().rstrip("?")
    choose(library, "#label", name.lower().replace("-", ""))
    library.one(".found", "found")
    assert set(shown(library)) == {number for number, text in rows.items() if name in text}


def test_the_order_can_be_chosen(library: Page) -> None:
    choose(library, "#sort", "title")
    library.wait(lambda: titles(library) == sorted(titles(library)), "titles in order")
    choose(library, "#sort", "-confidence")

    def falling() -> bool:
        shares = [int(share.rstrip("%")) for share in library.texts("li.track[data-id] .share")]
        return shares == sorted(shares, reverse=True)

    library.wait(falling, "the surest first")


def test_pages_can_be_turned(page: Page) -> None:
    page.open("library/tracks?limit=5")
    page.one(".pages", "1 to 5 of 12")
    first = titles(page)
    page.click(".pages button", "On")
    page.one(".pages", "6 to 10 of 12")
    assert not set(first) & set(titles(page))
    page.click(".pages button", "On")
    page.one(".pages", "11 to 12 of 12")
    assert not page.named(".pages button", "On").is_enabled()
    page.click(".pages button", "Back")
    page.one(".pages", "6 to 10 of 12")
    page.wait(lambda: page.run("return document.activeElement.innerText.trim()") == "Back", "the focus to stay")
    page.keys(Keys.ENTER)
    page.wait(lambda: titles(page) == first, "the first page")


def test_a_genre_is_fixed_by_hand_kept_exported_and_taken_back(library: Page) -> None:
    title = titles(library)[5]
    [number] = [number for number, text in shown(library).items() if text.startswith(title + "\n")]
    fix = f"Fix the genre of {title}"
    library.press(library.named("li.track button", fix))
    library.click(".choices label", "Reggae")
    library.click("dialog button", "Keep it")
    library.one(".toast", "is Reggae")
    library.wait(lambda: "yours" in shown(library)[number], "the mark")
    library.click(".toast button", "Undo")
    library.wait(lambda: "yours" not in shown(library)[number], "the mark to go")
    library.press(library.named("li.track button", fix))
    library.click(".choices label", "Reggae")
    library.click("dialog button", "Keep it")
    library.wait(lambda: "yours" in shown(library)[number], "the mark again")
    library.open("library")
    library.one(f"li.track[data-id='{number}'] .chip", "Reggae")
    library.click(".segments label", "Fixed by you")
    library.wait(lambda: set(shown(library)) == {number}, "the one track")
    library.click(".list-head a")
    manifest = library.download("corrections*.csv").read_text("utf-8").splitlines()
    assert len(manifest) == 2
    assert "reggae" in manifest[1]

    library.press(library.named("li.track button", fix))
    library.one("#other-genre").send_keys("Bossa nova")
    library.click("dialog button", "Keep it")
    library.one("li.track .chip", "Bossa nova")
    library.press(library.named("li.track button", fix))
    library.click("dialog button", "Take my word back")
    library.wait(lambda: "yours" not in shown(library).get(number, ""), "the mark to go")
    library.open("library")
    library.one(f"li.track[data-id='{number}']")
    assert "yours" not in shown(library)[number]


def test_a_track_plays_and_the_next_follows(library: Page) -> None:
    first, second = titles(library)[:2]
    library.press(library.named("li.track button", f"Play {first}"))
    library.wait(lambda: library.text("#player .what b") == first, "the player")
    library.wait(lambda: library.run("return document.querySelector('#player input').value > 0.2"), "sound")
    library.named("li.track button", f"Pause {first}")
    library.press(library.named("#player button", "Next"))
    library.wait(lambda: library.text("#player .what b") == second, "the next track")
    library.run("document.querySelector('#player input').focus()")
    library.keys(Keys.ARROW_RIGHT)
    library.press(library.named("#player button", "Pause"))
    library.named("#player button", f"Play {second}")


def test_a_track_can_be_looked_at_closely(library: Page) -> None:
    title = titles(library)[3]
    library.click("li.track .title", title)
    library.wait(lambda: library.text("h1") == title, "the track")
    library.one(".stage .picture img")
    library.wait(lambda: len(titles(library, ".similar")) >= 5, "similar tracks")
    assert title not in titles(library, ".similar")
    library.press(library.named(".stage button", f"Play {title}"))
    library.wait(lambda: float(library.one(".lanes").get_attribute("aria-valuenow") or 0) > 0.2, "the head to move")
    library.click(".back")
    library.wait(lambda: len(titles(library)) == 12, "all tracks")


def test_a_track_that_is_not_there_is_explained(page: Page) -> None:
    page.open("library/track/99999")
    assert "no track 99999" in page.text("[role=alert]")


def test_a_playlist_from_seeds_is_made_and_saved(library: Page) -> None:
    seed = titles(library)[0]
    library.press(library.named("li.track button", f"Use {seed} as a seed"))
    library.click(".toast button", "To the playlist")
    assert seed in library.text(".seeds")
    library.one("#count").clear()
    library.one("#count").send_keys("5")
    library.one("#cap").click()
    library.click("button", "Make the playlist")
    library.wait(lambda: len(titles(library, ".made")) == 5, "five tracks")
    made = titles(library, ".made")
    assert seed not in made
    library.press(library.named(".made button", f"Move up {made[1]}"))
    library.wait(lambda: titles(library, ".made")[:2] == [made[1], made[0]], "another order")
    library.press(library.named(".made button", f"Leave out {made[4]}"))
    library.wait(lambda: len(titles(library, ".made")) == 4, "one track less")
    library.click(".made button", "Save as M3U8")
    lines = library.download("*.m3u8").read_text("utf-8").splitlines()
    assert lines[0] == "#EXTM3U"
    assert len([line for line in lines if line.endswith(".flac")]) == 4
    assert made[1] in lines[1]


def test_a_playlist_from_one_song_to_another(page: Page) -> None:
    page.open("library/playlist")
    page.click(".segments label", "From A to B")
    for label, words in (("Begin with", "Morning Ferry II"), ("End with", "Slow Harbour II")):
        page.named(".picker input", label).send_keys(words)
        page.one(".options [role=option]", words)
        page.keys(Keys.ARROW_DOWN, Keys.ENTER)
        page.one(".end strong", words)
    page.click("button", "Make the playlist")
    page.wait(lambda: len(titles(page, ".made")) > 2, "tracks")
    assert titles(page, ".made")[0] == "Morning Ferry II"
    assert titles(page, ".made")[-1] == "Slow Harbour II"


def test_a_playlist_from_a_mood(page: Page) -> None:
    page.open("library/playlist")
    page.click(".segments label", "A mood")
    page.click("button", "Make the playlist")
    assert "Move a genre up first." in page.text("[role=alert]")
    slider = page.named(".mood input", "Jazz")
    slider.send_keys(Keys.END)
    page.wait(lambda: "10" in page.one(".mood li", "Jazz").text, "the share")
    page.click("button", "Make the playlist")
    page.wait(lambda: len(titles(page, ".made")) > 2, "tracks")


def test_the_map_tells_of_tracks_by_pointer_and_by_keyboard(page: Page) -> None:
    page.open("library/map")
    canvas = page.one(".map canvas")
    assert "12 tracks" in canvas.accessible_name
    page.wait(
        lambda: page.run(
            "const c = document.querySelector('.map canvas');"
            "return c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some(v => v > 0)"
        ),
        "points",
    )
    page.run("arguments[0].focus()", canvas)
    page.keys(Keys.ARROW_RIGHT)
    first = page.text(".map-card .title")
    page.keys(Keys.ARROW_LEFT)
    page.wait(lambda: page.text(".map-card .title") != first, "another track")
    page.keys(Keys.ENTER)
    title = page.text(".map-card .title")
    page.wait(lambda: page.text("#player .what b") == title, "the player")


def test_the_library_in_numbers(page: Page) -> None:
    page.open("library/numbers")
    assert page.text(".tiles").splitlines()[:2] == ["Tracks", "12"]
    counts = [int(text.split()[0]) for text in page.texts(".genre-bars li > .number")]
    assert sum(counts) == 12
    assert "1 file could not be heard" in page.text(".numbers")
    name = page.one(".genre-bars a").text
    page.click(".genre-bars a")
    page.wait(lambda: len(titles(page)) == counts[0], f"the {counts[0]} tracks of {name}")
