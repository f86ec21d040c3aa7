"""Listen: the microphone, live, with a real recording in Chromium's fake one."""

from __future__ import annotations

from chromium import Page


def test_the_microphone_is_heard_live(page: Page) -> None:
    page.open("listen")
    page.click("button", "Start listening")
    page.one(".live-answer .genre", "Listening")
    page.wait(lambda: page.all(".live-answer .confidence"), "the first answer")
    page.one(".live-facts", "0:03")
    page.wait(lambda: 0 < float(page.text(".latency").removesuffix("s")) < 1.5, "an answer within 1.5 s of its sound")
    shares = [text.split()[-1] for text in page.texts(".live-bars li")]
    assert len(shares) == 10
    assert any(share not in ("0%", "<1%") for share in shares)
    drawn = (
        "const c = document.querySelector(arguments[0]).getContext('2d');"
        "return c.getImageData(600, 0, 120, 90).data.some((v, i) => i % 4 < 3 && v > 60)"
    )
    for canvas in (".glass canvas:first-child", ".glass canvas:last-child"):
        page.wait(lambda canvas=canvas: page.run(drawn, canvas), f"something drawn in {canvas}")
    assert page.barriers() == []
    page.click("button", "Stop")
    assert page.one(".sum .genre")
    page.one("button", "Start again")
    before = page.text(".live-facts")
    page.run("return new Promise(r => setTimeout(r, 1300))")
    assert page.text(".live-facts") == before
    assert page.complaints() == []


def test_leaving_the_view_lets_the_microphone_go(page: Page) -> None:
    page.open("listen")
    page.run(
        "const ask = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
        "navigator.mediaDevices.getUserMedia = async what => (window.stream = await ask(what))"
    )
    page.click("button", "Start listening")
    page.wait(lambda: page.all(".live-answer .confidence"), "the first answer")
    page.click(".views a", "Library")
    page.wait(lambda: page.run("return stream.getTracks().every(t => t.readyState === 'ended')"), "the end")


def test_a_refused_microphone_is_explained(page: Page) -> None:
    page.open("listen")
    page.run("navigator.mediaDevices.getUserMedia = async () => { throw new DOMException('no', 'NotAllowedError') }")
    page.click("button", "Start listening")
    assert "Allow it for this page" in page.text("[role=alert]")
    page.one("button", "Start listening")
