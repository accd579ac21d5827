"""Settings → the queue service, running in this process until it is cancelled."""

from __future__ import annotations

import socket
from functools import partial

import trio

from emulator.admission.hosts import Hosts
from emulator.admission.proxies import Proxies
from emulator.app import create_app
from emulator.permissions.rereading import AccessFiles
from emulator.server.connections import OpenConnections
from emulator.server.listening import address_of, listening_socket, serve_app
from emulator.settings import EmulatorSettings
from emulator.stores.opening import open_store


def read_access(settings: EmulatorSettings) -> AccessFiles:
    """Return the access rules of the queue file and the token file.

    Raises QueueFileError, TokenFileError, OSError.
    """
    return AccessFiles(settings.queue_file, settings.token_file, test_verbs=settings.test_verbs)


async def serve(
    settings: EmulatorSettings,
    listener: socket.socket | None = None,
    *,
    task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED,
) -> None:
    """Serve until cancelled, on `listener` or on a new socket. Closes the socket.

    Reports the address (http://host:port) through `task_status` once requests are accepted. Raises ListenError if
    it can't listen there, ValueError or StoreUnavailableError for a store that can't be opened, ValueError for an
    invalid host name, network or root path, and what `read_access` raises.
    """
    access = read_access(settings)
    hosts, proxies = Hosts(settings.allowed_hosts), Proxies(settings.trusted_proxies, settings.root_path)
    store = await trio.to_thread.run_sync(open_store, settings.store, settings.tombstone_seconds)
    listener = listener or listening_socket(settings.host, settings.port, settings.port_option)
    try:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(access.follow)
            app = create_app(
                store,
                access,
                hosts=hosts,
                proxies=proxies,
                legacy_shapes=settings.legacy_shapes,
                max_queues=settings.max_queues,
            )
            connections = OpenConnections(settings.keep_alive_seconds, is_proxy=proxies.is_trusted)
            await nursery.start(partial(serve_app, app, listener, connections, shared=settings.processes > 1))
            task_status.started(address_of(listener))
    finally:
        listener.close()
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(store.close)
