"""Reads a page that Earmark wrote and checks what every such page must keep."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from itertools import pairwise
from xml.etree import ElementTree

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Page(HTMLParser):
    """A parsed page: its text, tags and attributes."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.html = html
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.errors: list[str] = []
        self.pieces: list[str] = []
        self.feed(html)
        self.close()
        # Words as a reader sees them: not those of the style sheet and the script.
        self.text = re.sub(r"\s+", " ", "".join(self.pieces))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attributes)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open[-1] != tag:
            self.errors.append(f"</{tag}> closes {self.open[-1:]}")
        else:
            self.open.pop()

    def handle_data(self, data: str) -> None:
        if not {"style", "script"} & set(self.open):
            self.pieces.append(data)

    def count(self, tag: str) -> int:
        """How many elements of a kind."""
        return sum(name == tag for name, _ in self.tags)

    def pictures(self) -> list[ElementTree.Element]:
        """Every SVG, parsed as XML (which is stricter than HTML)."""
        return [ElementTree.fromstring(found) for found in re.findall(r"<svg.*?</svg>", self.html, re.DOTALL)]

    def check(self) -> None:
        """Well-formed, complete in itself, and usable without eyes."""
        assert self.errors == []
        assert self.open == []
        ids = [given["id"] for _, given in self.tags if "id" in given]
        assert len(ids) == len(set(ids)), "an id is used twice"
        for tag, given in self.tags:
            for key in ("src", "href", "data", "action", "xlink:href"):
                target = given.get(key)
                assert target is None or target.startswith(("data:", "#")), f"<{tag} {key}={target}> leaves the page"
                if target and target.startswith("#"):
                    assert target[1:] in ids, f"{target} leads nowhere"
            assert not any(key.startswith("on") for key in given), f"<{tag}> has an event attribute"
            if tag == "img":
                assert given.get("alt")
            if tag == "th":
                assert given.get("scope") in ("row", "col")
        assert "url(" not in self.html
        assert "@import" not in self.html
        assert self.html.count("http") == self.html.count("http-equiv"), "an address of the web is in the page"
        assert self.count("h1") == 1
        assert self.count("main") == 1
        levels = [int(tag[1]) for tag, _ in self.tags if re.fullmatch(r"h[1-6]", tag)]
        assert all(b - a <= 1 for a, b in pairwise(levels)), "a heading level is skipped"
        assert all(given.get("lang") == "en" for tag, given in self.tags if tag == "html")
        for picture in self.pictures():
            assert picture.get("role") == "img"
            named = (picture.get("aria-labelledby") or "").split()
            inside = {child.get("id") for child in picture}
            assert len(named) == 2
            assert set(named) <= inside
            numbers = " ".join(value for element in picture.iter() for value in element.attrib.values())
            assert not re.search(r"\b(nan|inf|None)\b", numbers)
