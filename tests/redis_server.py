"""A real redis-server for tests, on a free port and in its own folder."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import redis

START_SECONDS = 10.0


def free_port() -> int:
    """Return an unused port."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class RedisServer:
    """A server that keeps its port across restarts, and its data if `durable`.

    `clock` is a file for libfaketime, which shifts the wall clock of the server: see `shift_clock`.
    """

    def __init__(
        self, folder: Path, *, durable: bool = False, options: Sequence[str] = (), clock: Path | None = None
    ) -> None:
        if shutil.which("redis-server") is None:
            raise RuntimeError("redis-server is missing: apt-get install redis-server")
        self.port = free_port()
        self._folder = folder
        # With `durable`, acknowledged writes survive a kill.
        self._options = ["--appendonly", "yes", "--appendfsync", "always"] if durable else ["--save", ""]
        self._options += options
        self._clock = clock
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def client(self) -> redis.Redis:
        """Return a client that decodes replies."""
        return redis.Redis(port=self.port, decode_responses=True)

    def start(self, *options: str, wait: bool = True) -> None:
        """Start the server, with further options. `wait` until it responds and has loaded its data."""
        command = ["redis-server", "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            [*command, *self._options, *options],
            env=os.environ | (fake_clock(self._clock) if self._clock else {}),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + START_SECONDS
        with redis.Redis(port=self.port) as client:
            while True:
                try:
                    client.ping()
                    return
                except redis.exceptions.BusyLoadingError:
                    if not wait:
                        return
                except redis.RedisError:
                    if time.monotonic() > deadline:
                        raise
                time.sleep(0.02)

    @contextmanager
    def running(self) -> Iterator[RedisServer]:
        """Start the server, and stop it at the end."""
        self.start()
        try:
            yield self
        finally:
            self.stop(kill=True)

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop the process with SIGSTOP: the kernel still accepts connections, but nothing replies."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def shift_clock(self, seconds: int) -> None:
        """Set the wall clock of the server this far ahead of the real one."""
        assert self._clock is not None
        self._clock.write_text(f"{seconds:+d}")

    def stop(self, *, kill: bool = False) -> None:
        """Stop the server, with SIGKILL if `kill`."""
        if self._process is not None:
            self._process.kill() if kill else self._process.terminate()
            self._process.wait(10)
            self._process = None


def fake_clock(file: Path) -> dict[str, str]:
    """Return the environment in which libfaketime shifts the wall clock by the seconds that the file contains."""
    libraries = sorted(Path("/usr/lib").glob("*/faketime/libfaketime.so.1"))
    if not libraries:
        raise RuntimeError("libfaketime is missing: apt-get install faketime")
    if not file.exists():
        file.write_text("+0")
    return {
        # jemalloc, which Redis uses, reads the clock while it starts, and libfaketime allocates memory when it is first
        # used: each waits for the other. The malloc of glibc avoids this.
        "LD_PRELOAD": f"libc_malloc_debug.so.0 {libraries[0]}",
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
