"""A real browser for tests: Chromium, driven by playwright. What a page complains of in the console fails the test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # continuous integration runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Nothing but the service under test is asked for anything.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE_MILLISECONDS = 30_000
HEIGHT = 800
GRAVE = ("serious", "critical")


def program() -> str:
    """Return the path of the browser. Raises RuntimeError that says what to install."""
    for name in PROGRAMS:
        path = shutil.which(name)
        if path is not None:
            return path
    raise RuntimeError("chromium is missing: apt-get install chromium")


@contextmanager
def browser() -> Iterator[Browser]:
    """Run the browser; closed within one module of tests, since playwright's loop and Trio's don't nest."""
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program(), args=list(ARGUMENTS))
        yield running
        running.close()


@contextmanager
def visit(
    browser: Browser,
    address: str,
    *,
    scheme: str = "light",
    width: int = 1280,
    script: bool = True,
    forgiven: tuple[str, ...] = (),
) -> Iterator[Page]:
    """Open a page, as a fresh visitor; fails when it complained of anything but what holds a text that is forgiven."""
    complaints: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(text in message.text for text in forgiven):
            complaints.append(f"{message.type}: {message.text} {message.location}")

    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": HEIGHT},
        reduced_motion="reduce",
        java_script_enabled=script,
    )
    context.set_default_timeout(PATIENCE_MILLISECONDS)
    page = context.new_page()
    page.on("console", listen)
    page.on("pageerror", lambda error: complaints.append(f"uncaught: {error}"))
    try:
        page.goto(address)
        yield page
    finally:
        context.close()
    assert complaints == []


def grave_violations(page: Page) -> list[str]:
    """Return what axe-core finds on the page that keeps people from using it."""
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {violation['help']}: {[node['target'] for node in violation['nodes']]}"
        for violation in found
        if violation["impact"] in GRAVE
    ]


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window: 0, or somebody must scroll sideways to read."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
