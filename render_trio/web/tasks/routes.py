"""Tasks over the web: put one on the queue, follow it, take its document."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote, urlencode

import msgspec
from quart import Blueprint, Response, current_app, render_template, request

from render_trio.errors import InvalidTaskError, QueueError, QueueRefusedError, QueueUnavailableError
from render_trio.queue.messages import TASK_KIND
from render_trio.queue.producer import task_values
from render_trio.web.documents import query_string
from render_trio.web.documents.direct import disposition, resource_of, see_other
from render_trio.web.documents.resource_page import SERVICE_KEYS
from render_trio.web.problems import problem, refusal
from render_trio.web.responses import NOT_KEPT, json_reply, page_reply, wants_page
from render_trio.web.same_origin import same_origin
from render_trio.web.server_sent_events import PING_SECONDS, Listeners, Source, event
from render_trio.web.tasks.submissions import Document, TaskView, WebTasks
from resources.parsing import RequestError

INITIAL_POLL_INTERVAL, MAX_POLL_INTERVAL = (
    0.2,
    2.0,
)  # s between two looks at a task; grows by half, since most are done at once
RETRY_AFTER_SECONDS = 2
UNKNOWN = "nothing is known of this task: there was none, or its result was kept long enough"


def routes(web_tasks: WebTasks, listeners: Listeners) -> Blueprint:
    """Return the routes of tasks."""
    part = Blueprint("tasks", __name__)

    @part.post("/tasks")
    async def submit() -> Response:
        if request.mimetype != "application/json":
            return problem(415, "not_json", f"the body is {request.mimetype[:40]!r}; allowed: application/json")
        task_id = await web_tasks.submit(await request.body)
        reply = json_reply(_as_json(TaskView(task_id, "queued")), 202)
        reply.headers["Location"] = f"/tasks/{task_id}"
        return reply

    @part.post("/resources/<slug>/tasks")
    async def submit_form(slug: str) -> Response:
        resource = resource_of(slug)
        if not same_origin():
            return problem(403, "other_origin", "this form comes from another site's page")
        form = await request.form
        try:
            values = query_string.given_values(form, service_keys=SERVICE_KEYS)
            # The numbers that were seen in the preview.
            _, task = task_values(resource.view, {"seed": query_string.DEFAULT_SEED, **values})
        except RequestError as error:
            if wants_page():  # the form tells the error beside its field
                return see_other(f"/resources/{slug}?{urlencode(list(form.items(multi=True)))}")
            return refusal(error)
        task_id = await web_tasks.submit(msgspec.json.encode({"kind": TASK_KIND, **task}))
        return see_other(f"/tasks/{task_id}")

    @part.get("/tasks/<task_id>")
    async def task(task_id: str) -> Response:
        view = await web_tasks.look(task_id)
        if wants_page():
            text = "" if view is None else await _text(current_app.jinja_env, view)
            page = await render_template("task.html", view=view, live=text)
            return page_reply(page, 404 if view is None else 200, NOT_KEPT)
        return problem(404, "unknown_task", UNKNOWN) if view is None else json_reply(_as_json(view))

    @part.get("/tasks/<task_id>/document")
    async def document(task_id: str) -> Response:
        found = await web_tasks.document(task_id)
        if isinstance(found, Document):
            headers = {"Content-Disposition": disposition(found.filename, attached=False), "Cache-Control": NOT_KEPT}
            return Response(found.pdf, 200, headers, content_type="application/pdf")
        if found is not None:
            return Response(b"", 302, {"Location": found.url})
        view = await web_tasks.look(task_id)
        if view is None:
            return problem(404, "unknown_task", UNKNOWN)
        if view.error is not None:
            return problem(404, view.error.code, view.error.message)
        if view.ended:
            return problem(404, "not_here", "the document lies where this service can't read it")
        return problem(409, "not_yet", f"the task is {view.state}", retry_after=1)

    @part.get("/tasks/<task_id>/events")
    async def task_events(task_id: str) -> Response:
        view = await web_tasks.look(task_id)
        if view is None:
            return problem(404, "unknown_task", UNKNOWN)
        source = _source(web_tasks, view, current_app.jinja_env, listeners)
        return listeners.answer(source, head=request.method == "HEAD")

    @part.errorhandler(InvalidTaskError)
    async def refused(error: InvalidTaskError) -> Response:
        return problem(400, error.code, str(error), field=error.field or None)

    @part.errorhandler(QueueUnavailableError)
    async def unavailable(error: QueueUnavailableError) -> Response:
        return problem(503, "queue_unavailable", "the queue can't be asked now", retry_after=RETRY_AFTER_SECONDS)

    @part.errorhandler(QueueRefusedError)
    async def misunderstood(error: QueueRefusedError) -> Response:
        return problem(502, "queue_refused", "the queue did not take this")

    return part


def _as_json(view: TaskView) -> dict[str, Any]:
    address = f"/tasks/{quote(view.id)}"
    value: dict[str, Any] = {"kind": "task#state", **msgspec.to_builtins(view), "url": address}
    return value | {"document": f"{address}/document" if view.state == "done" else None}


async def _text(templates: Any, view: TaskView) -> str:
    """Return the part of the page that changes."""
    text: str = await templates.get_template("task_live.html").render_async(view=view)
    return text


def _source(web_tasks: WebTasks, first: TaskView, templates: Any, listeners: Listeners) -> Source:
    """Return what tells each change: a `state` for programs, a `page` for the page, an `end` when it has ended."""
    told: TaskView | None = None
    wait, silent = INITIAL_POLL_INTERVAL, 0.0

    async def next_event() -> bytes | None:
        nonlocal told, wait, silent
        if (told is not None and told.ended) or listeners.ending.is_set():
            return None
        view: TaskView | None = first
        while told is not None:
            await listeners.pause(wait)
            wait, silent = min(wait * 1.5, MAX_POLL_INTERVAL), silent + wait
            try:
                view = await web_tasks.look(first.id)
            except QueueError:
                return b""  # whoever listens goes on listening; the next look may fare better
            if view != told or listeners.ending.is_set():
                break
            if silent + MAX_POLL_INTERVAL >= PING_SECONDS:
                silent = 0.0
                return b""
        if view is None or view == told:  # cleared away while somebody listened; or we drain
            return None
        told, silent = view, 0.0
        state = event("state", msgspec.json.encode(_as_json(view)).decode())
        return state + event("page", await _text(templates, view)) + (event("end", "") if view.ended else b"")

    return next_event
