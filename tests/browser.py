"""A real browser for tests: Chromium, driven by Playwright. Errors and warnings in the console fail the test."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",  # CI runs as root, which Chromium's sandbox doesn't support
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    # Only the service under test receives requests.
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
TIMEOUT_MILLISECONDS = 30_000
HEIGHT = 800
SERIOUS = ("serious", "critical")


def program() -> str:
    """Return the path of the browser. Raises RuntimeError if none is installed."""
    for name in PROGRAMS:
        path = shutil.which(name)
        if path is not None:
            return path
    raise RuntimeError("chromium is missing: apt-get install chromium")


@contextmanager
def browser(*arguments: str) -> Iterator[Browser]:
    """Run the browser, with further arguments.

    Close it within one test module: Playwright's event loop and Trio's can't be nested.
    """
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=program(), args=[*ARGUMENTS, *arguments])
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
    ignored: tuple[str, ...] = (),
    invalid_certificate: bool = False,
) -> Iterator[Page]:
    """Open a page without any stored data. Fails if the console shows a message that contains none of `ignored`."""
    problems: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(
            text in f"{message.text} {message.location}" for text in ignored
        ):
            problems.append(f"{message.type}: {message.text} {message.location}")

    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": HEIGHT},
        reduced_motion="reduce",
        java_script_enabled=script,
        ignore_https_errors=invalid_certificate,
    )
    context.set_default_timeout(TIMEOUT_MILLISECONDS)
    page = context.new_page()
    page.on("console", listen)
    page.on("pageerror", lambda error: problems.append(f"uncaught: {error}"))
    try:
        page.goto(address)
        yield page
    finally:
        context.close()
    assert problems == [], problems


def serious_violations(page: Page) -> list[str]:
    """Return the serious accessibility violations that axe-core finds on the page."""
    found = Axe().run(page).response["violations"]
    return [
        f"{violation['id']}: {violation['help']}: {[node['target'] for node in violation['nodes']]}"
        for violation in found
        if violation["impact"] in SERIOUS
    ]


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window; above 0, reading needs horizontal scrolling."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
