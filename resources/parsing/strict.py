"""A form, a command line or a direct call → a request: every mistake is an error, because it can be corrected."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from resources.drawing.drawable_text import drawable
from resources.options import OptionError, shortened
from resources.parsing.errors import RequestError, invalid
from resources.parsing.reader import NAME_CHARACTERS, SEED_CHARACTERS, SHOWN_KEY_CHARACTERS, Reader
from resources.request import Request, safe_filename
from resources.resource import Resource

URL_CHARACTERS = 500
SHOWN_NAMES = 5  # of unknown keys in one message


def parse_request(values: Mapping[str, object], *, default_seed: str, fill_defaults: bool = False) -> Request:
    """Return the request described by `values`, from a person or a program that can correct every mistake at once.

    `default_seed` is used if `values` contains no seed. With `fill_defaults` (forms, the command line), a missing
    required option gets its default. Raises RequestError for the first value that is not allowed.
    """
    return StrictReader(values).request(default_seed, fill_defaults)


class StrictReader(Reader):
    """Rejects what it can't follow exactly."""

    def resource(self) -> Resource:
        resource = super().resource()
        unknown = self.unknown_keys(resource)
        if unknown:
            names = ", ".join(shortened(name) for name in unknown[:SHOWN_NAMES])
            more = f" and {len(unknown) - SHOWN_NAMES} more" if len(unknown) > SHOWN_NAMES else ""
            own = ", ".join(option.name for option in resource.options) or "none"
            message = f"unknown option {names}{more}; options of {resource.view}: {own}"
            raise RequestError("unknown_option", message, unknown[0][:SHOWN_KEY_CHARACTERS])
        return resource

    def line(self, key: str, max_characters: int) -> str:
        value = self.values.get(key, "")
        if not isinstance(value, str) or len(value) > max_characters:
            raise invalid(OptionError(key, value, f"text of at most {max_characters} characters"))
        text = unicodedata.normalize("NFC", " ".join(value.split()))
        for character in text:
            if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn"):
                raise invalid(OptionError(key, value, f"printable text, without U+{ord(character):04X}"))
        for character in drawable(text).lost:
            allowed = f"text without {character} (U+{ord(character):04X}), which can't be drawn"
            raise invalid(OptionError(key, value, allowed))
        return text

    def name(self) -> str:
        text = self.line("resource_name", NAME_CHARACTERS)
        if re.search(r"[/\\]", text) or (text and not text.strip(". ")):
            allowed = "a name without / and \\, because it becomes part of a file name"
            raise invalid(OptionError("resource_name", text, allowed))
        return text

    def url(self) -> str:
        value = self.values.get("url", "")
        if value == "":
            return ""
        if isinstance(value, str) and len(value) <= URL_CHARACTERS and re.fullmatch(r"https?://[!-~]+", value):
            return value
        allowed = f"an http or https address of at most {URL_CHARACTERS} printable ASCII characters"
        raise invalid(OptionError("url", value, allowed))

    def filename(self) -> str:
        value = self.values.get("filename", "")
        if value == "":
            return ""
        name = safe_filename(value) if isinstance(value, str) else ""
        if name and name in (value, f"{value}.pdf"):
            return name
        allowed = 'a name of at most 255 bytes for a .pdf file, without / \\ : * ? " < > | and without a leading dot'
        raise invalid(OptionError("filename", value, allowed))

    def seed(self) -> str:
        value = self.values.get("seed", "")
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise invalid(OptionError("seed", value, "text or a whole number"))
        # Python itself refuses str() of an integer of over 4,300 digits: check the size first.
        if isinstance(value, int) and value.bit_length() > SEED_CHARACTERS:
            raise invalid(OptionError("seed", hex(value), f"a whole number of at most {SEED_CHARACTERS} bits"))
        if isinstance(value, str) and len(value) > SEED_CHARACTERS:
            raise invalid(OptionError("seed", value, f"at most {SEED_CHARACTERS} characters"))
        return str(value)
