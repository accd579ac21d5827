"""A flat mapping from outside (a task, a form, a command line) → one typed, frozen `Request`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from resources.drawing.fonts import missing_character
from resources.language import N_, SOURCE_LANGUAGE, languages
from resources.options import Choice, Choices, Flag, Number, Option, OptionError, Value, shortened
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource

HEADER_CHARACTERS = 200
NAME_CHARACTERS = 100
URL_CHARACTERS = 500
SEED_CHARACTERS = 200
MAX_COPIES = 50
SHOWN_NAMES = 5  # of unknown keys in one message

PAPER_SIZE = Choice("paper_size", N_("Paper size"), {"a4": "A4", "letter": "US Letter"}, "a4")
COPIES = Number("copies", N_("Copies"), 1, MAX_COPIES, 1, required=False)
INK_SAVER = Flag("ink_saver", N_("Save ink"), False, required=False)
COMMON_OPTIONS: tuple[Option, ...] = (PAPER_SIZE, COPIES, INK_SAVER)
_TEXT_KEYS = ("resource_view", "resource_slug", "resource_name", "url", "header_text", "seed", "language")
COMMON_KEYS = frozenset({*_TEXT_KEYS, *(option.name for option in COMMON_OPTIONS)})


class RequestError(ValueError):
    """A request that can never be fulfilled.

    code: unknown_resource, missing_option, invalid_option or unknown_option.
    field: the key with the invalid value.
    allowed: its valid values in words, or "" if another value would not help.
    """

    def __init__(self, code: str, message: str, field: str, allowed: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.field = field
        self.allowed = allowed

    def __reduce__(self) -> tuple[type[RequestError], tuple[str, str, str, str]]:
        return type(self), (self.code, str(self), self.field, self.allowed)


def find_resource(view: object) -> Resource:
    """Return the resource with this view, which may be written with dashes. Raises RequestError."""
    resource = CATALOGUE.get(view.replace("-", "_")) if isinstance(view, str) else None
    if resource is None:
        allowed = ", ".join(sorted(CATALOGUE))
        message = f"resource_view is {shortened(view)}; allowed: {allowed}"
        raise RequestError("unknown_resource", message, "resource_view", allowed)
    return resource


def parse_request(values: Mapping[str, object], *, default_seed: str, fill_defaults: bool = False) -> Request:
    """Return the request described by `values`.

    `default_seed` is used if `values` contains no seed. With `fill_defaults` (forms, the command line), a missing
    required option gets its default; in a task it is an error. Raises RequestError.
    """
    if "resource_view" not in values:
        raise RequestError("missing_option", "resource_view is missing: the resource to draw", "resource_view")
    resource = find_resource(values["resource_view"])
    _reject_unknown_keys(values, resource)
    return Request(
        view=resource.view,
        name=_line(values, "resource_name", NAME_CHARACTERS, filename=True) or resource.name,
        url=_url(values),
        header_text=_line(values, "header_text", HEADER_CHARACTERS),
        copies=int(_option(COPIES, values, fill_defaults)),
        paper_size=str(_option(PAPER_SIZE, values, fill_defaults)),
        seed=_seed(values, default_seed),
        ink_saver=_option(INK_SAVER, values, fill_defaults) is True,
        language=_language(values, resource),
        choices=_choices(resource, values, fill_defaults),
    )


def _reject_unknown_keys(values: Mapping[str, object], resource: Resource) -> None:
    known = COMMON_KEYS | {option.name for option in resource.options}
    unknown = sorted(set(values) - known)
    if unknown:
        names = ", ".join(shortened(name) for name in unknown[:SHOWN_NAMES])
        more = f" and {len(unknown) - SHOWN_NAMES} more" if len(unknown) > SHOWN_NAMES else ""
        own = ", ".join(option.name for option in resource.options) or "none"
        message = f"unknown option {names}{more}; options of {resource.view}: {own}"
        raise RequestError("unknown_option", message, unknown[0][: SHOWN_NAMES * 10])


def _option(option: Option, values: Mapping[str, object], fill_defaults: bool) -> Value:
    if option.name not in values:
        if option.required and not fill_defaults:
            allowed = option.allowed()
            message = f"{option.name} is missing; allowed: {allowed}"
            raise RequestError("missing_option", message, option.name, allowed)
        return option.default
    try:
        return option.parse(values[option.name])
    except OptionError as error:
        raise _invalid(error) from None


def _choices(resource: Resource, values: Mapping[str, object], fill_defaults: bool) -> Choices:
    choices = Choices(tuple((option.name, _option(option, values, fill_defaults)) for option in resource.options))
    try:
        resource.check(choices)
    except OptionError as error:
        raise _invalid(error) from None
    return choices


def _invalid(error: OptionError) -> RequestError:
    return RequestError("invalid_option", str(error), error.name, error.allowed)


def _line(values: Mapping[str, object], key: str, max_characters: int, *, filename: bool = False) -> str:
    """Return one line of text that can be drawn: white space folded, no control or format characters."""
    value = values.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > max_characters:
        raise _invalid(OptionError(key, value, f"text of at most {max_characters} characters"))
    text = " ".join(value.split())
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn"):
            raise _invalid(OptionError(key, value, f"printable text, without U+{ord(character):04X}"))
    if filename and (re.search(r"[/\\]", text) or (text and not text.strip(". "))):
        raise _invalid(OptionError(key, value, "a name without / and \\, because it becomes part of a file name"))
    missing = missing_character(text)
    if missing is not None:
        allowed = f"characters that the fonts have, without {missing} (U+{ord(missing):04X})"
        raise _invalid(OptionError(key, value, allowed))
    return text


def _url(values: Mapping[str, object]) -> str:
    value = values.get("url")
    if value is None or value == "":
        return ""
    if isinstance(value, str) and len(value) <= URL_CHARACTERS and re.fullmatch(r"https?://[!-~]+", value):
        return value
    allowed = f"an http or https address of at most {URL_CHARACTERS} printable ASCII characters"
    raise _invalid(OptionError("url", value, allowed))


def _seed(values: Mapping[str, object], default_seed: str) -> str:
    value = values.get("seed")
    if value is None or value == "":
        return default_seed
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise _invalid(OptionError("seed", value, "text or a whole number"))
    # Python itself refuses str() of an integer of over 4,300 digits: check the size first.
    if isinstance(value, int) and value.bit_length() > SEED_CHARACTERS:
        raise _invalid(OptionError("seed", hex(value), f"a whole number of at most {SEED_CHARACTERS} bits"))
    if isinstance(value, str) and len(value) > SEED_CHARACTERS:
        raise _invalid(OptionError("seed", value, f"at most {SEED_CHARACTERS} characters"))
    return str(value)


def _language(values: Mapping[str, object], resource: Resource) -> str:
    value = values.get("language")
    if value is None or value == "":
        return SOURCE_LANGUAGE
    available = languages(resource.folder)
    if isinstance(value, str) and len(value) <= SEED_CHARACTERS:
        for tag in (value, value.split("-", maxsplit=1)[0]):
            for known in available:
                if tag.lower() == known.lower():
                    return known
    raise _invalid(OptionError("language", value, ", ".join(available)))
