"""The bytes of request bodies in memory, limited for all clients together and for each.

A request reserves room for its body before it is read, and returns it after the reply. Without room it waits, unread:
the client's own sending is held up by TCP. Small bodies have room of their own, so that a few large ones, sent slowly,
don't hold up the short requests of a queue.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import trio

from emulator.permissions.clients import client_name
from emulator.wire.errors import ApiError

MEBIBYTE = 1024 * 1024
SMALL_BODY = 64 * 1024
SMALL_BYTES = 32 * MEBIBYTE  # of small bodies
LARGE_BYTES = 64 * MEBIBYTE  # of larger ones
CLIENT_BYTES = LARGE_BYTES // 2  # of larger ones of one client
WAIT_SECONDS = 30  # for room, after which the request is refused


@dataclass(eq=False, slots=True)
class _Waiter:
    """A request that waits for room."""

    client: str
    size: int
    admitted: trio.Event = field(default_factory=trio.Event)


class BodyRoom:
    """The room for bodies of one process."""

    def __init__(self) -> None:
        self._small = 0
        self._large = 0
        self._by_client: Counter[str] = Counter()
        self._waiters: list[_Waiter] = []

    async def reserve(self, client: str, size: int) -> None:
        """Reserve room for a body of up to `size` bytes, if necessary after a wait. Raises ApiError (503).

        `client` is the IP address of the client.
        """
        if size <= SMALL_BODY:
            if self._small + size > SMALL_BYTES:
                raise _no_room()
            self._small += size
            return
        waiter = _Waiter(client_name(client), size)
        self._waiters.append(waiter)
        self._admit()
        if waiter.admitted.is_set():
            return
        waited = False
        try:
            with trio.move_on_after(WAIT_SECONDS):
                await waiter.admitted.wait()
                waited = True
        finally:
            if not waited:
                self._withdraw(waiter)
        if not waited:
            raise _no_room()

    def _withdraw(self, waiter: _Waiter) -> None:
        if waiter.admitted.is_set():  # at the moment at which it was cancelled
            self.release(waiter.client, waiter.size)
        else:
            self._waiters.remove(waiter)
            self._admit()

    def release(self, client: str, size: int) -> None:
        """Return the room for a body, after its request was answered."""
        if size <= SMALL_BODY:
            self._small -= size
            return
        client = client_name(client)
        self._large -= size
        self._by_client[client] -= size
        if not self._by_client[client]:
            del self._by_client[client]
        self._admit()

    def _fits(self, waiter: _Waiter) -> bool:
        return self._large + waiter.size <= LARGE_BYTES and self._fits_client(waiter)

    def _fits_client(self, waiter: _Waiter) -> bool:
        return self._by_client[waiter.client] + waiter.size <= CLIENT_BYTES

    def _take(self, waiter: _Waiter) -> None:
        self._large += waiter.size
        self._by_client[waiter.client] += waiter.size

    def _admit(self) -> None:
        """Admit the requests that fit, in order of arrival. One whose own client is at its limit is passed over."""
        for waiter in list(self._waiters):
            if self._fits(waiter):
                self._take(waiter)
                self._waiters.remove(waiter)
                waiter.admitted.set()
            elif self._fits_client(waiter):
                return


def _no_room() -> ApiError:
    return ApiError(503, "too many request bodies are in memory; send the request again, or fewer at the same time")
