"""The web pages: queues, tasks, dead letters, and forms to operate on them; and the APIs' methods, to try them.

They work without JavaScript; only sending a request from the page Try it needs it.

Viewing a page leases nothing. Changes are made by POSTing a form. wire/asgi.py has already checked that the caller
may see the pages, and has refused forms sent by a page of another site.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from quart import Response, redirect, render_template, request
from quart_trio import QuartTrio
from werkzeug.exceptions import HTTPException

from emulator.pages.operations import waited_seconds
from emulator.pages.task_rows import duration, task_row
from emulator.pages.try_it import ApiMethods, Document, Method, api_methods
from emulator.queues.queue_service import QueueService
from emulator.stores.interface import SECOND, QueueKey, StoreUnavailableError
from emulator.wire import parameters
from emulator.wire.errors import ApiError, invalid
from emulator.wire.paging import page_start, page_token

FOLDER = Path(__file__).parent
PAGE_TASKS = 25
PAGE_DEAD_LETTERS = 25
POLICY = "default-src 'none'; style-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
SCRIPTED_POLICY = f"{POLICY}; script-src 'self'; connect-src 'self'"  # of the one page with a script
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",  # without a referrer, the Origin header of a form would be null
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def create_pages(service: QueueService, documents: Sequence[Document] = ()) -> QuartTrio:
    """Return the application that serves the pages; `documents` are the discovery documents for the page Try it."""
    app = QuartTrio(
        "emulator",
        static_folder=str(FOLDER / "static"),
        static_url_path="/static",
        template_folder=str(FOLDER / "templates"),
    )

    @app.get("/")
    async def queues() -> str:
        now_us = await service.call_store(service.store.now_us)
        listed, others = await service.all_stats()
        rows = [
            {"queue": queue, "stats": stats, "wait": duration(round(waited_seconds(stats, now_us) * SECOND))}
            for queue, stats in listed
        ]
        return await render_template("queues.html", rows=rows, others=others)

    @app.get("/queues/<project>/<name>")
    async def queue(project: str, name: str) -> str:
        return await _show_queue(service, service.key(project, name))

    @app.post("/queues/<project>/<name>")
    async def act(project: str, name: str) -> Any:
        key = service.key(project, name)
        form = await request.form
        await _act(service, key, form.get("verb", ""), form.get("task", ""), sure=form.get("sure") == "yes")
        return redirect(address(f"/queues/{key.project}/{key.name}" if form.get("back") != "queues" else "/"), 303)

    app.add_template_global(address)
    _add_try_it(app, api_methods(documents))
    _add_headers_and_error_pages(app)
    return app


def address(path: str) -> str:
    """Return the address of a path of this service, under the path at which a reverse proxy serves it."""
    return f"{request.root_path}{path}"


def _add_try_it(app: QuartTrio, apis: list[ApiMethods]) -> None:
    known = {method.id: method for api in apis for group in api.groups for method in group.methods}

    async def page(method: Method | None) -> Response:
        """Return the page; `project` and `queue` in its query are filled in."""
        project, queue = request.args.get("project", ""), request.args.get("queue", "")
        given = {
            "project": project,
            "projectsId": project,
            "taskqueue": queue,
            "queuesId": queue,
            "locationsId": "here",
        }
        query = f"?{urlencode({'project': project, 'queue': queue})}" if project or queue else ""
        root = request.host_url.rstrip("/")
        content = await render_template("try_it.html", apis=apis, method=method, given=given, query=query, root=root)
        return Response(content, headers={"Content-Security-Policy": SCRIPTED_POLICY})

    @app.get("/try")
    async def methods() -> Response:
        return await page(None)

    @app.get("/try/<method_id>")
    async def method(method_id: str) -> Response:
        if method_id not in known:
            raise ApiError(404, f"method {method_id[:80]} does not exist; the page /try lists all methods")
        return await page(known[method_id])


async def _show_queue(service: QueueService, key: QueueKey) -> str:
    store = service.store
    now_us = await service.call_store(store.now_us)
    stats = await service.call_store(store.stats, key)
    tasks = await service.call_store(store.peek, key, PAGE_TASKS + 1, page_start(request.args.get("after")))
    dead = await service.call_store(store.dead_letters, key, PAGE_DEAD_LETTERS) if stats.dead else []
    following = None
    if len(tasks) > PAGE_TASKS:
        following = page_token(tasks[PAGE_TASKS - 1].eta_us, tasks[PAGE_TASKS - 1].id)
    return await render_template(
        "queue.html",
        queue=key,
        stats=stats,
        wait=duration(round(waited_seconds(stats, now_us) * SECOND)),
        retry_limit=service.retry_limit(key),
        tasks=[task_row(task, now_us) for task in tasks[:PAGE_TASKS]],
        dead=[task_row(task, now_us, dead=True) for task in dead],
        following=following,
        first="after" not in request.args,
    )


async def _act(service: QueueService, key: QueueKey, verb: str, task: str, *, sure: bool) -> None:
    """Execute the verb of a form. Raises ApiError."""
    service.access.rule(key)
    store = service.store
    on_task: dict[str, Callable[[QueueKey, str], object]] = {
        "release": store.release,
        "delete": store.delete,
        "revive": store.revive,
    }
    on_queue = {"pause": store.pause, "resume": store.resume}
    if verb in on_task:
        await service.call_store(on_task[verb], key, parameters.task_name(task))
    elif verb in on_queue:
        await service.create_queue(key)
        await service.call_store(on_queue[verb], key)
    elif verb in ("purge", "purge_dead"):
        if not sure:
            raise ApiError(400, "nothing was deleted; tick the box next to the button to confirm")
        await service.call_store(store.purge, key, verb == "purge_dead")
    else:
        raise invalid("verb", verb, ", ".join([*on_task, *on_queue, "purge", "purge_dead"]))


def _add_headers_and_error_pages(app: QuartTrio) -> None:
    """Add the security headers to every page, and a page for every error."""

    @app.after_request
    async def secure(response: Response) -> Response:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    async def page(status: int, message: str) -> tuple[str, int]:
        return await render_template("error.html", status=status, message=message), status

    @app.errorhandler(ApiError)
    async def refused(error: ApiError) -> tuple[str, int]:
        return await page(error.status, error.message)

    @app.errorhandler(StoreUnavailableError)
    async def unavailable(error: StoreUnavailableError) -> tuple[str, int, dict[str, str]]:
        return *await page(503, str(error)), {"Retry-After": "1"}

    @app.errorhandler(HTTPException)
    async def refused_by_framework(error: HTTPException) -> tuple[str, int]:
        return await page(error.code or 500, error.description or "the page is not available")

    @app.errorhandler(Exception)
    async def failed(error: Exception) -> tuple[str, int]:
        app.logger.exception("page failed", exc_info=error)
        return await page(500, "internal error; see the log of the service")
