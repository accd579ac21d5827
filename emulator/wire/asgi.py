"""An ASGI request → a call, and its reply → ASGI messages.

API calls are handled without a web framework; only the web pages use one. A body is read only after the gate has
admitted the head of the request, and kept only by methods that have one. Requests that are refused early get errors in
the same format as all others.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable
from typing import Any, Protocol

import trio

from emulator.wire import replies
from emulator.wire.batches import BATCH_BYTES
from emulator.wire.batches import PATH as BATCH_PATH
from emulator.wire.bodies import (
    Asgi,
    ClientGoneError,
    Message,
    Receive,
    Send,
    declared_bytes,
    discard_body,
    discard_small,
    read_body,
    uncompressed,
)
from emulator.wire.calls import Call, Reply, Route
from emulator.wire.dispatch import Dispatcher, parse_query
from emulator.wire.errors import ApiError, invalid
from emulator.wire.parameters import BODY_BYTES

TARGET_CHARACTERS = 16 * 1024
HEAD_BYTES = 24 * 1024
FORM_BYTES = 16 * 1024  # the forms of the pages send a few words
PAGE_PATHS = re.compile(r"/|/queues/.*|/try(/.*)?|/static/.*", re.ASCII)
LEASE_PATHS = re.compile(r"/tasks[:/]lease$", re.ASCII)  # a lease can wait for long, with its body in memory
METHODS_WITH_BODY = ("POST", "PUT", "PATCH")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?", re.ASCII)


class Room(Protocol):
    """The room for bodies in memory: `reserve` waits until there is room, `release` returns it."""

    async def reserve(self, client: str, size: int) -> None:
        """Reserve room for a body of up to `size` bytes. Raises ApiError."""
        ...

    def release(self, client: str, size: int) -> None:
        """Return that room."""
        ...


class Gate(Protocol):
    """What decides from the head of a request whether its body is read."""

    @property
    def room(self) -> Room:
        """The room for bodies."""
        ...

    @property
    def forwarded(self) -> Callable[[Message], Message]:
        """The function that returns the scope of a request as its proxy received it."""
        ...

    async def admit(self, call: Call, find_route: Callable[[Call], Route | None], *, page: bool) -> Call:
        """Return the call with the holder of its token. Raises ApiError if it isn't answered."""
        ...


def asgi_app(dispatcher: Dispatcher, pages: Asgi, gate: Gate) -> Asgi:
    """Return the ASGI application: `pages` handles the web pages, the dispatcher handles everything else."""

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await pages(scope, receive, send)
            return
        scope = gate.forwarded(scope)
        path = scope["raw_path"].decode("ascii")
        reserved, client = 0, (scope.get("client") or ("",))[0]
        try:
            is_page = PAGE_PATHS.fullmatch(path) is not None
            try:
                call = await gate.admit(_head(scope, path), dispatcher.route, page=is_page)
                max_bytes = _max_bytes(path, is_page=is_page)
                size = declared_bytes(call.headers, max_bytes)
            except ApiError as error:
                closing = await discard_small(receive, scope["headers"])
                reply = replies.encoded(replies.error_reply(error, dispatcher.style(path)))
                await _send(send, dataclasses.replace(reply, headers=(*reply.headers, *closing)))
                return
            if size and call.method in METHODS_WITH_BODY:
                # A batch is divided into copies of its parts.
                wanted = 2 * size if max_bytes == BATCH_BYTES else size
                await gate.room.reserve(client, wanted)
                reserved = wanted
                call = call.with_body(await _body(call, receive, max_bytes))
            elif size or call.method in METHODS_WITH_BODY:
                await discard_body(receive, max_bytes)
            else:
                while (await receive()).get("more_body"):  # the end of a request without a body
                    pass
            if is_page:
                await pages(_page_scope(scope), _replay(call.body, receive), send)
            elif "prefer" in call.headers:
                await _answer_while_connected(dispatcher, call, receive, send)
            else:
                await _send(send, await dispatcher.answer(call))
        except ClientGoneError:
            return
        except ApiError as error:
            await _send(send, replies.encoded(replies.error_reply(error, dispatcher.style(path))))
        finally:
            if reserved:
                gate.room.release(client, reserved)

    return serve


