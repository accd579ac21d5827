"""The web application: discovery documents, every API of api_data/, health.

An API is a pair of files there, `name_version.json` and `name_version.py`; adding a pair adds an API.
"""

from __future__ import annotations

import importlib
import logging
from pathlib import Path
from typing import Any

import msgspec
import trio
from quart import Response, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from emulator import replies
from emulator.errors import ApiError
from emulator.store import Store, StoreUnavailableError

API_DATA = Path(__file__).parent / "api_data"
STORE_THREADS = 32  # waiting for the store at once; further requests wait for a thread
log = logging.getLogger(__name__)


def discovery_documents() -> dict[tuple[str, str], dict[str, Any]]:
    """Return the discovery documents by name and version, as they lie in api_data/."""
    documents = {}
    for path in sorted(API_DATA.glob("*_*.json")):
        name, version = path.stem.rsplit("_", 1)
        documents[name, version] = msgspec.json.decode(path.read_bytes(), type=dict[str, Any])
    return documents


def create_app(store: Store) -> QuartTrio:
    """Return the application on this store."""
    app = QuartTrio("emulator", static_folder=None)
    app.config["RESPONSE_TIMEOUT"] = None  # a held lease is no stuck one
    limiter = trio.CapacityLimiter(STORE_THREADS)
    documents = discovery_documents()
    for name, version in documents:
        module = importlib.import_module(f"emulator.api_data.{name}_{version}")
        app.register_blueprint(module.routes(store, limiter))

    @app.get("/api/<name>/<version>")
    async def discovery(name: str, version: str) -> Response:
        if (name, version) not in documents:
            known = ", ".join(f"{n}/{v}" for n, v in documents)
            raise ApiError(404, f"there is no API {name[:60]}/{version[:60]}; there is: {known}")
        document, root = documents[name, version], request.host_url
        return replies.json_reply(document | {"rootUrl": root, "baseUrl": root + document["servicePath"]})

    @app.get("/health")
    async def health() -> Response:
        await trio.to_thread.run_sync(store.ping, limiter=limiter)
        return replies.json_reply({"status": "ok"})

    _answer_errors(app)
    return app


def _answer_errors(app: QuartTrio) -> None:
    """Give every error the one shape."""

    @app.errorhandler(ApiError)
    async def refused(error: ApiError) -> Response:
        return error.response()

    @app.errorhandler(StoreUnavailableError)
    async def unavailable(error: StoreUnavailableError) -> Response:
        log.warning("store unavailable: %s", error)
        return ApiError(503, "the queue's store can't be reached now; try again").response()

    @app.errorhandler(HTTPException)
    async def refused_by_framework(error: HTTPException) -> Response:
        status = error.code or 500
        message = {
            404: f"there is nothing at {request.path[:100]}",
            405: f"{request.method[:20]} is not among the methods of {request.path[:100]}",
        }.get(status, error.description or "the request can't be answered")
        return ApiError(status, message).response()

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> Response:
        log.exception("a request failed", exc_info=error)
        return ApiError(500, "the service failed on this request; its log says why", "backendError").response()
