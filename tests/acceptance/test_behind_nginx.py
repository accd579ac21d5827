"""The web side behind nginx with TLS, under a path, in a real browser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from playwright.sync_api import Browser, Page, Response, expect

from tests.browser import browser as run_browser
from tests.browser import visit
from tests.nginx import NAME, nginx
from tests.processes import Running, queue, start_service

TOKEN = "a-token-for-tests"
VISITOR = "127.0.0.3"  # nginx itself connects from 127.0.0.1


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nginx")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[Running]:
    with queue(f"sqlite:///{folder / 'queue.sqlite3'}") as running_queue:
        running = start_service(
            running_queue.address,
            folder / "log",
            RENDER_WORKERS=1,
            ADMIN_TOKEN=TOKEN,
            ROOT_PATH="/print",
            TRUSTED_PROXIES="127.0.0.1",
            ALLOWED_HOSTS=NAME,
        )
        yield running
        assert running.end() == 0, (folder / "log").read_text()


@pytest.fixture(scope="module", params=["keeps the path", "removes the path"])
def site(request: pytest.FixtureRequest, service: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the site behind nginx, which removes the path under which it serves, or not."""
    port = int(service.address.rpartition(":")[2])
    with nginx(tmp_path_factory.mktemp("server"), port, strip=request.param == "removes the path") as public:
        yield f"https://{NAME}:{public}/print"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser("chromium", f"--host-resolver-rules=MAP {NAME} 127.0.0.1") as running:
        yield running


def watch(page: Page, site: str) -> list[str]:
    """Return the list to which each failed response, and each one from outside the path, will be added."""
    failed: list[str] = []

    def note(response: Response) -> None:
        inside = response.url.startswith((f"{site}/", "data:", "blob:"))
        if response.status >= 400 or not inside:
            failed.append(f"{response.status} {response.url}")

    page.on("response", note)
    return failed


def test_every_page_works(browser: Browser, site: str) -> None:
    with visit(browser, f"{site}/", invalid_certificate=True) as page:
        failed = watch(page, site)
        page.reload()
        page.get_by_role("link", name="Parity Cards").click()
        expect(page.locator("#sheets img").first).to_have_js_property("complete", True)
        page.get_by_label("Header").fill("Room Four")
        expect(page).to_have_url(f"{site}/resources/parity-cards?header_text=Room+Four")
        with page.expect_download() as download:
            page.get_by_role("button", name="Download").click()
        assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
        page.get_by_role("button", name="Create in the background").click()
        expect(page.get_by_text("Your document is ready.")).to_be_visible()
        with page.expect_download() as download:
            page.locator("#download").click()
        assert Path(download.value.path()).read_bytes().startswith(b"%PDF-")
        page.goto(f"{site}/status")
        expect(page.locator("[data-connection]")).to_have_text("Live.")
        assert failed == []


def test_the_log_has_the_visitors_address(site: str, folder: Path) -> None:
    port = urlsplit(site).port
    transport = httpx.HTTPTransport(local_address=VISITOR, verify=False)
    spoofed = {"Host": f"{NAME}:{port}", "X-Forwarded-For": "6.6.6.6", "Forwarded": "for=6.6.6.6"}
    with httpx.Client(transport=transport) as client:
        form = {"worker": "worker-1", "token": "wrong"}
        response = client.post(f"https://127.0.0.1:{port}/print/status/restart", data=form, headers=spoofed)
    assert response.status_code == 403
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    clients = [line["client"] for line in lines if line["event"] == "wrong token"]
    assert set(clients) == {VISITOR}


def test_a_visitors_headers_change_no_address(site: str) -> None:
    port = urlsplit(site).port
    headers = {"Host": f"{NAME}:{port}", "X-Forwarded-Prefix": "/evil", "X-Forwarded-Host": "evil.example"}
    with httpx.Client(verify=False, trust_env=False) as client:
        page = client.get(f"https://127.0.0.1:{port}/print/", headers=headers)
    assert page.status_code == 200
    assert "evil" not in page.text
