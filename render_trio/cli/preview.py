"""`render-trio preview`: a resource's page, served by a process that is replaced whenever a file changes."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import resources
from render_trio.web.server.listening import address_of, listening_socket
from resources.content.assets import static_directory, template_directory

HOST = "127.0.0.1"
POLL_INTERVAL = 0.3  # s between two looks at the files, which works on every kind of file system
SUFFIXES = {".py", ".svg", ".txt", ".mo", ".toml", ".html", ".css", ".js"}
IGNORED = {".git", ".venv", "__pycache__", "build", "dist", "node_modules", "out"}
END_SECONDS = 5.0  # for the process to end before it is killed

Snapshot = frozenset[tuple[str, int, int]]


def watched(folders: Iterable[Path]) -> list[Path]:
    """Return the folders whose changes matter: those with plug-ins, the current project, and our own resources."""
    here = Path.cwd()
    project = [here] if (here / "pyproject.toml").is_file() else []
    own = [Path(resources.__file__).parent, static_directory(), template_directory()]
    return [*folders, *project, *own]


def snapshot(folders: Iterable[Path]) -> Snapshot:
    """Return path, time of change and size of every file that may matter."""

    def files(folder: Path) -> Iterator[Path]:
        for path in folder.iterdir():
            if path.is_dir() and path.name not in IGNORED and not path.is_symlink():
                yield from files(path)
            elif path.suffix in SUFFIXES:
                yield path

    found = set()
    for folder in folders:
        for path in files(folder):
            try:
                state = path.stat()
            except FileNotFoundError:  # replaced by an editor just now: the next look sees the new file
                continue
            found.add((str(path), state.st_mtime_ns, state.st_size))
    return frozenset(found)


def run(view: str, folders: list[Path], port: int, report: Callable[[str], None]) -> None:
    """Serve the page of the resource until interrupted; `report` receives a line for each start.

    The listening socket stays open while the process is replaced, so the browser waits instead of failing. Raises
    StartupError if the port is in use.
    """
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # raises SystemExit, so that the process is ended too
    places = watched(folders)
    with listening_socket(HOST, port, "--port") as listener:
        address = f"{address_of(listener, HOST)}/resources/{view.replace('_', '-')}"
        report(f"{address}\nThe page is drawn again whenever a file is saved. Press Ctrl-C to stop.")
        descriptor = listener.fileno()
        command = [sys.executable, "-m", "render_trio.service.preview", view, str(descriptor), *map(str, folders)]
        while True:
            before = snapshot(places)
            with _running(command, descriptor) as process:
                while snapshot(places) == before:
                    time.sleep(POLL_INTERVAL)
                    if process.poll() is not None:
                        report(f"the page's process exited with code {process.returncode}; waiting for a change")
                        while snapshot(places) == before:
                            time.sleep(POLL_INTERVAL)
            report("files changed: drawing again")


@contextmanager
def _running(command: list[str], descriptor: int) -> Iterator[subprocess.Popen[bytes]]:
    """Run a process that inherits the descriptor, and end it when the block is left.

    If we are killed, it sees the end of its standard input.
    """
    process = subprocess.Popen(command, pass_fds=[descriptor], stdin=subprocess.PIPE)
    try:
        yield process
    finally:
        assert process.stdin is not None
        process.stdin.close()
        process.terminate()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
