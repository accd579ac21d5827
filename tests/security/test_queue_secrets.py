"""The password of a store: searched in every output of the queue, where 0.1.0 showed it in messages and in `ps`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from emulator.stores.redaction import redacted, secrets_of, shown_url
from tests.conftest import ROOT
from tests.emulator.server.running import PAYLOAD, TASKS
from tests.processes import children_of, environment, start_queue
from tests.redis_server import RedisServer, free_port

CANARY = "canary-pass-4711"


def outputs(address: str) -> Iterator[str]:
    """Yield what a client gets from the queue."""
    with httpx.Client(base_url=address, trust_env=False, timeout=20) as client:
        yield client.post(TASKS, json={"payloadBase64": PAYLOAD}).text
        yield client.post(f"{TASKS}/lease?numTasks=1&leaseSecs=1").text
        for path in ("/health", "/readyz", "/", "/metrics", "/queues/shop/print"):
            yield client.get(path).text


def arguments_of(process: int) -> str:
    return Path(f"/proc/{process}/cmdline").read_text()


@pytest.mark.parametrize("case", ["refused", "unreachable"])
@pytest.mark.parametrize("processes", ["1", "2"])
def test_the_password_of_the_store_appears_nowhere(tmp_path: Path, case: str, processes: str) -> None:
    server = RedisServer(tmp_path)
    if case == "refused":
        server.start()
    port = server.url.rsplit(":", 1)[1].split("/")[0] if case == "refused" else free_port()
    url = f"redis://canary-user:{CANARY}@127.0.0.1:{port}/0"
    log = tmp_path / "log"
    command = [sys.executable, "-m", "emulator", "--port", "0", "--processes", processes]
    with log.open("w") as output:
        process = subprocess.Popen(
            command, env=environment(EMULATOR_STORE=url), stdout=subprocess.PIPE, stderr=output, text=True
        )
    assert process.stdout is not None
    found: list[str] = []
    try:
        line = process.stdout.readline()
        if line:
            found += [arguments_of(pid) for pid in (process.pid, *children_of(process.pid))]
            found += outputs(line.split()[-1])
            assert any("Redis" in text for text in found)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()
        if case == "refused":
            server.stop()
    found.append(log.read_text())
    assert CANARY not in "".join(found)


@pytest.mark.parametrize(
    "url",
    [
        f"mysql://user:{CANARY}@host/0",
        f"redis://:{CANARY}/x@host:1/0",
        f"redis://:x/{CANARY}@host:1/0",
        f"redis://user:{CANARY}#y@host:port/0",
        f"redis://:{CANARY}?a@host:99999999/0",
        f"redis://host:1/0?password={CANARY}&unknown=1",
        f"redis://:{CANARY}@host:1/0?socket_timeout=soon",
        f"redis://:{CANARY}",
        f"redis://[{CANARY}",
        f"redis+sentinel://:{CANARY}@host",
        f"redis+sentinel://:{CANARY}@host:1/service?x=y",
        f"redis:user:{CANARY}@host",
    ],
)
def test_an_invalid_url_is_reported_without_its_password(url: str) -> None:
    command = [sys.executable, "-m", "emulator", "--port", "0"]
    ended = subprocess.run(
        command, env=environment(EMULATOR_STORE=url), capture_output=True, text=True, check=False, timeout=60
    )
    assert ended.returncode == 1
    assert "store is" in ended.stderr
    assert CANARY not in ended.stderr + ended.stdout
    assert "Traceback" not in ended.stderr


def test_the_image_does_not_pass_the_url_as_an_argument(tmp_path: Path) -> None:
    program = tmp_path / "render-trio"
    program.write_text('#!/bin/sh\necho "arguments: $*"\necho "store: $EMULATOR_STORE"\n')
    program.chmod(0o755)
    url = f"redis://:{CANARY}@redis:6379/0"
    for settings, store in (
        ({"STORE": url}, url),
        ({"EMULATOR_STORE": url, "STORE": "x"}, url),
        ({}, "sqlite:////data/queue.sqlite3"),
    ):
        ran = subprocess.run(
            [ROOT / "scripts" / "docker-entrypoint.sh", "emulator"],
            env={"PATH": f"{tmp_path}:{os.defpath}", **settings},
            capture_output=True,
            text=True,
            check=True,
        )
        arguments, given = ran.stdout.splitlines()
        assert (CANARY in arguments, given) == (False, f"store: {store}")


def test_a_url_is_shown_without_its_secrets() -> None:
    assert shown_url("redis://user:pass@host:6379/0?password=x") == "'redis://***@host:6379/0'"
    assert shown_url("sqlite:///a/b.sqlite3") == "'sqlite:///a/b.sqlite3'"
    assert shown_url("redis+sentinel://a:1,b:2/s/0") == "'redis+sentinel://a:1,b:2/s/0'"
    assert secrets_of("redis://user:p%40ss%2Fword@host") == {"p%40ss%2Fword", "p@ss/word"}
    assert secrets_of("redis://host:6379/0") == set()
    assert redacted("unknown text") == "unknown text"


def test_tokens_in_a_broken_file_are_not_logged(tmp_path: Path) -> None:
    (tmp_path / "tokens.yaml").write_text(f"render@example.org: {CANARY}\n")
    log = tmp_path / "log"
    running = start_queue(f"sqlite:///{tmp_path / 'q'}", "--token-file", str(tmp_path / "tokens.yaml"), log=log)
    (tmp_path / "tokens.yaml").write_text(f"render@example.org: [{CANARY}\n")
    with httpx.Client(base_url=running.address, trust_env=False) as client:
        while "warnings" not in (health := client.get("/health").text):
            pass
        wrong = client.get(TASKS, headers={"Authorization": f"Bearer {CANARY}x"}).text
    running.end()
    assert "not reread" in log.read_text()
    assert CANARY not in log.read_text() + health + wrong
