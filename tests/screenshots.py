"""A running service → screenshots (PNG) of the gallery, a resource's page and the status page."""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

import httpx
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from render_trio.queue.producer import task_values
from resources.registry import CATALOGUE
from tests.browser import browser, visit
from tests.processes import Running, queue, start_service

WIDTH = 1280
COLOURS = 128  # enough for pages with few colours, at a quarter of the size
ROUNDS = 3  # of tasks, one per resource in each, so that the status page has data


def picture(page: Page, path: Path) -> None:
    """Write the visible part of the page to `path`."""
    with Image.open(io.BytesIO(page.screenshot(animations="disabled"))) as image:
        small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} KiB")


def submit_tasks(service: Running) -> int:
    """Submit tasks and return their number."""
    with httpx.Client(base_url=service.address, trust_env=False) as client:
        for number in range(ROUNDS):
            for view in CATALOGUE:
                task = {"kind": "task#render", **task_values(view, {"seed": number})[1]}
                client.post("/tasks", json=task).raise_for_status()
    return ROUNDS * len(CATALOGUE)


def take(shown: Browser, service: Running, folder: Path) -> None:
    """Take all screenshots into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    count = submit_tasks(service)
    with visit(shown, f"{service.address}/", width=WIDTH) as page:
        page.wait_for_load_state("networkidle")
        picture(page, folder / "gallery.png")
    address = f"{service.address}/resources/sorting-network?prefilled_values=medium&header_text=Room+Four"
    with visit(shown, address, width=WIDTH) as page:
        page.wait_for_load_state("networkidle")
        picture(page, folder / "resource.png")
    with visit(shown, f"{service.address}/status", width=WIDTH) as page:
        expect(page.locator("#last-hour")).to_have_text(str(count), timeout=60_000)
        picture(page, folder / "status.png")


def main(folder: Path) -> None:
    """Start a queue and a service, and take the screenshots."""
    with (
        tempfile.TemporaryDirectory(prefix="render-trio-") as data,
        browser() as shown,
        queue(f"sqlite:///{data}/queue.sqlite3") as running_queue,
    ):
        service = start_service(running_queue.address, Path(data) / "log", RENDER_WORKERS=2)
        try:
            take(shown, service, folder)
        finally:
            service.end()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
