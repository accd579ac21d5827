"""A resource's options and the submitted values → the fields of its form, each invalid value with its error.

Fields are derived from the options, errors from the parser: neither is listed a second time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from render_trio.web.documents.query_string import TEXTS, parse_values, value_text
from render_trio.web.documents.wording import NO, YES, error_in_words, field_message
from resources.options import Choice, Digits, Flag, Number, Option, Value
from resources.parsing import COMMON_KEYS, COMMON_OPTIONS, HEADER_CHARACTERS, RequestError
from resources.request import Request
from resources.resource import Resource

MAX_RADIOS = 5  # choices shown as radio buttons; more become a menu
HELP = {
    "header_text": "Printed at the top of each page: your class, your school, a date.",
    "copies": "If the numbers are random, each copy has different ones.",
    "ink_saver": "Prints outlines instead of solid areas.",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field. `kind`: radios, menu, number, digits or text; `choices`: (value, label) pairs."""

    name: str
    label: str
    kind: str
    value: str
    default: str
    choices: tuple[tuple[str, str], ...] = ()
    lowest: int = 0
    highest: int = 0
    help: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Form:
    """The form. `request` holds the valid values, and defaults instead of the invalid ones.

    `own` and `common`: the fields. `hidden`: values that a link may contain but that have no field.
    `errors`: errors that belong to no field.
    """

    request: Request
    own: tuple[Field, ...]
    common: tuple[Field, ...]
    hidden: dict[str, str]
    errors: tuple[str, ...]

    @property
    def valid(self) -> bool:
        """Whether every value is valid."""
        return not self.errors and not any(field.error for field in (*self.own, *self.common))


def form_of(resource: Resource, values: dict[str, str]) -> Form:
    """Return the resource's form with these values."""
    request, errors = _parse_leniently(resource, values)
    header = Field(
        "header_text",
        "Header",
        "text",
        _field_value("header_text", values, request.header_text, errors),
        "",
        highest=HEADER_CHARACTERS,
        help=HELP["header_text"],
        error=field_message(resource, None, errors["header_text"]) if "header_text" in errors else "",
    )

    def field(option: Option, value: Value) -> Field:
        error = errors.get(option.name)
        shown = _field_value(option.name, values, value_text(value), errors)
        return _field(option, shown, field_message(resource, option, error) if error is not None else "")

    common = (header, *(field(option, getattr(request, option.name)) for option in COMMON_OPTIONS))
    own = tuple(field(option, request.choices[option.name]) for option in resource.options)
    fields = {option.name for option in (*resource.options, *COMMON_OPTIONS)} | {header.name}
    return Form(
        request=request,
        own=own,
        common=common,
        hidden=_hidden_values(resource, request),
        errors=tuple(error_in_words(resource, error, values) for name, error in errors.items() if name not in fields),
    )


def _parse_leniently(resource: Resource, values: dict[str, str]) -> tuple[Request, dict[str, RequestError]]:
    """Return the request without the invalid values, and their errors by field.

    The parser reports one error at a time: remove the value at fault and parse again until there is none.
    """
    known = COMMON_KEYS | {option.name for option in resource.options}
    left, errors = dict(values), dict[str, RequestError]()
    while True:
        try:
            return parse_values(resource, left), errors
        except RequestError as error:
            errors[error.field] = error
            if error.code == "unknown_option":  # one error covers all unknown names; a URL has room for thousands
                left = {name: value for name, value in left.items() if name in known}
            elif left.pop(error.field, None) is None:
                raise


def _field(option: Option, value: str, error: str) -> Field:
    lowest = highest = 0
    choices: tuple[tuple[str, str], ...] = ()
    match option:
        case Flag():
            kind, choices = "radios", (("yes", YES), ("no", NO))
        case Choice():
            choices = tuple((str(key), label) for key, label in option.values.items())
            kind = "radios" if len(choices) <= MAX_RADIOS else "menu"
        case Number():
            kind, lowest, highest = "number", option.lowest, option.highest
        case Digits():
            kind, highest = "digits", max(option.lengths)
        case _:
            assert_never(option)
    return Field(
        option.name,
        option.label,
        kind,
        value,
        value_text(option.default),
        choices,
        lowest,
        highest,
        HELP.get(option.name, ""),
        error,
    )


def _field_value(name: str, values: dict[str, str], value: str, errors: dict[str, RequestError]) -> str:
    """Return the value to show: an invalid one as it was submitted, so that it can be corrected."""
    return values[name][:HEADER_CHARACTERS] if name in errors else value


def _hidden_values(resource: Resource, request: Request) -> dict[str, str]:
    texts = {name: str(getattr(request, name)) for name in ("seed", "language", "url")}
    hidden = {name: value for name, value in texts.items() if value != TEXTS[name]}
    if request.name != resource.name:
        hidden["resource_name"] = request.name
    return hidden
