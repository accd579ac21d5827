"""A real service whose queue requires a token and has a certificate from a private authority."""

from __future__ import annotations

from pathlib import Path

from render_trio import Client
from tests.processes import Running, render_trio, start_queue, start_service
from tests.tls_proxy import new_authority, tls_in_front_of

OLD, NEW, SITE = "old-token-0123456789", "new-token-0123456789", "site-token-0123456789"


def start_guarded_queue(folder: Path, *tokens: str, port: int = 0) -> Running:
    """Start a queue that accepts these tokens of the service, and that of the producer."""
    lines = [f"render@example.org: [{', '.join(tokens)}]", f"site@example.org: {SITE}"]
    (folder / "tokens.yaml").write_text("\n".join(lines))
    store = f"sqlite:///{folder / 'queue.sqlite3'}"
    return start_queue(store, "--token-file", str(folder / "tokens.yaml"), port=port)


def fetch(address: str) -> bool:
    """Submit a task, wait for its result, and return whether it has a document."""
    with Client(address, token=SITE) as client:
        client.submit("grid")
        result = next(client.results(wait=60))
        result.acknowledge()
        return result.success


def test_a_token_is_rotated_without_a_restart_or_a_failed_task(tmp_path: Path) -> None:
    authority = new_authority(tmp_path / "authority")
    (tmp_path / "token").write_text(OLD)
    queue = start_guarded_queue(tmp_path, OLD, NEW)
    log = tmp_path / "service.log"
    with tls_in_front_of(queue.address, authority) as secured:
        service = start_service(
            secured, log, QUEUE_TOKEN_FILE=str(tmp_path / "token"), QUEUE_CA_FILE=str(authority.certificate)
        )
        try:
            assert fetch(queue.address)
            (tmp_path / "next").write_text(NEW)
            (tmp_path / "next").replace(tmp_path / "token")
            assert fetch(queue.address)
            assert "queue unreachable" not in log.read_text()
            queue.end()
            queue = start_guarded_queue(tmp_path, NEW, port=int(queue.address.rpartition(":")[2]))
            assert fetch(queue.address)
        finally:
            assert service.end() == 0
            queue.end()
    text = log.read_text()
    assert "401" not in text
    assert "attempt failed" not in text
    assert OLD not in text
    assert NEW not in text


def test_a_service_does_not_start_with_an_unusable_token_file(tmp_path: Path) -> None:
    done = render_trio("serve", "--port", "0", QUEUE_TOKEN_FILE=str(tmp_path / "missing"))
    assert done.returncode == 1
    assert f"QUEUE_TOKEN_FILE is '{tmp_path / 'missing'}': it can't be read: No such file" in done.stderr
