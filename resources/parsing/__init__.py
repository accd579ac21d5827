"""A flat mapping from outside (a task, a form, a command line) → one typed, frozen `Request`."""

from resources.parsing.errors import RequestError
from resources.parsing.reader import (
    COMMON_KEYS,
    COMMON_OPTIONS,
    HEADER_CHARACTERS,
    MAX_COPIES,
    NAME_CHARACTERS,
    PAPER_SIZE,
    SEED_CHARACTERS,
    find_resource,
)
from resources.parsing.strict import URL_CHARACTERS, parse_request
from resources.parsing.tolerant import read_task

__all__ = [
    "COMMON_KEYS",
    "COMMON_OPTIONS",
    "HEADER_CHARACTERS",
    "MAX_COPIES",
    "NAME_CHARACTERS",
    "PAPER_SIZE",
    "SEED_CHARACTERS",
    "URL_CHARACTERS",
    "RequestError",
    "find_resource",
    "parse_request",
    "read_task",
]
