"""The image's commands with a read-only root, an arbitrary uid, and as the first process. Needs root."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import httpx

from tests.processes import children_of, render_trio
from tests.redis_server import free_port
from tests.scripts.container import USER, Container, container

PATIENCE = 60.0  # s


def draws(port: int) -> bool:
    response = httpx.get(f"http://127.0.0.1:{port}/resources/grid.pdf", trust_env=False, timeout=60)
    return response.status_code == 200 and response.content.startswith(b"%PDF")


def assert_nothing_failed(running: Container) -> None:
    log = running.log.read_text()
    for problem in ("Read-only", "Permission denied", "No usable temp", "Traceback", '"level": "warning"', "WARNING"):
        assert problem not in log, log


def test_queue_and_service_run_with_a_read_only_root_and_an_arbitrary_uid(tmp_path: Path) -> None:
    """A task is drawn and delivered, inside its result and as a file; both health checks pass."""
    queue_port, port = free_port(), free_port()
    queue_url = f"http://127.0.0.1:{queue_port}"
    with (
        container(tmp_path / "queue", queue_port, "emulator", QUEUE_PORT=str(queue_port)) as queue,
        container(
            tmp_path / "service",
            port,
            "serve",
            PORT=str(port),
            QUEUE_URL=queue_url,
            DOCUMENT_STORE="/data/documents",
            DOCUMENT_URL_PREFIX="http://127.0.0.1:1",
            MAX_QUEUE_TASK_SIZE="9 KiB",
            PID_FILE="/tmp/render-trio.pid",
        ) as service,
    ):
        status = Path(f"/proc/{service.first}/status").read_text()
        assert f"Uid:\t{USER}\t{USER}\t{USER}\t{USER}\nGid:\t0\t0\t0\t0\n" in status
        assert "CapEff:\t0000000000000000\n" in status
        assert b"HOME=" not in Path(f"/proc/{service.first}/environ").read_bytes()
        assert render_trio("submit", "grid", QUEUE_URL=queue_url).returncode == 0
        out = tmp_path / "out"
        fetched = render_trio("results", "--out", str(out), "--wait", "60", QUEUE_URL=queue_url)
        assert fetched.returncode == 0, fetched.stderr
        assert len(list(out.glob("*.pdf"))) == 1
        assert render_trio("submit", "grid", "-o", "copies=50", QUEUE_URL=queue_url).returncode == 0
        documents = service.path("/data/documents")
        deadline = time.monotonic() + PATIENCE
        while not list(documents.glob("*.pdf")):
            assert time.monotonic() < deadline, service.log.read_text()
            time.sleep(0.05)
        assert {path.stat().st_uid for path in documents.iterdir()} == {USER}
        assert draws(port)
        for running in (queue, service):
            checked = running.healthcheck()
            assert (checked.returncode, checked.stderr) == (0, "")
            assert_nothing_failed(running)
        assert {path.name for path in queue.path("/data").iterdir()} >= {"queue.sqlite3"}
        assert {path.name for path in service.path("/data").iterdir()} == {"documents"}
        assert not [path for path in queue.path("/tmp").iterdir() if path.lstat().st_uid == USER]
        assert service.stop() == 0
        assert queue.stop() == 0
        assert_nothing_failed(service)


def test_a_health_check_fails_if_nothing_answers(tmp_path: Path) -> None:
    port = free_port()
    with container(tmp_path / "queue", port, "emulator", QUEUE_PORT=str(port)) as queue:
        assert queue.healthcheck().returncode == 0
        queue.settings["HEALTH_PORT"] = "1"
        checked = queue.healthcheck()
        assert checked.returncode == 1
        assert checked.stderr.startswith("http://127.0.0.1:1/readyz: ")


def test_queue_and_service_in_one_container_and_a_preview(tmp_path: Path) -> None:
    port, queue_port = free_port(), free_port()
    ports = ("--port", str(port), "--queue-port", str(queue_port))
    with container(tmp_path / "up", port, "up", *ports, "--data", "/data/inner") as running:
        assert draws(port)
        assert running.healthcheck().returncode == 0
        assert running.stop() == 0
    with container(tmp_path / "preview", port, "preview", "grid", "--port", str(port)) as running:
        assert running.healthcheck().returncode == 0


def test_the_first_process_reaps_the_render_processes_of_a_killed_fork_server(tmp_path: Path) -> None:
    port = free_port()
    settings = {"PORT": str(port), "QUEUE_URL": "http://127.0.0.1:1", "WEB_CACHE": "0", "RENDER_WORKERS": "2"}
    with container(tmp_path / "service", port, "serve", **settings) as service:
        assert b"1\n" in [line.split()[-1] + b"\n" for line in _status(service.first, b"NSpid:")]
        for _ in range(3):
            deadline = time.monotonic() + PATIENCE
            while not draws(port):
                assert time.monotonic() < deadline, service.log.read_text()
            (server,) = [child for child in children_of(service.first) if children_of(child)]
            drawing = children_of(server)
            assert drawing
            os.kill(server, signal.SIGKILL)  # the kernel kills the drawing processes, which the service inherits
            while service.zombies() or any(Path(f"/proc/{child}").exists() for child in drawing):
                assert time.monotonic() < deadline, (service.zombies(), drawing)
                time.sleep(0.1)
                httpx.get(f"http://127.0.0.1:{port}/resources/grid.pdf", trust_env=False, timeout=60)
        assert draws(port)
        assert service.stop() == 0


def _status(process: int, name: bytes) -> list[bytes]:
    lines = Path(f"/proc/{process}/status").read_bytes().splitlines()
    return [line for line in lines if line.startswith(name)]
