"""Real browsers for tests: Chromium and Firefox, driven by Playwright. Errors in the console fail the test."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from queue import SimpleQueue
from typing import Literal, TypeVar

import trio
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Locator, Page, sync_playwright

Engine = Literal["chromium", "firefox"]
ENGINES: tuple[Engine, ...] = ("chromium", "firefox")
PROGRAMS: dict[Engine, tuple[str, ...]] = {
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "firefox": ("firefox-esr", "firefox"),
}
PACKAGES: dict[Engine, str] = {"chromium": "chromium", "firefox": "firefox-esr"}
CHROMIUM_ARGUMENTS = (
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
# Playwright can't emulate these in a Firefox that it doesn't bring itself.
FIREFOX_PREFERENCES: dict[str, str | float | bool] = {"ui.prefersReducedMotion": 1, "ui.systemUsesDarkTheme": 0}
TIMEOUT_MILLISECONDS = 30_000
HEIGHT = 800
T = TypeVar("T")


def program(engine: Engine) -> str:
    """Return the path of the browser. Raises RuntimeError if it isn't installed."""
    for name in PROGRAMS[engine]:
        path = shutil.which(name)
        if path is not None:
            return path
    raise RuntimeError(f"{engine} is missing: apt-get install {PACKAGES[engine]}")


@contextmanager
def browser(engine: Engine = "chromium", *arguments: str) -> Iterator[Browser]:
    """Run the browser, Chromium with further arguments.

    Close it within one test module: Playwright's event loop and Trio's can't be nested.
    """
    with sync_playwright() as playwright:
        if engine == "chromium":
            running = playwright.chromium.launch(
                executable_path=program(engine), args=[*CHROMIUM_ARGUMENTS, *arguments]
            )
        else:  # the installed Firefox, over WebDriver BiDi
            running = playwright.firefox.launch(
                channel="moz-firefox", executable_path=program(engine), firefox_user_prefs=FIREFOX_PREFERENCES
            )
        yield running
        running.close()


@contextmanager
def served_in_thread(serve: Callable[[], AbstractAsyncContextManager[T]]) -> Iterator[T]:
    """Enter a Trio context manager, such as a web server, in a thread with its own event loop; yield its value."""
    entered: SimpleQueue[tuple[T, trio.lowlevel.TrioToken, trio.Event]] = SimpleQueue()

    async def run() -> None:
        stop = trio.Event()
        async with serve() as value:
            entered.put((value, trio.lowlevel.current_trio_token(), stop))
            await stop.wait()

    thread = threading.Thread(target=trio.run, args=(run,))
    thread.start()
    value, token, stop = entered.get(timeout=60)
    try:
        yield value
    finally:
        token.run_sync_soon(stop.set)
        thread.join()


@contextmanager
def visit(
    browser: Browser,
    address: str,
    *,
    scheme: str = "light",
    width: int = 1280,
    height: int = HEIGHT,
    script: bool = True,
    ignored: tuple[str, ...] = (),
    invalid_certificate: bool = False,
) -> Iterator[Page]:
    """Open a page without any stored data. Fails if the console shows a message that contains none of `ignored`.

    Only Chromium can emulate a dark `scheme`, and pages without `script`.
    """
    assert browser.browser_type.name == "chromium" or (scheme == "light" and script)
    problems: list[str] = []

    def listen(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(
            text in f"{message.text} {message.location}" for text in ignored
        ):
            problems.append(f"{message.type}: {message.text} {message.location}")

    context = browser.new_context(
        color_scheme="dark" if scheme == "dark" else "light",
        viewport={"width": width, "height": height},
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


def violations(page: Page) -> list[str]:
    """Return every violation that axe-core finds on the page, whatever its impact."""
    found = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {each['help']}: {[node['target'] for node in each['nodes']]}"
        for each in found
    ]


def enter(field: Locator, text: str) -> None:
    """Replace a field's content as a person does. `fill` would append to a number in Firefox."""
    field.press("Control+a")
    field.press_sequentially(text)


def print_to_pdf(page: Page, width: float, height: float) -> bytes:
    """Print the page on paper of this size in mm, without margins, and return the PDF."""
    browser = page.context.browser
    if browser is not None and browser.browser_type.name == "firefox":
        # Playwright converts lengths to inches, but this Firefox reads centimetres.
        return page.pdf(width=f"{width / 10}in", height=f"{height / 10}in", print_background=True)
    return page.pdf(prefer_css_page_size=True, width=f"{width}mm", height=f"{height}mm", print_background=True)


def overflow(page: Page) -> int:
    """Return by how many pixels the page is wider than the window; above 0, reading needs horizontal scrolling."""
    return int(page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth"))
