"""The service with a renderer whose tasks misbehave when their header says so: python -m tests.faulty_service

`hang` never ends nor comes to a page, `crash` ends its process, `fault` reads where nothing is, `explode` asks for
4 GB. It is set up by the environment, as the real one is, which it is in everything else.
"""

from __future__ import annotations

import ctypes
import functools
import os
import sys
import time
from collections.abc import Callable

from render_trio.rendering.finisher import FinishedDocument
from render_trio.rendering.offload import process as process_isolation
from render_trio.rendering.offload.process import ProcessOffload
from render_trio.rendering.offload.thread import ThreadOffload
from render_trio.rendering.pipeline import produce
from render_trio.service import composition, process
from render_trio.settings import settings
from resources.request import Request


def produce_or_not(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
    """Do as the request's header says; a document, when it says nothing of the kind."""
    if request.header_text == "hang":
        while True:
            time.sleep(0.01)
    if request.header_text == "crash":
        os._exit(3)
    if request.header_text == "fault":
        ctypes.string_at(0)
    if request.header_text == "explode":
        bytearray(4 * 2**30)
    return produce(request, checkpoint)


def main() -> int:
    """Run the service."""
    from tests.faulty_service import produce_or_not as named  # so that drawing processes find it by its name

    composition.ThreadOffload = functools.partial(ThreadOffload, produce=named, parting_seconds=0.2)  # type: ignore[misc]
    process_isolation.ProcessOffload = functools.partial(ProcessOffload, produce=named)  # type: ignore[misc]
    return process.main(settings.read(os.environ))


if __name__ == "__main__":
    sys.exit(main())
