"""How a document is delivered: inside its result, or stored in a folder and linked."""

from __future__ import annotations

import hashlib
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from render_trio.delivery import delivery
from render_trio.delivery.delivery import Delivery
from render_trio.delivery.directory import DirectoryStore
from render_trio.errors import DeliveryError, TooLargeError

PDF = b"%PDF" * 100
SHA256 = hashlib.sha256(PDF).hexdigest()


async def test_a_small_document_is_not_stored() -> None:
    assert await Delivery(400, None).deliver(PDF, SHA256) is None


@pytest.mark.parametrize("prefix", ["https://files.example.org/r", "https://files.example.org/r/"])
async def test_a_large_document_is_stored_and_linked(tmp_path: Path, prefix: str) -> None:
    large = Delivery(399, DirectoryStore(tmp_path / "new" / "folder", prefix))
    for _ in range(2):
        assert await large.deliver(PDF, SHA256) == f"https://files.example.org/r/{SHA256}.pdf"
    (stored,) = (tmp_path / "new" / "folder").iterdir()
    assert stored.read_bytes() == PDF


async def test_without_a_url_prefix_the_link_is_a_file_address(tmp_path: Path) -> None:
    url = await Delivery(1, DirectoryStore(tmp_path, "")).deliver(PDF, SHA256)
    assert url == (tmp_path / f"{SHA256}.pdf").as_uri()


async def test_without_a_store_the_error_names_the_setting() -> None:
    with pytest.raises(TooLargeError, match="DOCUMENT_STORE"):
        await Delivery(399, None).deliver(PDF, SHA256)


@pytest.mark.parametrize(("inline_bytes", "needed"), [(399, True), (400, False)])
def test_a_document_needs_the_store_if_it_is_too_large_for_its_result(inline_bytes: int, needed: bool) -> None:
    assert Delivery(inline_bytes, None).needs_store(PDF) is needed


async def test_a_store_that_hangs_times_out_and_does_not_delay_small_documents() -> None:
    release = threading.Event()

    class HungStore:
        def put(self, pdf: bytes, sha256: str) -> str:
            release.wait(60)
            return "too late"

    hung = Delivery(len(PDF) - 1, HungStore())
    try:
        # One more than there are threads: a delivery that waits for a thread times out too.
        for _ in range(delivery.STORE_THREADS + 1):
            with pytest.raises(DeliveryError, match="storing a document took longer than 0 s; check"):
                await hung.deliver(PDF, SHA256, seconds=0.05)
        assert await hung.deliver(b"%PDF", "") is None
    finally:
        release.set()


def test_a_full_disk_leaves_no_partial_document(tmp_path: Path) -> None:
    """A limit on the file size simulates the full disk: the write fails half-way."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from render_trio.delivery.directory import DirectoryStore; from render_trio.errors import DeliveryError\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"store = DirectoryStore(Path({str(tmp_path)!r}), '')\n"
        "try: store.put(bytes(200_000), 'abc')\n"
        "except DeliveryError as error: sys.exit(7 if 'raise the limit on the size' in str(error) else 8)"
    )
    assert resource.RLIMIT_FSIZE
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7
    assert list(tmp_path.iterdir()) == []
