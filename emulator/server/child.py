"""One of several processes that serve: `python -m emulator.server.child SETTINGS DESCRIPTOR`, started by processes.py.

It ends by SIGTERM, and when whoever started it is gone, which it sees by the end of its standard input. A
line on its standard output says that requests are answered.
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


async def serve_until_shutdown(settings: EmulatorSettings, listener: socket.socket) -> None:
    """Serve until a signal, or until the parent has gone."""
    with trio.open_signal_receiver(signal.SIGTERM, signal.SIGINT) as signals:
        async with trio.open_nursery() as nursery:
            await nursery.start(serve, settings, listener)
            print("ready", flush=True)
            nursery.start_soon(_end_with_parent, nursery.cancel_scope)
            async for _ in signals:
                nursery.cancel_scope.cancel()
                break


async def _end_with_parent(scope: trio.CancelScope) -> None:
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as parent:
        while await parent.receive_some():
            pass
    scope.cancel()


def main() -> None:
    """Serve as the arguments say."""
    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s")
    settings = msgspec.json.decode(sys.argv[1], type=EmulatorSettings)
    trio.run(serve_until_shutdown, settings, socket.socket(fileno=int(sys.argv[2])))


if __name__ == "__main__":
    main()
