"""The service with a renderer that fails if a task's header requests it: python -m tests.faulty_service

The header `hang` never finishes a page, `crash` exits the process, `fault` reads an invalid address, and `explode`
allocates 4 GiB. Everything else is the real service, configured by environment variables.
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
from render_trio.settings import reading
from resources.request import Request


def produce_or_not(request: Request, checkpoint: Callable[[], None]) -> FinishedDocument:
    """Fail as the header requests, or return the document."""
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
    from tests.faulty_service import produce_or_not as named  # importable by this name in render processes

    composition.ThreadOffload = functools.partial(ThreadOffload, produce=named, parting_seconds=0.2)  # type: ignore[misc]
    process_isolation.ProcessOffload = functools.partial(ProcessOffload, produce=named)  # type: ignore[misc]
    return process.main(reading.read(os.environ))


if __name__ == "__main__":
    sys.exit(main())
