"""The producer's side: options → a task in the queue; results in the queue → documents in a folder."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from render_trio.queue.interface import Queue
from render_trio.queue.messages import (
    RESULT_TAG,
    TASK_TAG,
    DocumentResult,
    LinkResult,
    Result,
    decode_result,
    encode_task,
    failure,
)
from resources.parsing import parse_request
from resources.registry import CATALOGUE
from resources.request import Request

RESULT_COUNT = 20  # results leased at a time
RESULT_LEASE_SECONDS = 60  # time to write a batch of documents to disk
MAX_NAME_BYTES = 200  # of a file name: file systems allow 255, and a number may be appended


@dataclass(frozen=True, slots=True)
class Received:
    """A result removed from the queue, and the path that its document was written to, if any."""

    result: Result
    path: Path | None


def task_values(view: str, options: Mapping[str, object]) -> tuple[Request, dict[str, Any]]:
    """Return the request and the keys of its task; missing options have their defaults. Raises RequestError."""
    request = parse_request({**options, "resource_view": view}, default_seed="", fill_defaults=True)
    values: dict[str, Any] = {
        "resource_slug": CATALOGUE[request.view].slug,
        "resource_name": request.name,
        "resource_view": request.view,
        "url": request.url,
        "header_text": request.header_text,
        "copies": request.copies,
        "paper_size": request.paper_size,
        "ink_saver": request.ink_saver,
        "language": request.language,
        **dict(request.choices),
    }
    if request.seed:
        values["seed"] = request.seed
    return request, values


async def submit(queue: Queue, values: dict[str, Any]) -> str:
    """Insert a task into the queue and return its ID. Raises QueueError."""
    task_id = uuid.uuid4().hex
    await queue.insert(task_id, encode_task(values), TASK_TAG)
    return task_id


async def take_results(queue: Queue, folder: Path | None, *, wait: int = 0, tag: str = RESULT_TAG) -> list[Received]:
    """Write the documents of the next results to `folder`, delete the results from the queue, and return them.

    `wait`: s that the queue may hold the request if there is no result. Raises QueueError, and OSError if a document
    can't be written; its result then stays in the queue.
    """
    batch = await queue.lease(RESULT_COUNT, RESULT_LEASE_SECONDS, tag=tag, wait=wait)
    received = []
    for task in batch.tasks:
        result = _decoded(task.id, task.payload)
        received.append(Received(result, _write(result, folder)))
        await queue.delete(task.id)
    return received


def _decoded(task_id: str, payload: str) -> Result:
    try:
        return decode_result(payload)
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        return failure(task_id, "not_a_result", f"a task with the tag of results is not a result: {error}")


def _write(result: Result, folder: Path | None) -> Path | None:
    if isinstance(result, LinkResult) or folder is None or result.document is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    content = base64.b64decode(result.document)
    path = _free_path(folder, result, content)
    path.write_bytes(content)
    return path


def _free_path(folder: Path, result: DocumentResult, content: bytes) -> Path:
    """Return an unused path in the folder, or the path of a file with the same content.

    The file name in a result is untrusted: characters that could make it a path are replaced.
    """
    name = re.sub(r'[\x00-\x1f/\\:*?"<>|]', " ", result.filename or "").strip(" .") or result.task_id[:40]
    stem = name.removesuffix(".pdf").encode()[:MAX_NAME_BYTES].decode(errors="ignore")
    path, number = folder / f"{stem}.pdf", 1
    while path.exists() and path.read_bytes() != content:
        number += 1
        path = folder / f"{stem} {number}.pdf"
    return path
