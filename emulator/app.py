"""A store and access rules → the complete ASGI application: APIs, discovery, batches, health, metrics, pages."""

from __future__ import annotations

from typing import cast

from emulator import discovery
from emulator.admission.gate import Gate
from emulator.admission.hosts import Hosts
from emulator.admission.proxies import Proxies
from emulator.pages import operations
from emulator.pages.queues import create_pages
from emulator.permissions.access import Access
from emulator.permissions.rereading import AccessFiles
from emulator.queues.queue_service import MAX_QUEUES, QueueService
from emulator.stores.interface import Store
from emulator.wire import batches
from emulator.wire.asgi import asgi_app
from emulator.wire.bodies import Asgi
from emulator.wire.dispatch import Dispatcher
from emulator.wire.routing import Routes

UNRESTRICTED = Access()


def create_app(
    store: Store,
    access: Access | AccessFiles = UNRESTRICTED,
    *,
    hosts: Hosts | None = None,
    proxies: Proxies | None = None,
    legacy_shapes: bool = False,
    max_queues: int = MAX_QUEUES,
    apis: str = discovery.API_PACKAGE,
) -> Asgi:
    """Return the application. `apis` is the package that contains the APIs. Without `hosts`, every name is answered.

    Raises ValueError if the discovery document of an API doesn't match its module.
    """
    service = QueueService(store, access, legacy_shapes=legacy_shapes, max_queues=max_queues)
    loaded = discovery.load(service, apis)
    return asgi_app(
        create_dispatcher(service, loaded),
        cast(Asgi, create_pages(service, [api.document for api in loaded])),
        Gate(lambda: service.access, hosts, proxies),
    )


def create_dispatcher(service: QueueService, loaded: list[discovery.Api]) -> Dispatcher:
    """Return the dispatcher of all calls but those for pages."""
    routes = Routes()
    styles = {route.path[1:].partition("/")[0]: api.errors for api in loaded for route in api.routes}
    schemas = {name: schema for api in loaded for name, schema in api.schemas().items()}
    dispatcher = Dispatcher(routes, styles, schemas)
    for api in loaded:
        routes.add(api.routes)
    routes.add(discovery.discovery_routes(loaded))
    routes.add(batches.routes(dispatcher.answer))
    routes.add(operations.routes(service))
    return dispatcher
