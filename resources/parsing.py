"""The edge: a flat mapping from outside (a task, a form, a command line) → one typed, frozen `Request`."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping

from resources import language as languages
from resources.drawing.fonts import missing_character
from resources.options import Choice, Choices, Flag, Number, Option, OptionError, shortened
from resources.registry import CATALOGUE
from resources.request import Request
from resources.resource import Resource

HEADER_CHARACTERS = 200
NAME_CHARACTERS = 100
URL_CHARACTERS = 500
SEED_CHARACTERS = 200
MAX_COPIES = 50
SHOWN_NAMES = 5  # of unknown keys in one message

PAPER_SIZE = Choice("paper_size", languages.N_("Paper size"), {"a4": "A4", "letter": "US Letter"}, "a4")
COPIES = Number("copies", languages.N_("Copies"), 1, MAX_COPIES, 1, required=False)
INK_SAVER = Flag("ink_saver", languages.N_("Save ink"), False, required=False)
COMMON_OPTIONS: tuple[Option, ...] = (PAPER_SIZE, COPIES, INK_SAVER)
_TEXT_KEYS = ("resource_view", "resource_slug", "resource_name", "url", "header_text", "seed", "language")
COMMON_KEYS = frozenset({*_TEXT_KEYS, *(option.name for option in COMMON_OPTIONS)})


class RequestError(ValueError):
    """A request that can never be fulfilled; `code` is for programs, the message for people.

    Codes: unknown_resource, missing_option, invalid_option, unknown_option.
    """

    def __init__(self, code: str, message: str, field: str) -> None:
        super().__init__(message)
        self.code = code
        self.field = field

    def __reduce__(self) -> tuple[type[RequestError], tuple[str, str, str]]:
        return type(self), (self.code, str(self), self.field)


def find_resource(view: object) -> Resource:
    """Return the resource of this view; dashes may stand for underscores. Raises RequestError."""
    resource = CATALOGUE.get(view.replace("-", "_")) if isinstance(view, str) else None
    if resource is None:
        message = f"resource_view is {shortened(view)}; allowed: {', '.join(sorted(CATALOGUE))}"
        raise RequestError("unknown_resource", message, "resource_view")
    return resource


def parse_request(values: Mapping[str, object], *, default_seed: str, fill_defaults: bool = False) -> Request:
    """Return the request that `values` spell.

    `default_seed` serves when none is given. With `fill_defaults` (forms, command line) a required
    option that is missing takes its default; a task must name it. Raises RequestError.
    """
    if "resource_view" not in values:
        raise RequestError("missing_option", "resource_view is missing: the resource to draw", "resource_view")
    resource = find_resource(values["resource_view"])
    _refuse_unknown(values, resource)
    return Request(
        view=resource.view,
        name=_line(values, "resource_name", NAME_CHARACTERS, filename=True) or resource.name,
        url=_url(values),
        header_text=_line(values, "header_text", HEADER_CHARACTERS),
        copies=int(_option(COPIES, values, fill_defaults)),
        paper_size=str(_option(PAPER_SIZE, values, fill_defaults)),
        seed=_seed(values, default_seed),
        ink_saver=_option(INK_SAVER, values, fill_defaults) is True,
        language=_language(values),
        choices=_choices(resource, values, fill_defaults),
    )


def _refuse_unknown(values: Mapping[str, object], resource: Resource) -> None:
    known = COMMON_KEYS | {option.name for option in resource.options}
    unknown = sorted(set(values) - known)
    if unknown:
        names = ", ".join(shortened(name) for name in unknown[:SHOWN_NAMES])
        more = f" and {len(unknown) - SHOWN_NAMES} more" if len(unknown) > SHOWN_NAMES else ""
        own = ", ".join(option.name for option in resource.options) or "none"
        message = f"unknown option {names}{more}; options of {resource.view}: {own}"
        raise RequestError("unknown_option", message, unknown[0][: SHOWN_NAMES * 10])


def _option(option: Option, values: Mapping[str, object], fill_defaults: bool) -> str | int | bool:
    if option.name not in values:
        if option.required and not fill_defaults:
            message = f"{option.name} is missing; allowed: {option.allowed()}"
            raise RequestError("missing_option", message, option.name)
        return option.default
    try:
        return option.parse(values[option.name])
    except OptionError as error:
        raise RequestError("invalid_option", str(error), option.name) from None


def _choices(resource: Resource, values: Mapping[str, object], fill_defaults: bool) -> Choices:
    choices = Choices(tuple((option.name, _option(option, values, fill_defaults)) for option in resource.options))
    try:
        resource.check(choices)
    except OptionError as error:
        raise RequestError("invalid_option", str(error), str(error).partition(" ")[0]) from None
    return choices


def _invalid(key: str, value: object, allowed: str) -> RequestError:
    return RequestError("invalid_option", f"{key} is {shortened(value)}; allowed: {allowed}", key)


def _line(values: Mapping[str, object], key: str, most: int, *, filename: bool = False) -> str:
    """Return one line of text that can be drawn: white space folded, no control or format characters."""
    given = values.get(key)
    if given is None:
        return ""
    if not isinstance(given, str) or len(given) > most:
        raise _invalid(key, given, f"text of at most {most} characters")
    text = " ".join(given.split())
    for character in text:
        if unicodedata.category(character) in ("Cc", "Cf", "Cs", "Co", "Cn"):
            raise _invalid(key, given, f"printable text, which U+{ord(character):04X} is not")
    if filename and (re.search(r"[/\\]", text) or (text and not text.strip(". "))):
        raise _invalid(key, given, "a name without / and \\, as it becomes part of a file name")
    unknown = missing_character(text)
    if unknown is not None:
        raise _invalid(key, given, f"characters of the fonts, which have no {unknown} (U+{ord(unknown):04X})")
    return text


def _url(values: Mapping[str, object]) -> str:
    given = values.get("url")
    if given is None or given == "":
        return ""
    if isinstance(given, str) and len(given) <= URL_CHARACTERS and re.fullmatch(r"https?://[!-~]+", given):
        return given
    allowed = f"an http or https address of at most {URL_CHARACTERS} printable ASCII characters"
    raise _invalid("url", given, allowed)


def _seed(values: Mapping[str, object], default_seed: str) -> str:
    given = values.get("seed")
    if given is None or given == "":
        return default_seed
    if isinstance(given, bool) or not isinstance(given, str | int):
        raise _invalid("seed", given, "text or a whole number")
    # str() of a huge integer is refused by Python itself (over 4,300 digits): bound it first.
    if isinstance(given, int) and given.bit_length() > SEED_CHARACTERS:
        raise _invalid("seed", hex(given), f"a whole number of at most {SEED_CHARACTERS} bits")
    if isinstance(given, str) and len(given) > SEED_CHARACTERS:
        raise _invalid("seed", given, f"at most {SEED_CHARACTERS} characters")
    return str(given)


def _language(values: Mapping[str, object]) -> str:
    given = values.get("language")
    if given is None or given == "":
        return languages.SOURCE_LANGUAGE
    available = languages.languages()
    if isinstance(given, str) and len(given) <= SEED_CHARACTERS:
        for tag in (given, given.split("-", maxsplit=1)[0]):
            for known in available:
                if tag.lower() == known.lower():
                    return known
    raise _invalid("language", given, ", ".join(available))
