"""A real nginx for tests: the configuration of docs/how-to/put-it-on-the-internet.md, with a certificate of its own."""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.conftest import ROOT
from tests.redis_server import free_port

START_SECONDS = 20.0
NAME = "print.example.org"
PAGE = ROOT / "docs" / "how-to" / "put-it-on-the-internet.md"
HTTP = """\
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 256; }}
http {{
access_log {folder}/access.log;
client_body_temp_path {folder}/body;
proxy_temp_path {folder}/proxy;
fastcgi_temp_path {folder}/fastcgi;
uwsgi_temp_path {folder}/uwsgi;
scgi_temp_path {folder}/scgi;
{servers}
}}
"""


def documented() -> str:
    """Return the configuration in the documentation."""
    found = re.search(r"```nginx\n(.*?)```", PAGE.read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@contextmanager
def nginx(folder: Path, service_port: int, *, strip: bool = False) -> Iterator[int]:
    """Run nginx before the service, and yield its port. With `strip` it removes the path under which it serves."""
    for program in ("nginx", "openssl"):
        if shutil.which(program) is None:
            raise RuntimeError(f"{program} is missing: apt-get install {program}")
    key, certificate = folder / "print.key", folder / "print.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", f"/CN={NAME}", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    port = free_port()
    servers = documented()
    for old, new in {
        "127.0.0.1:8080": f"127.0.0.1:{service_port}",
        "listen 443 ssl": f"listen 127.0.0.1:{port} ssl",
        "/etc/ssl/print.pem": str(certificate),
        "/etc/ssl/print.key": str(key),
        "proxy_pass http://render;": f"proxy_pass http://render{'/' if strip else ''};",
    }.items():
        assert old in servers, old
        servers = servers.replace(old, new)
    configuration = folder / "nginx.conf"
    configuration.write_text(HTTP.format(folder=folder, servers=servers))
    process = subprocess.Popen(["nginx", "-c", str(configuration), "-p", str(folder), "-e", str(folder / "error.log")])
    try:
        _wait_for(port, process, folder / "error.log")
        yield port
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise AssertionError(f"nginx did not start: {log.read_text()}")
