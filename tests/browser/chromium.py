"""A headless Chromium, and a page in it: wait for what a person would see, press what a person would press."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Iterator
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import pytest

if TYPE_CHECKING:
    from selenium.webdriver import Chrome
    from selenium.webdriver.remote.webelement import WebElement

T = TypeVar("T")

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--mute-audio",
)


class Keys:
    """Keys that are no letters, by their code points in the WebDriver standard."""

    TAB, ENTER, ESCAPE = "\ue004", "\ue007", "\ue00c"
    PAGE_UP, PAGE_DOWN, END, HOME = "\ue00e", "\ue00f", "\ue010", "\ue011"
    ARROW_LEFT, ARROW_UP, ARROW_RIGHT, ARROW_DOWN = "\ue012", "\ue013", "\ue014", "\ue015"


# One look at the page for all elements: every question to Chromium costs some milliseconds.
_FIND = """
const read = e => e.innerText.trim();
const found = [...document.querySelectorAll(arguments[0])].filter(
  e => e.checkVisibility({ visibilityProperty: true }) && (!arguments[1] || read(e).includes(arguments[1])));
"""
WIDE, HIGH = 1280, 900
SECONDS = 15.0


def missing() -> str | None:
    """Why Chromium cannot be driven here; None if it can."""
    for program in ("chromium", "chromedriver"):
        if shutil.which(program) is None:
            return f"{program} is not installed: make test-browser installs it"
    try:
        import selenium  # noqa: F401
    except ImportError:
        return "selenium is not installed: pip install -e '.[browser]'"
    return None


@contextlib.contextmanager
def chromium(folder: Path, *, microphone: Path) -> Iterator[Chrome]:
    """Start Chromium with a new profile; files that pages offer are kept in ``folder/saved``."""
    from selenium.webdriver import Chrome
    from selenium.webdriver.chrome.options import Options
    from selenium.webdriver.chrome.service import Service

    options = Options()
    for flag in FLAGS:
        options.add_argument(flag)
    options.add_argument(f"--use-file-for-fake-audio-capture={microphone}")
    options.add_argument(f"--user-data-dir={folder / 'profile'}")
    options.add_argument(f"--window-size={WIDE},{HIGH}")
    options.add_experimental_option("prefs", {"download.default_directory": str(folder / "saved")})
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert program is not None
    options.binary_location = program
    browser = Chrome(options, Service(driver))
    try:
        yield browser
    finally:
        browser.quit()


class Page:
    """What a person has before them.

    Parameters
    ----------
    browser
        Chromium.
    address
        Of the server, ending in a slash.
    saved
        Where files go that the page offers.
    """

    def __init__(self, browser: Chrome, address: str, saved: Path) -> None:
        self.browser = browser
        self.address = address
        self.saved = saved

    def reset(self) -> None:
        """As for somebody who comes for the first time, in a wide light window."""
        self.size(WIDE, HIGH)
        self.scheme("light")
        self.browser.get("about:blank")
        kept = {"origin": self.address.rstrip("/"), "storageTypes": "local_storage,cookies"}
        self.browser.execute_cdp_cmd("Storage.clearDataForOrigin", kept)
        self.browser.get_log("browser")
        for path in self.saved.glob("*"):
            path.unlink()

    def open(self, view: str) -> None:
        """Load the page anew at one of its views."""
        self.browser.get("about:blank")
        self.browser.get(f"{self.address}#/{view}")
        self.wait(lambda: self.all("#view > *"), f"the view {view}")

    def size(self, wide: int, high: int) -> None:
        """The window's size in CSS pixels."""
        metrics = {"width": wide, "height": high, "deviceScaleFactor": 1, "mobile": False}
        self.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def scheme(self, name: str) -> None:
        """What the system prefers: light or dark."""
        feature = {"name": "prefers-color-scheme", "value": name}
        self.browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def all(self, css: str, text: str = "") -> list[WebElement]:
        """Everything that is shown, fits a selector, and holds a text."""
        return self.run(_FIND + "return found", css, text)

    def texts(self, css: str) -> list[str]:
        """What can be read of everything that is shown and fits."""
        return self.run(_FIND + "return found.map(read)", css, "")

    def one(self, css: str, text: str = "") -> WebElement:
        """The first thing shown that fits a selector and holds a text, waited for."""
        __tracebackhide__ = True
        return self.wait(lambda: self.run(_FIND + "return found[0]", css, text), f"{css} {text}".strip())

    def named(self, css: str, name: str) -> WebElement:
        """The thing shown whose accessible name is a text, or else the first that holds it, waited for."""
        __tracebackhide__ = True

        def find() -> WebElement | None:
            names = {element: element.accessible_name for element in self.all(css)}
            exact = [element for element, said in names.items() if said == name]
            return next(iter(exact + [element for element, said in names.items() if name in said]), None)

        return self.wait(find, f"{css} called {name}")

    def text(self, css: str, holding: str = "") -> str:
        """What can be read of the first thing that fits, waited for."""
        __tracebackhide__ = True
        found = self.wait(
            lambda: self.run(_FIND + "return found.map(read)", css, holding), f"{css} {holding}".strip()
        )
        return found[0]

    def click(self, css: str, text: str = "") -> None:
        """Press the first thing that fits; once more if it was just being drawn anew."""
        from selenium.common.exceptions import StaleElementReferenceException

        __tracebackhide__ = True
        try:
            self.press(self.one(css, text))
        except StaleElementReferenceException:
            self.press(self.one(css, text))

    def press(self, element: WebElement) -> None:
        """Press it, scrolled to the middle, where no bar of the page lies over it."""
        self.run("arguments[0].scrollIntoView({ block: 'center', behavior: 'instant' })", element)
        element.click()

    def keys(self, *keys: str) -> None:
        """Type, wherever the focus is."""
        from selenium.webdriver import ActionChains

        ActionChains(self.browser).send_keys(*keys).perform()

    def give(self, *files: Path) -> None:
        """Choose files."""
        self.wait(lambda: self.browser.find_elements("id", "choose-files"), "the file chooser")
        self.browser.find_element("id", "choose-files").send_keys("\n".join(map(str, files)))

    def wait(self, look: Callable[[], T | None], what: str, seconds: float = SECONDS) -> T:
        """What `look` finds, as soon as it finds something."""
        __tracebackhide__ = True
        from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
        from selenium.webdriver.support.ui import WebDriverWait

        waiting = WebDriverWait(self.browser, seconds, 0.05, ignored_exceptions=[StaleElementReferenceException])
        with contextlib.suppress(TimeoutException):
            return waiting.until(lambda _: look())
        shown = self.browser.find_element("tag name", "body").text
        pytest.fail(f"{what}: not seen within {seconds:g} s. The page reads:\n{shown[:1500]}")

    def download(self, pattern: str) -> Path:
        """A file that the page offered, once it is whole."""

        def look() -> Path | None:
            found = [path for path in self.saved.glob(pattern) if path.suffix != ".crdownload"]
            return found[0] if found and found[0].stat().st_size else None

        return self.wait(look, f"a saved file {pattern}")

    def run(self, script: str, *given: Any) -> Any:
        """The value of a script."""
        return self.browser.execute_script(script, *given)

    def complaints(self) -> list[str]:
        """What the browser wrote into its console since the last time: refused by the policy, failed scripts ..."""
        return [entry["message"] for entry in self.browser.get_log("browser") if entry["level"] == "SEVERE"]

    def barriers(self, *rules: str) -> list[str]:
        """What axe finds to be serious or critical for people who cannot see or use a mouse; by all rules or some."""
        try:
            script = resources.files("axe_playwright_python").joinpath("axe.min.js").read_text("utf-8")
        except ModuleNotFoundError:
            pytest.skip("axe is not installed: make test-browser installs it")
        self.browser.execute_script(script)
        asked: dict[str, Any] = {"resultTypes": ["violations"], "iframes": False}
        if rules:
            asked["runOnly"] = {"type": "rule", "values": rules}
        found = self.browser.execute_async_script(
            "const done = arguments[arguments.length - 1];"
            f"axe.run(document, {json.dumps(asked)}).then(done, e => done({{ error: String(e) }}))"
        )
        assert "error" not in found, found["error"]
        assert found["passes"], "axe has looked at nothing"
        return [
            f"{rule['id']} ({rule['impact']}): {node['html'][:160]} | {node['failureSummary'][:300]}"
            for rule in found["violations"]
            if rule["impact"] in ("serious", "critical")
            for node in rule["nodes"]
        ]
