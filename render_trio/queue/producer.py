"""A producer's side: put render tasks on the queue, take results off it, keep the documents."""

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
from render_trio.queue.task_queue.client import TaskQueue
from resources.parsing import parse_request
from resources.registry import CATALOGUE
from resources.request import Request

RESULTS_AT_ONCE = 20
RESULT_LEASE_SECONDS = 60  # to write a batch of documents to disk
NAME_BYTES = 200  # of a file name: file systems allow 255, and a number may follow


@dataclass(frozen=True, slots=True)
class Received:
    """A result that was taken off the queue; `path` is where its document was written, if it had one."""

    result: Result
    path: Path | None


def task_values(view: str, options: Mapping[str, object]) -> tuple[Request, dict[str, Any]]:
    """Return the request and the task's keys, with defaults for what is not named. Raises RequestError."""
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


async def submit(queue: TaskQueue, values: dict[str, Any]) -> str:
    """Put a task on the queue and return its id. Raises QueueError."""
    task_id = uuid.uuid4().hex
    await queue.insert(task_id, encode_task(values), TASK_TAG)
    return task_id


async def take_results(
    queue: TaskQueue, folder: Path | None, *, wait: int = 0, tag: str = RESULT_TAG
) -> list[Received]:
    """Return the next results, their documents written to `folder`; they are deleted from the queue then.

    Raises QueueError, OSError when a document can't be written (its result stays on the queue).
    """
    answer = await queue.lease(RESULTS_AT_ONCE, RESULT_LEASE_SECONDS, tag=tag, wait=wait)
    received = []
    for task in answer.tasks:
        result = _decoded(task.id, task.payload)
        received.append(Received(result, _write(result, folder)))
        await queue.delete(task.id)
    return received


def _decoded(task_id: str, payload: str) -> Result:
    try:
        return decode_result(payload)
    except (msgspec.DecodeError, binascii.Error, ValueError) as error:
        return failure(task_id, "not_a_result", f"what carries the tag of results isn't one: {error}")


def _write(result: Result, folder: Path | None) -> Path | None:
    if isinstance(result, LinkResult) or folder is None or result.document is None:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    path = _free_path(folder, result, base64.b64decode(result.document))
    path.write_bytes(base64.b64decode(result.document))
    return path


def _free_path(folder: Path, result: DocumentResult, content: bytes) -> Path:
    """Return a path in the folder that is free, or holds just this document; a result's name is never a path."""
    name = re.sub(r'[\x00-\x1f/\\:*?"<>|]', " ", result.filename or "").strip(" .") or result.task_id[:40]
    stem = name.removesuffix(".pdf").encode()[:NAME_BYTES].decode(errors="ignore")
    path, number = folder / f"{stem}.pdf", 1
    while path.exists() and path.read_bytes() != content:
        number += 1
        path = folder / f"{stem} {number}.pdf"
    return path
