"""The application put together: every API of api_data/, discovery, batches, health, pages; all behind one edge."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from emulator import discovery
from emulator.pages import operations
from emulator.pages.queues import create_pages
from emulator.permissions.access import Access, Need
from emulator.queues.service import QueueService
from emulator.stores.interface import Store
from emulator.wire import batches
from emulator.wire.asgi import edge
from emulator.wire.bodies import Asgi
from emulator.wire.dispatch import Dispatcher
from emulator.wire.routing import Routes

EVERYTHING_OPEN = Access()


def create_app(store: Store, access: Access = EVERYTHING_OPEN, api_data: Path = discovery.API_DATA) -> Asgi:
    """Return the application on this store. Raises ValueError for a pair of api_data/ that doesn't fit."""
    service = QueueService(store, access)
    loaded = discovery.load(service, api_data)
    routes = Routes()
    styles = {route.path[1:].partition("/")[0]: api.errors for api in loaded for route in api.routes}
    schemas = {name: schema for api in loaded for name, schema in api.schemas().items()}
    dispatcher = Dispatcher(routes, styles, schemas)
    for api in loaded:
        routes.add(api.routes)
    routes.add(discovery.discovery_routes(loaded))
    routes.add(batches.routes(dispatcher.answer))
    routes.add(operations.routes(service))
    return edge(dispatcher, cast(Asgi, create_pages(service)), lambda call: access.check(call, Need.MANAGE))
