"""The app in a process of its own, and a real Chromium that looks at it.

Screenshots go to runs/screenshots, or to the folder that $PARTWISE_SCREENSHOTS names: the guide shows those of
`PARTWISE_SCREENSHOTS=docs/screenshots make test ARGS=tests/browser`.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

ROOT = Path(__file__).parents[2]
# A busy machine is no failure: seconds for the start, milliseconds for a step on the page.
STARTS_WITHIN, TIMEOUT = 180, 60_000
DESKTOP, PHONE = {"width": 1440, "height": 900}, {"width": 390, "height": 844}
PLACES = (
    *(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")),
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
PERMISSIONS = ["clipboard-read", "clipboard-write", "camera"]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.browser)


@pytest.fixture(scope="module")
def program() -> list[str]:
    """What starts the app; a module may start another one."""
    return [sys.executable, "app.py"]


@pytest.fixture(scope="module")
def address(tmp_path_factory, program) -> Iterator[str]:
    """Where a freshly started app listens, with no data of its own yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    data = tmp_path_factory.mktemp("data")
    log = data / "log"
    environment = os.environ | {"PARTWISE_DATA": str(data), "GRADIO_TEMP_DIR": str(data / "gradio")}
    environment.pop("SPACE_ID", None)
    with log.open("w") as output:
        app = subprocess.Popen([*program, "--port", str(port)], cwd=ROOT, env=environment, stdout=output, stderr=output)
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + STARTS_WITHIN
        while True:
            try:
                urllib.request.urlopen(url, timeout=5).close()
                break
            except OSError:
                assert app.poll() is None, log.read_text()
                assert time.monotonic() < deadline, f"the app does not answer:\n{log.read_text()}"
                time.sleep(0.1)
        yield url
    finally:
        app.terminate()
        app.wait(20)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    place = next((place for place in PLACES if place and Path(place).exists()), None)
    if place is None:
        pytest.fail("there is no Chromium or Chrome here; `make test` installs one on Debian")
    with sync_playwright() as playwright:
        expect.set_options(timeout=TIMEOUT)
        browser = playwright.chromium.launch(executable_path=place, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium, address) -> Iterator[Callable[..., Page]]:
    """Opens the app; afterwards no page may have asked another host for anything or met an error."""
    contexts: list[BrowserContext] = []
    hosts: set[str | None] = set()
    errors: list[str] = []

    def open_(viewport: dict[str, int] = DESKTOP, scheme: str = "light") -> Page:
        context = chromium.new_context(viewport=viewport, color_scheme=scheme, permissions=PERMISSIONS)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(TIMEOUT)
        page.on("request", lambda request: hosts.add(urlsplit(request.url).hostname))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.goto(address)
        page.wait_for_selector("#pw-examples button")
        return page

    yield open_
    for context in contexts:
        context.close()
    assert hosts <= {"127.0.0.1", None}, f"the page asked {hosts}"  # data: and blob: have no host
    assert errors == []


@pytest.fixture
def page(open_page) -> Page:
    return open_page()


@pytest.fixture(scope="session")
def shoot() -> Callable[..., None]:
    """Saves a screenshot under a name."""
    folder = Path(os.environ.get("PARTWISE_SCREENSHOTS", ROOT / "runs" / "screenshots"))
    folder.mkdir(parents=True, exist_ok=True)

    def save(page: Page, name: str) -> None:
        page.wait_for_timeout(500)  # let transitions end
        page.screenshot(path=folder / f"{name}.jpg", type="jpeg", quality=82)

    return save
