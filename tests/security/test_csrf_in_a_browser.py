"""Forms in a real browser over plain HTTP on a network, where it sends no Sec-Fetch-Site: ours work, others' don't."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import Browser, expect

from tests.browser import browser as run_browser
from tests.browser import visit
from tests.processes import Running, queue, start_service

NAME, EVIL = "print.school.example", "evil.example"
FORM = '<form method="post" action="{action}" target="_top"></form><script>document.forms[0].submit()</script>'
SANDBOX = "<iframe sandbox=\"allow-forms allow-scripts allow-top-navigation\" srcdoc='{form}'></iframe>"
PLAIN_TEXT = (
    '<form method="post" enctype="text/plain" action="{action}"></form><script>document.forms[0].submit()</script>'
)


def own_address() -> str:
    """Return the address of a network interface. No packet is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("203.0.113.1", 9))
        return str(probe.getsockname()[0])


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("csrf")
    with queue(f"sqlite:///{folder / 'queue.sqlite3'}") as running_queue:
        running = start_service(
            running_queue.address, folder / "log", RENDER_WORKERS=1, HOST="0.0.0.0", ALLOWED_HOSTS=NAME
        )
        yield running
        assert running.end() == 0, (folder / "log").read_text()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with run_browser("chromium", f"--host-resolver-rules=MAP {NAME} 127.0.0.1,MAP {EVIL} 127.0.0.1") as running:
        yield running


@pytest.fixture(params=["address", "name"])
def address(request: pytest.FixtureRequest, service: Running) -> str:
    """The service as a visitor on a LAN reaches it: by the machine's address, or by a name."""
    return service.address.replace("127.0.0.1", own_address() if request.param == "address" else NAME)


@contextmanager
def page_of_another_site(html: str) -> Iterator[str]:
    """Serve a page, and yield its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "text/html")
            self.end_headers()
            self.wfile.write(html.encode() if self.path == "/attack" else b"")

        def log_message(self, format: str, *arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"http://{EVIL}:{server.server_address[1]}/attack"
        finally:
            server.shutdown()
            thread.join()


def test_our_own_form_works(browser: Browser, address: str) -> None:
    with visit(browser, f"{address}/resources/grid") as page:
        page.get_by_role("button", name="Create in the background").click()
        expect(page.get_by_text("Your document is ready.")).to_be_visible()


@pytest.mark.parametrize("attack", [FORM, PLAIN_TEXT, SANDBOX])
def test_a_form_of_another_site_is_refused(browser: Browser, address: str, attack: str) -> None:
    action = f"{address}/resources/grid/tasks"
    html = attack.format(action=action, form=FORM.format(action=action))
    with page_of_another_site(html) as evil, visit(browser, f"{address}/", ignored=("403", "favicon.ico")) as page:
        with page.expect_response(lambda response: response.request.method == "POST") as sent:
            page.goto(evil, wait_until="commit")
        assert "sec-fetch-site" not in sent.value.request.all_headers()
        assert sent.value.status == 403
        assert "This request was refused." in sent.value.text()
