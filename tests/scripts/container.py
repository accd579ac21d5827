"""The image's commands in something like a container: a read-only root, an arbitrary uid in group 0, the first process.

There is no container engine here, only what one uses: namespaces, an overlay over this machine's root, and tmpfs. The
root of the container is read-only; `/data` and `/tmp` are writable. The user has no entry in /etc/passwd, no HOME and
no capabilities. The code and the interpreter are at their usual paths, read-only.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.conftest import ROOT
from tests.processes import START_SECONDS, children_of

USER = 1234
AS_USER = ("setpriv", f"--reuid={USER}", "--regid=0", "--clear-groups", "--no-new-privs", "--")
# The arguments: a number of paths, the paths, and the program with its arguments.
ENTER = r"""
set -eu
mount --make-rprivate /
mount -t tmpfs tmpfs /mnt && mkdir /mnt/upper /mnt/work /mnt/root
root=/mnt/root
mount -t overlay overlay -o lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work "$root"
mkdir -p "$root/data" && chmod 755 "$root/root"
mount -t proc proc "$root/proc" && mount --bind /dev "$root/dev"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=0770,uid=1000,gid=0 tmpfs "$root/data"
paths=$1 && shift
while [ "$paths" -gt 0 ]; do
  mkdir -p "$root$1" && mount --bind "$1" "$root$1" && mount -o remount,bind,ro "$root$1"
  paths=$((paths - 1)) && shift
done
mount -o remount,ro "$root"
exec chroot "$root" "$@"
"""


def image_environment() -> dict[str, str]:
    """Return the variables that the Dockerfile sets."""
    (line,) = re.findall("^ENV PATH=.*$", (ROOT / "Dockerfile").read_text(encoding="utf-8"), re.MULTILINE)
    variables = dict(part.split("=", 1) for part in line.split()[1:])
    return variables | {"PATH": f"{sys.prefix}/bin:{os.defpath}"}


class Container:
    """A running container. `first` is its first process, as this machine numbers it."""

    def __init__(self, process: subprocess.Popen[str], log: Path, settings: dict[str, str]) -> None:
        self.process = process
        self.log = log
        self.settings = settings
        (self.first,) = children_of(process.pid)

    def path(self, inside: str) -> Path:
        """Return where this machine finds a path of the container."""
        return Path(f"/proc/{self.first}/root{inside}")

    def healthcheck(self) -> subprocess.CompletedProcess[str]:
        """Run the health check as an engine does: in the container, as its user, with its variables."""
        inside = ("nsenter", f"--target={self.first}", "--mount", "--pid", "--root", "--wd=/")
        check = ("python3", str(ROOT / "scripts" / "healthcheck.py"))
        return subprocess.run(
            [*inside, "env", "-i", *_assigned(self.settings), *AS_USER, *check],
            capture_output=True,
            text=True,
            check=False,
            timeout=30,
        )

    def zombies(self) -> list[int]:
        """Return the children of the first process that have ended and were not reaped."""
        states = {}
        for child in children_of(self.first):
            try:
                states[child] = Path(f"/proc/{child}/stat").read_text().rpartition(")")[2].split()[0]
            except OSError:
                continue
        return [child for child, state in states.items() if state == "Z"]

    def stop(self) -> int:
        """Send SIGTERM to the first process, and return the exit code."""
        os.kill(self.first, signal.SIGTERM)
        return self.process.wait(40)


def _assigned(variables: dict[str, str]) -> list[str]:
    return [f"{name}={value}" for name, value in variables.items()]


@contextmanager
def container(log: Path, port: int, *command: str, init: tuple[str, ...] = (), **settings: str) -> Iterator[Container]:
    """Run a command of the image until the block is left; wait until it serves. `init` is a program that runs it."""
    settings = image_environment() | settings
    paths = list(dict.fromkeys([str(ROOT), sys.prefix, sys.base_prefix]))
    entrypoint = str(ROOT / "scripts" / "docker-entrypoint.sh")
    program = ["env", "-i", *_assigned(settings), *AS_USER, *init, entrypoint, *command]
    namespaces = ("unshare", "--mount", "--pid", "--fork")
    with log.open("w") as output:
        process = subprocess.Popen(
            [*namespaces, "sh", "-c", ENTER, "sh", str(len(paths)), *paths, *program],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            text=True,
        )
    try:
        wait_until_live(f"http://127.0.0.1:{port}", process, log)
        yield Container(process, log, settings)
    finally:
        # The first process, whose end ends all others. `unshare --kill-child` has no effect once the user was changed.
        for first in children_of(process.pid) if process.poll() is None else []:
            os.kill(first, signal.SIGKILL)
        process.wait()


def wait_until_live(address: str, process: subprocess.Popen[str], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        try:
            if httpx.get(f"{address}/livez", trust_env=False).status_code == 200:
                return
        except httpx.TransportError:
            time.sleep(0.05)
    raise AssertionError(log.read_text())
