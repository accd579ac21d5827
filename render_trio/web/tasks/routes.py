"""Routes for tasks: submit one, follow its state, fetch its document."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from quart import Blueprint, Response, current_app, render_template, request

from render_trio.errors import (
    InvalidTaskError,
    QueueError,
    QueueRefusedError,
    QueueUnavailableError,
    UnavailableError,
)
from render_trio.queue.messages import checked_task
from render_trio.queue.producer import task_values
from render_trio.web.access.clients import name_of, visitor_name
from render_trio.web.access.quotas import QuotaError
from render_trio.web.addresses import address
from render_trio.web.documents import query_string
from render_trio.web.documents.query_string import SERVICE_KEYS, resource_of
from render_trio.web.openapi.operation import EVENTS, FORM, HTML, JSON, PDF, describe
from render_trio.web.problems import problem, refusal
from render_trio.web.responses import NOT_KEPT, disposition, json_response, page_response, see_other, wants_page
from render_trio.web.server_sent_events import PING_SECONDS, Listeners, Source, event
from render_trio.web.tasks.submissions import DocumentBytes, DocumentLink, TaskView, WebTasks
from resources.parsing import RequestError

# s between two polls of a task. The interval grows by half each time, because most tasks finish at once.
INITIAL_POLL_INTERVAL = 0.2
MAX_POLL_INTERVAL = 2.0
RETRY_AFTER_SECONDS = 2
UNKNOWN = "unknown task: it never existed, or its result has been deleted"
TASK_PROBLEMS = (404, 502, 503)


def routes(web_tasks: WebTasks, listeners: Listeners) -> Blueprint:
    """Return the routes for tasks."""
    part = Blueprint("tasks", __name__)

    @part.post("/tasks")
    @describe(
        "Put a task on the queue",
        {202: {JSON: "TaskState"}},
        problems=(400, 401, 413, 415, 429, 502, 503),
        body={JSON: "RenderTask"},
    )
    async def submit() -> Response:
        if request.mimetype != "application/json":
            detail = f"Content-Type is {request.mimetype[:40]!r}; allowed: 'application/json'"
            return problem(415, "not_json", detail)
        task_id = await web_tasks.submit(checked_task(await request.body), visitor_name(request.scope))
        response = json_response(_as_json(TaskView(task_id, "queued")), 202)
        response.headers["Location"] = address(f"/tasks/{task_id}")
        return response

    @part.post("/resources/<slug>/tasks")
    @describe(
        "Put a task on the queue from a resource's form; redirects to the task's page",
        {303: {}, 404: {}},
        problems=(400, 403, 413, 429, 502, 503),
        body={FORM: "Options"},
    )
    async def submit_form(slug: str) -> Response:
        resource = resource_of(slug)
        form = await request.form
        try:
            values = query_string.given_values(form, service_keys=SERVICE_KEYS)
            # The preview's seed, so that the document has the numbers that the preview showed.
            _, task = task_values(resource.view, {"seed": query_string.DEFAULT_SEED, **values})
        except RequestError as error:
            if wants_page():  # the form shows the error next to the field
                return see_other(address(f"/resources/{slug}", urlencode(list(form.items(multi=True)))))
            return refusal(error)
        task_id = await web_tasks.submit(task, visitor_name(request.scope))
        return see_other(address(f"/tasks/{task_id}"))

    @part.get("/tasks/<task_id>")
    @describe("The state of a task", {200: {JSON: "TaskState", HTML: ""}}, problems=TASK_PROBLEMS)
    async def task(task_id: str) -> Response:
        view = await web_tasks.view(task_id)
        if wants_page():
            text = "" if view is None else await _live_part(current_app.jinja_env, view)
            page = await render_template("task.html", view=view, live=text)
            return page_response(page, 404 if view is None else 200, NOT_KEPT)
        return problem(404, "unknown_task", UNKNOWN) if view is None else json_response(_as_json(view))

    @part.get("/tasks/<task_id>/document")
    @describe("The document of a task", {200: {PDF: ""}, 302: {}}, problems=(*TASK_PROBLEMS, 409))
    async def document(task_id: str) -> Response:
        found = await web_tasks.document(task_id)
        if isinstance(found, DocumentBytes):
            headers = {"Content-Disposition": disposition(found.filename, attached=False), "Cache-Control": NOT_KEPT}
            return Response(found.pdf, 200, headers, content_type=PDF)
        if isinstance(found, DocumentLink):
            return Response(b"", 302, {"Location": found.url})
        view = await web_tasks.view(task_id)
        if view is None:
            return problem(404, "unknown_task", UNKNOWN)
        if view.error is not None:
            return problem(404, view.error.code, view.error.message)
        if view.ended:
            return problem(404, "not_here", "the document is stored where this service can't read it")
        return problem(409, "not_yet", f"the task is {view.state}", retry_after=1)

    @part.get("/tasks/<task_id>/events")
    @describe(
        "Events for each change of a task: `state` and `page`, finally `end`",
        {200: {EVENTS: ""}},
        problems=(*TASK_PROBLEMS, 429),
    )
    async def task_events(task_id: str) -> Response:
        view = await web_tasks.view(task_id)
        if view is None:
            return problem(404, "unknown_task", UNKNOWN)
        source = _source(web_tasks, view, current_app.jinja_env, listeners)
        return listeners.respond(source, name_of(request.scope), head=request.method == "HEAD")

    @part.errorhandler(InvalidTaskError)
    async def invalid(error: InvalidTaskError) -> Response:
        return problem(400, error.code, str(error), field=error.field or None)

    @part.errorhandler(QuotaError)
    async def too_many(error: QuotaError) -> Response:
        return problem(429 if error.own else 503, error.code, str(error), retry_after=error.retry_after)

    @part.errorhandler(QueueUnavailableError)
    async def unavailable(error: QueueUnavailableError) -> Response:
        return problem(503, "queue_unavailable", "the queue is unreachable", retry_after=RETRY_AFTER_SECONDS)

    @part.errorhandler(UnavailableError)
    async def unreadable(error: UnavailableError) -> Response:
        return problem(503, error.code, str(error), retry_after=RETRY_AFTER_SECONDS)

    @part.errorhandler(QueueRefusedError)
    async def refused(error: QueueRefusedError) -> Response:
        return problem(502, "queue_refused", "the queue refused the request")

    return part


def _as_json(view: TaskView) -> dict[str, Any]:
    url = address(f"/tasks/{quote(view.id)}")
    value: dict[str, Any] = {"kind": "task#state", **msgspec.to_builtins(view), "url": url}
    return value | {"document": f"{url}/document" if view.state == "done" else None}


async def _live_part(templates: Any, view: TaskView) -> str:
    """Return the part of the task's page that changes, as HTML."""
    html: str = await templates.get_template("task_live.html").render_async(view=view)
    return html


def _source(web_tasks: WebTasks, first: TaskView, templates: Any, listeners: Listeners) -> Source:
    """Return a source of events: for each change a `state` (JSON) and a `page` (HTML), and an `end` after the last."""
    sent: TaskView | None = None
    wait, silent = INITIAL_POLL_INTERVAL, 0.0

    async def next_event() -> bytes | None:
        nonlocal sent, wait, silent
        if (sent is not None and sent.ended) or listeners.draining.is_set():
            return None
        view: TaskView | None = first
        while sent is not None:
            await listeners.pause(wait)
            wait, silent = min(wait * 1.5, MAX_POLL_INTERVAL), silent + wait
            try:
                view = await web_tasks.view(first.id)
            except QueueError:
                return b""  # keep the stream open: the next poll may succeed
            if view != sent or listeners.draining.is_set():
                break
            if silent + MAX_POLL_INTERVAL >= PING_SECONDS:
                silent = 0.0
                return b""
        if view is None or view == sent:  # the result was deleted meanwhile, or the service drains
            return None
        sent, silent = view, 0.0
        state = event("state", msgspec.json.encode(_as_json(view)).decode())
        return state + event("page", await _live_part(templates, view)) + (event("end", "") if view.ended else b"")

    return next_event
