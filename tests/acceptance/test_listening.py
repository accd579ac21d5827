"""Both servers listen on every kernel."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path

import httpx

from tests import kernel_without
from tests.processes import SERVICE, environment, start_queue, start_service

WITHOUT_OPTION = kernel_without.command("TCP_USER_TIMEOUT", errno.ENOPROTOOPT)
SET_OPTION = "import socket; socket.socket().setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, 1000)"


def test_a_kernel_without_tcp_user_timeout(tmp_path: Path) -> None:
    """The kernel's answer is that of WSL 1: the option isn't available."""
    refused = subprocess.run(
        [*WITHOUT_OPTION, sys.executable, "-c", SET_OPTION],
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert "Protocol not available" in refused.stderr
    queue = start_queue(f"sqlite:///{tmp_path}/queue.sqlite3", prefix=WITHOUT_OPTION)
    try:
        log = tmp_path / "service.log"
        program = (*WITHOUT_OPTION[1:], sys.executable, *SERVICE)
        service = start_service(queue.address, log, program=program)
        for running in (queue, service):
            assert httpx.get(f"{running.address}/health", trust_env=False).status_code == 200
        assert service.end() == 0, log.read_text()
    finally:
        assert queue.end() == 0
