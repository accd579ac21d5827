"""One client opens all connections that the web server allows, and uses them slowly: the others keep theirs."""

from __future__ import annotations

import pytest
import trio

from render_trio.web.server import server
from tests.render_trio.web.server.edge import Edge, edge, get, hasty, read_to_end

ATTACKER = "127.0.0.9"
LIMIT = 6
BEGINNINGS = {
    "idle": b"",
    "slow headers": b"GET / HTTP/1.1\r\nX-A: b",
    "slow body": b"POST /200 HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx",
}


async def attack(site: Edge, beginning: bytes) -> trio.SocketStream:
    """Open a connection from the attacker's address."""
    stream = await trio.open_tcp_stream("127.0.0.1", site.port, local_address=ATTACKER)
    if beginning:
        await stream.send_all(beginning)
    return stream


@pytest.mark.parametrize("beginning", BEGINNINGS.values(), ids=BEGINNINGS)
async def test_one_client_can_not_take_the_connections_of_others(
    monkeypatch: pytest.MonkeyPatch, beginning: bytes
) -> None:
    monkeypatch.setattr(server, "MAX_CONNECTIONS", LIMIT)
    async with edge(hasty) as site, await site.connect() as visitor:
        await visitor.send_all(get("/200", close=False))
        assert b"200" in await visitor.receive_some()
        attackers = [await attack(site, beginning) for _ in range(4 * LIMIT)]
        assert (await site.ask(get("/200"))).startswith(b"HTTP/1.1 200")  # another visitor
        await visitor.send_all(get("/200"))  # on the connection that was idle all the time
        assert b"200" in await read_to_end(visitor)
        assert len(site.connections) <= LIMIT
        for stream in attackers:
            await stream.aclose()
