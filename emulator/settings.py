"""The settings of the queue service. Options of the command and their defaults derive from this class."""

from __future__ import annotations

from dataclasses import dataclass, field

from emulator.stores.interface import TOMBSTONE_SECONDS

MIN_KEEP_ALIVE = 5  # s; clients that keep an idle connection for less never use one that is being closed
MAX_KEEP_ALIVE = 3600  # s


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """Where the service listens, where tasks are stored, and who has access.

    Port 0 selects a free port; `port_option` is its name in messages. `tombstone_seconds` is how long the ID of a
    deleted task stays reserved (s). `legacy_shapes` selects the reply formats of older clients: see
    "Legacy format" in PROTOCOL.md. `keep_alive_seconds` is the time after which an idle connection is closed (s).
    `allowed_hosts` are further host names under which requests are answered, `trusted_proxies` the addresses and
    networks of reverse proxies, and `root_path` is the path under which they serve the queue.
    `max_queues` is how many queues clients can create if there is no queue file.
    """

    host: str = "127.0.0.1"
    port: int = 5052
    store: str = field(default="sqlite:///queue.sqlite3", repr=False)  # it may contain a password
    processes: int = 1
    queue_file: str | None = None
    token_file: str | None = None
    tombstone_seconds: int = TOMBSTONE_SECONDS
    test_verbs: bool = False
    legacy_shapes: bool = False
    keep_alive_seconds: int = 75
    port_option: str = "--port"
    allowed_hosts: tuple[str, ...] = ()
    trusted_proxies: tuple[str, ...] = ()
    root_path: str = ""
    max_queues: int = 100
