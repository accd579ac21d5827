"""Renders on demand, counted by the client that requests them, so that one client leaves room for the others.

A render counts from its admission until it has ended, even if its client has disconnected meanwhile: otherwise a client
could start any number of renders. A document that is cached, or that is being drawn for somebody else, costs nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from quart import request

from render_trio.rendering.single_flight import Admission
from render_trio.web.access.clients import visitor_name
from render_trio.web.access.quotas import Quota

# Of all renders that may run or wait. With the default of 64 + 1, one client may have 48, enough for a class of 30
# behind one address; room for 17 others is left.
CLIENT_SHARE = 3 / 4
RETRY_AFTER_SECONDS = 5


def render_quota(renders: int) -> Quota:
    """Return the quota of all clients if so many renders may run and wait."""
    return Quota("documents and images", renders, max(1, int(renders * CLIENT_SHARE)), RETRY_AFTER_SECONDS)


def admission(quota: Quota) -> Admission:
    """Return what an on-demand renderer calls, within a request, for each render that it is about to start.

    It raises QuotaError if the client has too many. Programs with a token are limited only by the renderer itself.
    """

    def admit() -> Callable[[], None]:
        client = visitor_name(request.scope)
        if client is None:
            return lambda: None
        quota.take(client)
        return lambda: quota.adjust(client, -1)

    return admit
