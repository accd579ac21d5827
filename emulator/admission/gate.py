"""The order of the checks before the body of a request is read: proxy, host name, other sites' pages, token.

Only the head of a request is known here. Whether a token permits what the request does is checked by its verb.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from emulator.admission.body_room import BodyRoom
from emulator.admission.guessing import Guessing
from emulator.admission.hosts import Hosts
from emulator.admission.proxies import Proxies
from emulator.permissions.access import Access, Need
from emulator.permissions.clients import client_name
from emulator.wire.bodies import Message
from emulator.wire.calls import Call, Route
from emulator.wire.errors import ApiError


class Gate:
    """The checks of one process. `access` returns the current access rules. Without `hosts`, every name is answered."""

    def __init__(
        self, access: Callable[[], Access], hosts: Hosts | None = None, proxies: Proxies | None = None
    ) -> None:
        self._access = access
        self._hosts = hosts
        self._proxies = proxies or Proxies()
        self._guessing = Guessing()
        self.forwarded: Callable[[Message], Message] = self._proxies.forwarded
        self.room = BodyRoom()

    async def admit(self, call: Call, find_route: Callable[[Call], Route | None], *, page: bool) -> Call:
        """Return the call with the holder of its token. Raises ApiError: 401, 403, 421, 429.

        Probes are answered under every host name, and probes and discovery without a token.
        """
        if self._hosts is not None:
            try:
                self._hosts.check(call)
            except ApiError:
                route = find_route(call)
                if route is None or not route.is_probe:
                    raise
        _refuse_cross_site(call)
        access = self._access()
        if access.tokens is not None:
            route = None if page else find_route(call)
            if route is None or not route.is_open:
                client = client_name(call.client)
                holder = await self._guessing.holder(access.tokens, call.headers, client, page=page)
                call = dataclasses.replace(call, holder=holder)
        if page:
            access.check(call, Need.MANAGE)
        return call


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