def _max_bytes(path: str, *, is_page: bool) -> int:
    """Return how large the body of a request with this path may be (bytes)."""
    if is_page or LEASE_PATHS.search(path):
        return FORM_BYTES
    return BATCH_BYTES if path.startswith(BATCH_PATH) else BODY_BYTES


async def _body(call: Call, receive: Receive, max_bytes: int) -> bytes:
    """Return the body of a call, decompressed up to `max_bytes`. Raises ApiError, ClientGoneError."""
    body = await read_body(receive, max_bytes)
    if "content-encoding" in call.headers:
        body = uncompressed(body, call.headers["content-encoding"], max_bytes)
    return body


def _page_scope(scope: Message) -> Message:
    """Return the scope as ASGI defines it for the framework of the pages: the path contains the root path."""
    root_path = scope["root_path"]
    return {**scope, "path": root_path + scope["path"]} if root_path else scope


async def _answer_while_connected(dispatcher: Dispatcher, call: Call, receive: Receive, send: Send) -> None:
    """Answer a call that can wait for long. If the client disconnects, cancel it, so that it leases nothing."""
    async with trio.open_nursery() as nursery:
        nursery.start_soon(_cancel_on_disconnect, receive, nursery.cancel_scope)
        await _send(send, await dispatcher.answer(call))
        nursery.cancel_scope.cancel()


async def _cancel_on_disconnect(receive: Receive, scope: trio.CancelScope) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    scope.cancel()


def _head(scope: Message, path: str) -> Call:
    """Return the request as a call without its body. Raises ApiError."""
    size = len(path) + len(scope["query_string"])
    if size > TARGET_CHARACTERS:
        raise ApiError(
            414,
            f"the URL has {size} characters; allowed: {TARGET_CHARACTERS}; send a long query as the body of a "
            "POST with X-HTTP-Method-Override: GET",
        )
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEAD_BYTES:
        raise ApiError(431, f"the headers have more than {HEAD_BYTES} bytes; send fewer or shorter headers")
    headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in reversed(scope["headers"])}
    query = parse_query(scope["query_string"]) if scope["query_string"] else {}
    client = (scope.get("client") or ("",))[0]
    return Call(scope["method"], path, query, headers, b"", _root(scope, headers), client=client)


def _root(scope: Message, headers: dict[str, str]) -> str:
    """Return the root URL that the client used. Raises ApiError."""
    host = headers.get("host")
    if not host:
        server = scope.get("server") or ("localhost", None)
        host = f"{server[0]}:{server[1]}" if server[1] else str(server[0])
    elif not _HOST.fullmatch(host):
        raise invalid("Host", host, "a host name or IP address, optionally with a port", location_type="header")
    return f"{scope['scheme']}://{host}{scope.get('root_path', '')}/"


def _replay(body: bytes, receive: Receive) -> Receive:
    """Return a `receive` that first returns the body, which was already read."""
    unread = [body]

    async def receive_replayed() -> Message:
        if unread:
            return {"type": "http.request", "body": unread.pop(), "more_body": False}
        return await receive()

    return receive_replayed


async def _send(send: Send, reply: Reply) -> None:
    headers: list[tuple[bytes, bytes]] = [(name.lower().encode(), value.encode()) for name, value in reply.headers]
    if reply.status != 204:
        headers.append((b"content-length", str(len(reply.body)).encode()))
    start: dict[str, Any] = {"type": "http.response.start", "status": reply.status, "headers": headers}
    await send(start)
    await send({"type": "http.response.body", "body": reply.body})
