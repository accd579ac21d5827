"""The image: its health check finds the server of every command, and its user and first process suit orchestrators."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.healthcheck import address
from tests.conftest import ROOT
from tests.processes import queue, start_service

HEALTHCHECK = str(ROOT / "scripts" / "healthcheck.py")
TINI = ["/usr/bin/tini", "-s", "--", "/app/scripts/docker-entrypoint.sh"]


@pytest.mark.parametrize(
    ("arguments", "environment", "url"),
    [
        (["serve"], {"HOST": "0.0.0.0"}, "http://127.0.0.1:8080/health"),
        (["serve"], {"PORT": "9000", "HOST": "::"}, "http://[::1]:9000/health"),
        (["serve"], {"PORT": "tcp://10.0.0.1:80"}, "http://127.0.0.1:8080/health"),
        (["serve", "--port", "9001"], {"PORT": "9000"}, "http://127.0.0.1:9001/health"),
        (["serve", "--host=192.0.2.1"], {}, "http://192.0.2.1:8080/health"),
        (["emulator"], {"PORT": "9000"}, "http://127.0.0.1:5052/readyz"),
        (["emulator"], {"QUEUE_PORT": "5053"}, "http://127.0.0.1:5053/readyz"),
        (["emulator"], {"QUEUE_PORT": "tcp://10.0.0.1:5052"}, "http://127.0.0.1:5052/readyz"),
        (["emulator", "--port=5054"], {"QUEUE_PORT": "5053"}, "http://127.0.0.1:5054/readyz"),
        (["up", "--port", "8081"], {"PORT": "9000"}, "http://127.0.0.1:8081/health"),
        (["up"], {"HOST": "::1"}, "http://[::1]:8080/health"),
        (["up"], {"HOST": "0.0.0.0"}, "http://127.0.0.1:8080/health"),
        (["emulator"], {"HOST": "192.0.2.1"}, "http://192.0.2.1:5052/readyz"),
        (["emulator"], {"HOST": "::"}, "http://[::1]:5052/readyz"),
        (["serve"], {"HOST": "tcp://10.0.0.1:80"}, "http://127.0.0.1:8080/health"),
        (["preview", "grid"], {"HOST": "192.0.2.1"}, "http://127.0.0.1:8081/health"),
        (["preview", "grid", "--port", "8082"], {}, "http://127.0.0.1:8082/health"),
        (["emulator"], {"HEALTH_PORT": "7000"}, "http://127.0.0.1:7000/readyz"),
        (["serve"], {"OPERATOR_PORT": "9100", "HOST": "0.0.0.0"}, "http://127.0.0.1:9100/health"),
        (["serve"], {"OPERATOR_PORT": "9100", "OPERATOR_HOST": "::1"}, "http://[::1]:9100/health"),
        (["serve", "--operator-port=9101"], {"OPERATOR_PORT": "9100"}, "http://127.0.0.1:9101/health"),
        (["serve", "--operator-host", "192.0.2.1"], {"OPERATOR_PORT": "9100"}, "http://192.0.2.1:9100/health"),
        (["serve"], {"OPERATOR_HOST": "192.0.2.1"}, "http://127.0.0.1:8080/health"),
        (["serve"], {"OPERATOR_PORT": "tcp://10.0.0.1:80"}, "http://127.0.0.1:8080/health"),
        (["emulator"], {"OPERATOR_PORT": "9100"}, "http://127.0.0.1:5052/readyz"),
        (["demo", "--out", "/data"], {}, None),
    ],
)
def test_the_health_check_finds_the_address(arguments: list[str], environment: dict[str, str], url: str | None) -> None:
    assert address([*TINI, *arguments], environment) == url


def test_the_health_check_of_the_queue_and_of_the_service(tmp_path: Path) -> None:
    def check(process: int, **environment: str) -> int:
        command = [sys.executable, HEALTHCHECK, str(process)]
        return subprocess.run(command, env=environment, check=False, timeout=30).returncode

    with queue(f"sqlite:///{tmp_path / 'queue.sqlite3'}") as running_queue:
        service = start_service(running_queue.address, tmp_path / "log")
        try:
            port = service.address.rpartition(":")[2]
            assert check(service.process.pid, PORT=port) == 0
            assert check(service.process.pid, PORT="1") == 1
            assert check(running_queue.process.pid, HEALTH_PORT=running_queue.address.rpartition(":")[2]) == 0
        finally:
            service.end()


@pytest.mark.parametrize("name", ["Dockerfile", "Dockerfile-local"])
def test_the_image_s_user_is_numeric_and_its_first_process_reaps_others(name: str) -> None:
    lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
    (user,) = [line.split()[1] for line in lines if line.startswith("USER ")]
    assert re.fullmatch("[1-9][0-9]*", user), "runAsNonRoot needs a number"
    (entrypoint,) = [line for line in lines if line.startswith("ENTRYPOINT ")]
    assert entrypoint.startswith('ENTRYPOINT ["/usr/bin/tini", "-s", "--", ')
    assert any("apt-get install" in line and "tini" in line for line in lines)
    assert any("chown 1000:0 /data && chmod g=u /data" in line for line in lines), "an arbitrary uid is in group 0"
