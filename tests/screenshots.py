"""The pages as pictures: a service at work → PNGs of the gallery, a resource's page and the status."""

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
COLOURS = 128  # enough for flat pages, and a quarter of the bytes
ROUNDS = 3  # of tasks, one per resource, so that the status has something to show


def picture(page: Page, path: Path) -> None:
    """Write what is in the window to `path`."""
    with Image.open(io.BytesIO(page.screenshot(animations="disabled"))) as image:
        small = image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        small.save(path, optimize=True)
    print(f"{path}: {path.stat().st_size // 1024} KiB")


def put_to_work(service: Running) -> int:
    """Put tasks on the queue, and return how many."""
    with httpx.Client(base_url=service.address, trust_env=False) as client:
        for number in range(ROUNDS):
            for view in CATALOGUE:
                task = {"kind": "task#render", **task_values(view, {"seed": number})[1]}
                client.post("/tasks", json=task).raise_for_status()
    return ROUNDS * len(CATALOGUE)


def take(shown: Browser, service: Running, folder: Path) -> None:
    """Take all pictures into the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    count = put_to_work(service)
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
    """Start a queue and a service, and take the pictures."""
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
