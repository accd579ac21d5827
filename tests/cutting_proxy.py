"""A TCP proxy that drops one reply: the request is forwarded and executed, then the connection is cut."""

from __future__ import annotations

import contextlib
import socket
import threading


class CuttingProxy:
    """Forwards connections from its own port to a target port on this host."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._lose = threading.Event()
        self.lost = threading.Event()
        self._sockets: list[socket.socket] = []
        self._thread = threading.Thread(target=self._accept)
        self._thread.start()

    def lose_next_reply(self) -> None:
        """Cut the connection instead of forwarding the next data from the target."""
        self.lost.clear()
        self._lose.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):  # the listener was closed
            while True:
                client, _ = self._listener.accept()
                upstream = socket.create_connection(("127.0.0.1", self._target))
                self._sockets += [client, upstream]
                for source, sink, replies in ((client, upstream, False), (upstream, client, True)):
                    threading.Thread(target=self._pump, args=(source, sink, replies), daemon=True).start()

    def _pump(self, source: socket.socket, sink: socket.socket, replies: bool) -> None:
        with contextlib.suppress(OSError):  # either side was closed
            while data := source.recv(65536):
                if replies and self._lose.is_set():
                    self._lose.clear()
                    self.lost.set()
                    break
                sink.sendall(data)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the listener and all connections."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()
        for end in self._sockets:
            end.close()
