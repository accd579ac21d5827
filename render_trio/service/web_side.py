"""The web application → the ASGI application that is served: each request passes the steps below, in this order."""

from __future__ import annotations

from functools import partial
from typing import cast

from render_trio.errors import StartupError
from render_trio.settings.settings import Settings
from render_trio.web import same_origin
from render_trio.web.access.hosts import Hosts
from render_trio.web.addresses import Application
from render_trio.web.request_log import observe_requests
from render_trio.web.server.admission import Check, admitting
from render_trio.web.server.pacing import paced
from render_trio.web.server.proxies import Proxies
from render_trio.web.server.request_limits import Asgi, limit_requests


def behind_checks(app: Application, settings: Settings, *checks: Check) -> Asgi:
    """Return the application behind security headers and all checks, the given ones last.

    Raises StartupError for an unusable ROOT_PATH.
    """
    _check_root_path(app, settings.root_path)
    hosts = Hosts((*settings.allowed_hosts, settings.host.lower(), settings.operator_host.lower()))
    return limit_requests(
        paced(cast(Asgi, app)),
        settings.web_body_limit,
        Proxies(settings.trusted_proxies, settings.root_path).step(),
        partial(observe_requests, access_log=settings.access_log),
        admitting(hosts.check),
        admitting(same_origin.check),
        *map(admitting, checks),
    )


def _check_root_path(app: Application, root_path: str) -> None:
    """Refuse a root path that is also one of our own paths: /tasks/1 could then be the path with it or without it."""
    first = root_path.split("/")[1] if root_path else ""
    own = {rule.rule.split("/")[1] for rule in app.url_map.iter_rules()}
    if first and any(first == name or name.startswith(f"{first}<") for name in own):
        raise StartupError(
            f"ROOT_PATH is {root_path!r}: the service has pages under /{first} itself; choose another path"
        )
