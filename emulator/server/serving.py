"""Settings → the queue service in this process, from its start to its end."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from emulator.app import create_app
from emulator.permissions.access import Access
from emulator.permissions.queue_file import read_queue_file
from emulator.permissions.tokens import read_token_file
from emulator.server.listening import address_of, listening_socket, serve_app
from emulator.stores.interface import TOMBSTONE_SECONDS
from emulator.stores.opening import open_store


@dataclass(frozen=True, slots=True)
class EmulatorSettings:
    """Where the queue listens and where its tasks lie. Port 0 takes a free one."""

    host: str = "127.0.0.1"
    port: int = 5052
    store: str = "sqlite:///queue.sqlite3"
    processes: int = 1
    queue_file: str | None = None
    token_file: str | None = None
    tombstone_seconds: int = TOMBSTONE_SECONDS
    test_verbs: bool = False

    def access(self) -> Access:
        """Return who may do what, by the files. Raises QueueFileError, TokenFileError, OSError."""
        return Access(
            read_queue_file(Path(self.queue_file)) if self.queue_file else None,
            read_token_file(Path(self.token_file)) if self.token_file else None,
            self.test_verbs,
        )


async def serve(
    settings: EmulatorSettings,
    listener: socket.socket | None = None,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve in this process until cancelled, on this socket or one of its own.

    Reports the address (http://host:port) when requests are answered. Raises OSError when the port is taken,
    ValueError or StoreUnavailableError for a bad store.
    """
    access = settings.access()
    store = await trio.to_thread.run_sync(open_store, settings.store, settings.tombstone_seconds)
    listener = listener or listening_socket(settings.host, settings.port)
    try:
        async with trio.open_nursery() as nursery:
            await nursery.start(partial(serve_app, create_app(store, access), listener, shared=settings.processes > 1))
            task_status.started(address_of(listener))
    finally:
        listener.close()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)
