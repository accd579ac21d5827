"""Cross-site request forgery: pages of other sites that send forms to ours, with all that a browser may say of them."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.processes import Running, start_service

NOWHERE = "http://127.0.0.1:9"
HOST = "print.example.org:8080"
TOKEN = "a-token-for-tests"
FORMS = ("/resources/grid/tasks", "/status/restart", "/render", "/tasks")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    log = tmp_path_factory.mktemp("csrf") / "log"
    settings = {"ALLOWED_HOSTS": ".example.org", "TRUSTED_PROXIES": "127.0.0.1", "ADMIN_TOKEN": TOKEN}
    running = start_service(NOWHERE, log, RENDER_WORKERS=1, **settings)
    yield running
    assert running.end() == 0, log.read_text()


def send(service: Running, path: str, *headers: tuple[str, str]) -> httpx.Response:
    data = {"worker": "worker-1", "token": TOKEN} if path == "/status/restart" else {}
    return httpx.post(service.address + path, data=data, headers=[("Host", HOST), *headers], trust_env=False)


@pytest.mark.parametrize("path", FORMS)
@pytest.mark.parametrize(
    "headers",
    [
        [("Origin", "http://evil.example")],
        [("Origin", "null")],  # a sandboxed frame, a data: URL, or a page without a referrer
        [("Origin", "http://print.example.org:8081")],
        [("Origin", "http://print.example.org")],
        [("Origin", "https://print.example.org:8080")],
        [("Origin", "http://www.print.example.org:8080")],
        [("Origin", "http://example.org:8080")],
        [("Origin", "http://print.example.org:8080.evil.example")],
        [("Origin", "http://print.example.org:8080@evil.example")],
        [("Origin", "http://evil.example@print.example.org:8080")],
        [("Origin", "print.example.org:8080")],
        [("Origin", "")],
        [("Origin", f"http://{HOST}"), ("Origin", "http://evil.example")],
        [("Origin", f"http://{HOST} http://evil.example")],
        [("Referer", "http://evil.example/page")],
        [("Referer", f"http://evil.example/http://{HOST}/")],
        [("Referer", f"http://evil.example?http://{HOST}/")],
        [("Referer", f"http://{HOST}/"), ("Origin", "null")],
        [("Sec-Fetch-Site", "cross-site")],
        [("Sec-Fetch-Site", "same-site"), ("Origin", "http://www.example.org")],
        [("Sec-Fetch-Site", "cross-site"), ("Origin", f"http://{HOST}")],
        [("Sec-Fetch-Site", "same-origin"), ("Sec-Fetch-Site", "cross-site")],
        [("Origin", "http://evil.example"), ("X-Forwarded-Proto", "https")],
        [("Origin", f"http://{HOST}"), ("X-Forwarded-Proto", "https")],
        [("Origin", f"http://{HOST}"), ("X-Forwarded-Host", "other.example.org")],
    ],
)
def test_a_page_of_another_site_sends_a_form(service: Running, path: str, headers: list[tuple[str, str]]) -> None:
    response = send(service, path, *headers)
    assert response.status_code == 403
    assert response.json()["code"] == "other_origin"


@pytest.mark.parametrize(
    "headers",
    [
        [],  # a program
        [("Origin", f"http://{HOST}")],
        [("Origin", f"HTTP://{HOST.upper()}")],
        [("Referer", f"http://{HOST}/status")],
        [("Sec-Fetch-Site", "same-origin"), ("Origin", f"http://{HOST}")],
        [("Sec-Fetch-Site", "none")],
        [("Origin", f"https://{HOST}"), ("X-Forwarded-Proto", "https")],
        [("Origin", "https://www.example.org"), ("Forwarded", "for=1.2.3.4;proto=https;host=www.example.org")],
        [("Origin", "https://www.example.org:443"), ("Forwarded", "proto=https;host=www.example.org")],
        [("Origin", "http://192.168.1.2:8080"), ("X-Forwarded-Host", "192.168.1.2:8080")],
        [("Origin", "http://[fd00::1]:8080"), ("X-Forwarded-Host", "[fd00::1]:8080")],
    ],
)
def test_our_own_pages_and_programs_are_served(service: Running, headers: list[tuple[str, str]]) -> None:
    assert send(service, "/status/restart", *headers).status_code == 303


def test_pages_allow_browsers_to_send_the_origin_of_their_forms(service: Running) -> None:
    headers = httpx.get(service.address, headers={"Host": HOST}, trust_env=False).headers
    assert headers["Referrer-Policy"] == "same-origin"
    assert "form-action 'self'" in headers["Content-Security-Policy"]
