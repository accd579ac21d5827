"""A network in virtual time, which delays, loses, repeats and reorders requests and replies as a seed demands."""

from __future__ import annotations

import random
from dataclasses import dataclass

import httpx
import trio

from emulator.wire.calls import Call, Reply
from emulator.wire.dispatch import Dispatcher, parse_query


@dataclass
class Weather:
    """How likely each fault of a request is. `calm` ends them all."""

    lost_request: float
    lost_reply: float
    repeated: float
    slow: float
    calm: bool = False


class SimulatedTransport:
    """The connection of one process to the queue: render_trio's Transport, without sockets.

    A lost request or reply shows as an error at once or as silence until the time is up. Requests that are sent at the
    same time arrive in any order, because each has a delay of its own. A process that is dead sends nothing more.
    """

    def __init__(self, dispatcher: Dispatcher, weather: Weather, rng: random.Random) -> None:
        self._dispatcher = dispatcher
        self._weather = weather
        self._rng = rng
        self.dead = False

    def now(self) -> float:
        """Return the virtual time, s."""
        return trio.current_time()

    async def sleep(self, seconds: float) -> None:
        """Wait in virtual time."""
        await trio.sleep(seconds)

    async def send(self, request: httpx.Request, *, seconds: float, limit: int) -> httpx.Response:
        """Return the reply, or fail as a real connection does."""
        try:
            with trio.fail_after(seconds):
                return await self._send(request)
        except trio.TooSlowError:
            raise httpx.ReadTimeout(f"no reply within {seconds} s") from None

    async def _send(self, request: httpx.Request) -> httpx.Response:
        await self._transit()
        if self.dead:
            raise httpx.ConnectError("the process is dead")
        if self._happens(self._weather.lost_request):
            await self._fail()
        reply = await self._dispatcher.answer(_call(request))
        if self._happens(self._weather.repeated):
            await self._transit()
            reply = await self._dispatcher.answer(_call(request))
        if self.dead or self._happens(self._weather.lost_reply):
            await self._fail()
        await self._transit()
        return httpx.Response(reply.status, headers=dict(_headers(reply)), content=reply.body, request=request)

    def _happens(self, likelihood: float) -> bool:
        return not self._weather.calm and self._rng.random() < likelihood

    async def _transit(self) -> None:
        slow = self._happens(self._weather.slow)
        await trio.sleep(self._rng.uniform(0, 15) if slow else self._rng.uniform(0.0001, 0.01))

    async def _fail(self) -> None:
        if self._rng.random() < 0.5:
            await trio.sleep_forever()
        raise httpx.ReadError("connection reset")

    async def replace_pool(self) -> None:
        """There is no pool."""

    async def aclose(self) -> None:
        """There is nothing to close."""


def _call(request: httpx.Request) -> Call:
    return Call(
        request.method,
        request.url.raw_path.partition(b"?")[0].decode(),
        parse_query(request.url.query),
        {name.lower(): value for name, value in request.headers.items()},
        request.content,
    )


def _headers(reply: Reply) -> list[tuple[str, str]]:
    return list(reply.headers)
