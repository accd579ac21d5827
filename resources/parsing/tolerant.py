"""A task from a queue → a request and warnings: the producer may be older or newer, and nobody can correct it now."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Mapping

from resources.options import decimal, shortened
from resources.parsing.reader import (
    NAME_CHARACTERS,
    SEED_CHARACTERS,
    SHOWN_KEY_CHARACTERS,
    Reader,
    find_resource,
)
from resources.request import Request, RequestWarning
from resources.resource import Resource

URL_CHARACTERS = 2000  # the address of another program's page, with its query, may be long
FILENAME_CHARACTERS = 1000
LISTED_KEYS = 10  # unknown keys with a warning of their own
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# Control characters, surrogates without a partner and non-characters: no document or file name can contain them.
UNUSABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def read_task(values: Mapping[str, object], *, default_seed: str) -> tuple[Request, tuple[RequestWarning, ...]]:
    """Return the request of a task, and a warning for each part of it that has no effect.

    Null means missing, an unknown key is ignored, and any text is accepted: it is drawn as far as possible. Raises
    RequestError if a required option is missing, or if a known option has a value that is not allowed.
    """
    reader = TolerantReader(values)
    request = reader.request(default_seed, fill_defaults=False)
    reader.warn_of_unknown_keys(find_resource(request.view))
    return request, tuple(reader.warnings)


class TolerantReader(Reader):
    """Follows what it can, and collects a warning for the rest."""

    def __init__(self, values: Mapping[str, object]) -> None:
        super().__init__(values)
        self.warnings: list[RequestWarning] = []

    def warn(self, code: str, field: str, message: str) -> None:
        """Add a warning about a key of the task."""
        self.warnings.append(RequestWarning(code, UNUSABLE.sub(REPLACEMENT, field[:SHOWN_KEY_CHARACTERS]), message))

    def resource(self) -> Resource:
        """Return the resource; the first producers sent the name of the file that drew it (`grid.py`)."""
        view = self.values.get("resource_view")
        if isinstance(view, str):
            self.values["resource_view"] = view.strip().removesuffix(".py")
        return super().resource()

    def warn_of_unknown_keys(self, resource: Resource) -> None:
        """Add a warning for each key that has no effect; if there are very many, one for the rest of them."""
        unknown = self.unknown_keys(resource)
        for name in unknown[:LISTED_KEYS]:
            self.warn("unknown_option", name, f"{shortened(name)} is not an option of {resource.view}; it was ignored")
        if len(unknown) > LISTED_KEYS:
            more = len(unknown) - LISTED_KEYS
            self.warn("unknown_option", "", f"{more} more keys are not options of {resource.view}; they were ignored")

    def line(self, key: str, max_characters: int) -> str:
        text = " ".join(self.text(key).split())
        usable = unicodedata.normalize("NFC", UNUSABLE.sub(REPLACEMENT, text))
        if usable.count(REPLACEMENT) > text.count(REPLACEMENT):
            self.warn("undrawable", key, f"{key} has control characters or invalid ones, which were replaced")
        if len(usable) > max_characters:
            message = f"{key} has {len(usable)} characters; it was cut off after {max_characters - 1}"
            self.warn("truncated", key, message)
            usable = usable[: max_characters - 1].rstrip() + "…"
        return usable

    def text(self, key: str) -> str:
        """Return the value as text, "" if it is missing or can't be text."""
        value = self.values.get(key, "")
        if isinstance(value, str):
            return value
        if isinstance(value, int | float) and not isinstance(value, bool):
            return decimal(value)
        self.warn("ignored", key, f"{key} is {shortened(value)}; allowed: text. It was ignored")
        return ""

    def name(self) -> str:
        name = self.line("resource_name", NAME_CHARACTERS)
        return name if name.strip(". ") else ""

    def url(self) -> str:
        return self.line("url", URL_CHARACTERS)

    def filename(self) -> str:
        return self.line("filename", FILENAME_CHARACTERS)

    def seed(self) -> str:
        """Return the seed; a very long one is replaced by its digest, which distinguishes seeds equally well."""
        value = self.text("seed")
        if len(value) <= SEED_CHARACTERS:
            return UNUSABLE.sub(REPLACEMENT, value)
        return hashlib.sha256(value.encode(errors="surrogatepass")).hexdigest()
