"""An ASGI request → a call, and its reply → ASGI messages.

API calls are handled without a web framework; only the web pages use one. Requests that are refused early (URL too
long, body too large or too slow) get errors in the same format as all others.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import trio

from emulator.wire import replies
from emulator.wire.batches import BATCH_BYTES
from emulator.wire.batches import PATH as BATCH_PATH
from emulator.wire.bodies import Asgi, ClientGoneError, Message, Receive, Send, read_body, uncompressed
from emulator.wire.calls import Call, Reply
from emulator.wire.dispatch import Dispatcher, parse_query
from emulator.wire.errors import ApiError, invalid
from emulator.wire.parameters import BODY_BYTES

TARGET_CHARACTERS = 16 * 1024
HEAD_BYTES = 24 * 1024
FORM_BYTES = 16 * 1024  # the forms of the pages send a few words
PAGE_PATHS = re.compile(r"/|/queues/.*|/static/.*", re.ASCII)
_HOST = re.compile(r"[A-Za-z0-9._-]{1,255}(:[0-9]{1,5})?|\[[0-9a-fA-F:.]{2,45}\](:[0-9]{1,5})?", re.ASCII)


def asgi_app(dispatcher: Dispatcher, pages: Asgi, check_page_access: Callable[[Call], None]) -> Asgi:
    """Return the ASGI application: `pages` handles the web pages, the dispatcher handles everything else.

    `check_page_access` raises ApiError if the caller has no access to the pages.
    """

    async def serve(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await pages(scope, receive, send)
            return
        path = scope["raw_path"].decode("ascii")
        try:
            is_page = PAGE_PATHS.fullmatch(path)
            max_bytes = FORM_BYTES if is_page else BATCH_BYTES if path.startswith(BATCH_PATH) else BODY_BYTES
            body = await read_body(receive, max_bytes)
            call = _call(scope, path, body, max_bytes)
            _refuse_cross_site(call)
            if is_page:
                check_page_access(call)
        except ClientGoneError:
            return
        except ApiError as error:
            await _send(send, replies.encoded(replies.error_reply(error, dispatcher.style(path))))
            return
        if is_page:
            await pages(scope, _replay(call.body, receive), send)
        elif "prefer" in call.headers:
            await _answer_while_connected(dispatcher, call, receive, send)
        else:
            await _send(send, await dispatcher.answer(call))

    return serve


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


def _call(scope: Message, path: str, body: bytes, max_bytes: int) -> Call:
    """Return the request as a call, with its body decompressed up to `max_bytes`. Raises ApiError."""
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
    if "content-encoding" in headers:
        body = uncompressed(body, headers["content-encoding"], max_bytes)
    return Call(scope["method"], path, query, headers, body, _root(scope, headers))


def _root(scope: Message, headers: dict[str, str]) -> str:
    """Return the root URL that the client used. A TLS proxy reports its scheme in X-Forwarded-Proto."""
    host = headers.get("host")
    if not host:
        server = scope.get("server") or ("localhost", None)
        host = f"{server[0]}:{server[1]}" if server[1] else str(server[0])
    elif not _HOST.fullmatch(host):
        raise invalid("Host", host, "a host name or IP address, optionally with a port", location_type="header")
    forwarded = headers.get("x-forwarded-proto", "").partition(",")[0].strip().lower()
    scheme = forwarded if forwarded in ("http", "https") else scope["scheme"]
    return f"{scheme}://{host}/"


def _refuse_cross_site(call: Call) -> None:
    """Raise ApiError if a page of another site made a browser send this: it would use that user's rights."""
    if call.method in ("GET", "HEAD"):
        return
    site, origin = call.headers.get("sec-fetch-site"), call.headers.get("origin")
    if site is not None:
        foreign = site not in ("same-origin", "none")
    else:
        foreign = origin is not None and origin.partition("://")[2].lower() != call.headers.get("host", "").lower()
    if foreign:
        raise ApiError(
            403, "a page of another site sent this request; send it from a page of this service or without a browser"
        )


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
