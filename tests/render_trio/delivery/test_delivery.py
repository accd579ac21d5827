"""Where a document goes: into the queue, or into a folder with a link to it."""

from __future__ import annotations

import base64
import hashlib
import resource
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from render_trio.delivery import delivery
from render_trio.delivery.delivery import Delivery, DirectoryStore
from render_trio.errors import DeliveryError, TooLargeError
from render_trio.queue.messages import DocumentResult, LinkResult, decode_result, encode_result, failure, result_id
from render_trio.rendering.finisher import FinishedDocument

DOCUMENT = FinishedDocument("Cards (a4).pdf", b"%PDF" * 100, 3, hashlib.sha256(b"%PDF" * 100).hexdigest())


async def test_a_small_document_travels_in_the_queue() -> None:
    result = await Delivery(400, None).result("one", DOCUMENT)
    assert isinstance(result, DocumentResult)
    assert base64.b64decode(result.document or "") == DOCUMENT.pdf
    assert (result.filename, result.pages, result.sha256) == (DOCUMENT.filename, 3, DOCUMENT.sha256)


@pytest.mark.parametrize("prefix", ["https://files.example.org/r", "https://files.example.org/r/"])
async def test_a_large_document_is_stored_and_linked(tmp_path: Path, prefix: str) -> None:
    large = Delivery(399, DirectoryStore(tmp_path / "new" / "folder", prefix))
    for _ in range(2):
        result = await large.result("one", DOCUMENT)
        assert isinstance(result, LinkResult)
        assert result.url == f"https://files.example.org/r/{DOCUMENT.sha256}.pdf"
    (stored,) = (tmp_path / "new" / "folder").iterdir()
    assert stored.read_bytes() == DOCUMENT.pdf


async def test_without_a_prefix_the_link_is_a_file(tmp_path: Path) -> None:
    result = await Delivery(1, DirectoryStore(tmp_path, "")).result("one", DOCUMENT)
    assert isinstance(result, LinkResult)
    assert result.url == (tmp_path / f"{DOCUMENT.sha256}.pdf").as_uri()


async def test_without_a_store_the_setting_is_named() -> None:
    with pytest.raises(TooLargeError, match="DOCUMENT_STORE"):
        await Delivery(399, None).result("one", DOCUMENT)


async def test_a_folder_that_can_not_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DeliveryError, match="did not take 400 bytes"):
        await Delivery(1, DirectoryStore(tmp_path / "file", "")).result("one", DOCUMENT)


async def test_a_store_that_hangs_is_given_up_and_leaves_small_documents_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    release = threading.Event()

    class HungStore:
        def put(self, document: FinishedDocument) -> str:
            release.wait(60)
            return "too late"

    monkeypatch.setattr(delivery, "STORE_SECONDS", 0.05)
    hung = Delivery(len(DOCUMENT.pdf) - 1, HungStore())
    try:
        # More than there are threads for it: those that wait for one are not stuck either.
        for _ in range(delivery.STORE_THREADS + 1):
            with pytest.raises(DeliveryError, match="did not take 400 bytes within 0 s"):
                await hung.result("one", DOCUMENT)
        small = FinishedDocument("a.pdf", b"%PDF", 1, "")
        assert isinstance(await hung.result("two", small), DocumentResult)
    finally:
        release.set()


def test_a_full_disk_leaves_no_half_document(tmp_path: Path) -> None:
    """A file size limit stands for the full disk: the write fails in its middle."""
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "from render_trio.delivery.delivery import DirectoryStore; from render_trio.errors import DeliveryError\n"
        "from render_trio.rendering.finisher import FinishedDocument\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))\n"
        f"store = DirectoryStore(Path({str(tmp_path)!r}), '')\n"
        "try: store.put(FinishedDocument('x', bytes(200_000), 1, 'abc'))\n"
        "except DeliveryError: sys.exit(7)"
    )
    assert resource.RLIMIT_FSIZE
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 7
    assert list(tmp_path.iterdir()) == []


def test_results_are_what_older_producers_expect() -> None:
    failed = base64.b64decode(encode_result(failure("one", "not_json", "why")))
    assert failed == (
        b'{"kind":"result#document","success":false,"task_id":"one","filename":null,"document":null,'
        b'"error":{"code":"not_json","message":"why"}}'
    )
    link = LinkResult(task_id="one", filename="a.pdf", url="https://x", pages=1, sha256="f")
    assert decode_result(encode_result(link)) == link
    assert decode_result(encode_result(failure("one", "a", "b"))) == failure("one", "a", "b")


def test_a_result_s_id_is_a_task_s_name() -> None:
    assert result_id("one") == "one-result"
    assert len(result_id("x" * 500)) <= 500
    assert result_id("x" * 500) != result_id("x" * 499 + "y")
