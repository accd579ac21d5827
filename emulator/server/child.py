"""One of several serving processes: `python -m emulator.server.child DESCRIPTOR`, started by processes.py.

It stops on SIGTERM, and when its parent has ended, which closes its standard input. It prints a line to standard
output when it is ready to answer requests.
"""

from __future__ import annotations

import logging
import os
import signal
import socket
import sys

import msgspec
import trio

from emulator.server.serving import serve
from emulator.settings import EmulatorSettings
from emulator.stores.redaction import RedactingFormatter


async def serve_until_shutdown(settings: EmulatorSettings, listener: socket.socket) -> None:
    """Serve until a signal arrives or the parent ends."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, settings, listener)
            print("ready", flush=True)
            nursery.start_soon(_cancel_when_parent_ends, nursery.cancel_scope)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break


async def _cancel_when_parent_ends(scope: trio.CancelScope) -> None:
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as parent:
        while await parent.receive_some():
            pass
    scope.cancel()


def main() -> None:
    """Serve with the settings from the first line of standard input (JSON), on the socket given as an argument."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(RedactingFormatter("%(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    settings = msgspec.json.decode(sys.stdin.buffer.readline(), type=EmulatorSettings)
    trio.run(serve_until_shutdown, settings, socket.socket(fileno=int(sys.argv[1])))


if __name__ == "__main__":
    main()
