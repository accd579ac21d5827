"""The web pages of the resources without a queue or workers, for authors: one process until the code changes.

`python -m render_trio.service.preview VIEW DESCRIPTOR [FOLDER ...]` serves on an inherited listening socket, and is
started again by render_trio/cli/preview.py for every change, so that no module is ever reloaded in place.
"""

from __future__ import annotations

import os
import secrets
import socket
import sys
import traceback
from pathlib import Path

import trio
from quart import Response, render_template, request

from render_trio.observation.metrics import Metrics
from render_trio.rendering.pipeline import render
from render_trio.service import composition, logs, web_side
from render_trio.settings.settings import Settings
from render_trio.supervision.health import Health, judge
from render_trio.web import live_reload
from render_trio.web.app import create_app
from render_trio.web.operations.probes import Probes
from render_trio.web.responses import page_response
from render_trio.web.server.server import serve
from render_trio.web.server_sent_events import Listeners
from resources.registry import CATALOGUE, PluginError, add_folder, problems

Problem = tuple[str, str]  # a line, and the traceback or ""


def problems_of(view: str, folders: list[Path]) -> list[Problem]:
    """Return what keeps the view from being drawn with its defaults, after loading the folders; none if nothing."""
    found: list[Problem] = []
    for folder in folders:
        try:
            add_folder(folder)
        except PluginError as error:
            found.append((str(error), ""))
    found += [(str(problem), problem.details) for problem in problems()]
    if view not in CATALOGUE:
        return found or [(f"There is no resource {view!r}.", "")]
    # The author's code may raise anything; the page shows it.
    try:
        render(view, **CATALOGUE[view].showcase)
    except Exception as error:
        return [(f"{type(error).__name__}: {error}", traceback.format_exc())]
    return []


async def run(view: str, listener: socket.socket, found: list[Problem]) -> None:
    """Serve the pages until the parent exits. The resource's own page shows the problems that were found, if any."""
    settings, metrics = Settings(render_workers=1), Metrics()
    async with (
        composition.open_offload(settings, metrics) as offload,
        composition.open_on_demand_renderer(settings, offload, metrics) as on_demand,
        trio.open_nursery() as nursery,
    ):

        def health() -> Health:
            return judge([], trio.current_time(), draining=False, abandoned=0, abandoned_limit=1, queue_silence=0)

        probes = Probes(health, list, metrics.exposition, show_metrics=True)
        app = create_app(probes, on_demand)
        live_reload.enable(app, secrets.token_hex(8), Listeners(settings.web_listeners, trio.Event()))

        @app.before_request
        async def show_problems() -> Response | None:
            if not found or request.path not in ("/", f"/resources/{view.replace('_', '-')}"):
                return None
            return page_response(await render_template("preview_error.html", view=view, problems=found), 500)

        await nursery.start(serve, web_side.behind_checks(app, settings), listener, settings.keep_alive_seconds)
        await _parent_exit()
        nursery.cancel_scope.cancel()


async def _parent_exit() -> None:
    """Wait until the parent has exited, however it did: the other end of standard input is then closed."""
    async with trio.lowlevel.FdStream(os.dup(sys.stdin.fileno())) as parent:
        while await parent.receive_some():
            pass


def main() -> None:
    """Serve as the arguments say."""
    view, descriptor, *folders = sys.argv[1:]
    logs.configure("console", "warning")
    found = problems_of(view, [Path(folder) for folder in folders])
    for message, details in found:
        print(f"{details or message}", file=sys.stderr)
    trio.run(run, view, socket.socket(fileno=int(descriptor)), found)


if __name__ == "__main__":
    main()
