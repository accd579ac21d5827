"""`render-trio preview` as an author uses it: a file is saved, and the open page shows the change by itself."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import expect

from render_trio.cli.new import write_package
from tests.browser import browser, visit
from tests.conftest import ROOT
from tests.processes import environment


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A new plug-in package, as `render-trio new` writes it."""
    write_package("Letter Cards", tmp_path / "letter-cards")
    return tmp_path / "letter-cards"


@pytest.fixture
def preview(package: Path) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """The running command, and the address that it prints."""
    command = [sys.executable, "-m", "render_trio", "--plugins", str(package), "preview", "letter-cards", "--port", "0"]
    settings = environment(PYTHONPATH=str(ROOT))
    with subprocess.Popen(command, cwd=package, env=settings, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        address = process.stderr.readline().strip()
        yield process, address
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
            assert process.wait(20) == 0


def test_a_saved_change_and_a_mistake_appear_in_the_open_page(
    package: Path, preview: tuple[subprocess.Popen[str], str]
) -> None:
    _, address = preview
    code = package / "letter_cards" / "resource.py"
    text = code.read_text()
    # The stream breaks off when the process is replaced, and a broken resource has neither a page nor pictures.
    expected = ("ERR_INCOMPLETE_CHUNKED_ENCODING", "status of 404", "status of 500")
    with browser() as running, visit(running, address, ignored=expected) as page:
        expect(page.get_by_role("heading", level=1)).to_have_text("Letter Cards")
        before = page.locator("#sheets img").first.get_attribute("src")
        code.write_text(text.replace('N_("Letter Cards")', 'N_("Cards of Letters")'))
        expect(page.get_by_role("heading", level=1)).to_have_text("Cards of Letters")
        assert page.locator("#sheets img").first.get_attribute("src") != before
        code.write_text(text.replace("COLUMNS = 2", "COLUMNS = broken"))
        expect(page.locator("pre.traceback")).to_contain_text(re.compile("NameError: name 'broken' is not defined"))
        code.write_text(text)
        expect(page.get_by_role("heading", level=1)).to_have_text("Letter Cards")


def test_a_drawing_that_fails_shows_its_traceback(package: Path, preview: tuple[subprocess.Popen[str], str]) -> None:
    _, address = preview
    code = package / "letter_cards" / "resource.py"
    code.write_text(code.read_text().replace("page.cut_lines(cards)", "page.cut_lines(cards / 0)"))
    deadline = time.monotonic() + 20
    while "unsupported operand" not in (page := httpx.get(address, trust_env=False, timeout=20)).text:
        assert time.monotonic() < deadline, page.text
        time.sleep(0.1)
    assert page.status_code == 500


def test_a_killed_command_leaves_no_process_behind(preview: tuple[subprocess.Popen[str], str]) -> None:
    process, address = preview
    httpx.get(address, trust_env=False, timeout=20)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while answers(address):
        assert time.monotonic() < deadline, "the page's process is still running"
        time.sleep(0.1)


def answers(address: str) -> bool:
    try:
        httpx.get(address, trust_env=False, timeout=20)
    except httpx.TransportError:
        return False
    return True
