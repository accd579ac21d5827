"""Errors → messages for the people who fill in a form: in the words that its fields show, not in those of the API."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from render_trio.web.documents.query_string import IN_PATH
from resources.options import Choice, Digits, Flag, Number, Option
from resources.parsing import COMMON_KEYS, COMMON_OPTIONS, RequestError
from resources.resource import Resource

YES, NO = "Yes", "No"
MAX_LISTED = 5  # choices that a message lists; a menu shows more of them by itself
MAX_NAMES = 5  # unknown names in one message
NAME_CHARACTERS = 50  # of an unknown name
# Values that a link may contain but no field shows.
HIDDEN = {
    "header_text": "Header",
    "seed": "choice of random numbers",
    "language": "language",
    "url": "printed address",
    "resource_name": "title",
    "filename": "file name",
}
TRY_OTHER_OPTIONS = "It isn't your fault. Please try other options, or try again later."
CHOOSE_AGAIN = "It has an option that this service doesn't offer. Please choose the options again."
# Why a task has no document, by the code of its error.
FAILURES = {
    "too_large": "The document is too large. Please try fewer copies.",
    "timed_out": f"It took too long to draw. {TRY_OTHER_OPTIONS}",
    "delivery_failed": "It could not be stored. It isn't your fault. Please try again later.",
    "invalid_option": CHOOSE_AGAIN,
    "missing_option": CHOOSE_AGAIN,
    "unknown_option": CHOOSE_AGAIN,
    "unknown_resource": "This service doesn't have the resource. Please choose another one.",
}


def quoted(texts: Iterable[str]) -> list[str]:
    """Return the texts in quotation marks."""
    return [f"“{text}”" for text in texts]


def field_message(resource: Resource, option: Option | None, error: RequestError) -> str:
    """Return the message to show next to a field. The value is in the field, so name only what is allowed.

    `option` is None for a field that takes any text.
    """
    if option is None or error.allowed != option.allowed():  # options that don't go together: see Resource.check
        return f"Please use {in_words(resource, error.allowed)}." if error.allowed else error_in_words(resource, error)
    match option:
        case Flag():
            return f"Please choose “{YES}” or “{NO}”."
        case Choice():
            if len(option.values) > MAX_LISTED:
                return "Please choose an option from the list."
            *labels, last = quoted(option.values.values())
            return f"Please choose {', '.join(labels)} or {last}." if labels else f"Please choose {last}."
        case Number() | Digits():
            return f"Please use {error.allowed}."


def error_in_words(resource: Resource, error: RequestError, values: Mapping[str, str] | None = None) -> str:
    """Return the message for an error that belongs to no field, as a sentence without a full stop."""
    labels = labels_of(resource)
    if error.code == "unknown_option" and error.field not in labels:
        names = sorted(set(values or {error.field: ""}) - COMMON_KEYS - {option.name for option in resource.options})
        shown = quoted(name[:NAME_CHARACTERS] for name in names[:MAX_NAMES])
        if len(names) > MAX_NAMES:
            shown.append(f"{len(names) - MAX_NAMES} others")
        if len(shown) == 1:
            return f"{shown[0]} is not an option of {resource.name}"
        return f"{', '.join(shown[:-1])} and {shown[-1]} are not options of {resource.name}"
    word = labels.get(error.field)
    if word is None:
        return "part of it is not valid"
    if error.allowed and error.field != "language":
        return f"the {word} has to be {in_words(resource, error.allowed)}"
    return f"the {word} is not valid"


def query_in_words(resource: Resource, error: RequestError) -> str:
    """Return the message for a query string whose names are wrong, as a sentence without a full stop."""
    if error.field in IN_PATH:
        return "the address already names the resource"
    label = labels_of(resource).get(error.field, f"“{error.field[:NAME_CHARACTERS]}”")
    return f"{label} is given more than once"


def labels_of(resource: Resource) -> dict[str, str]:
    """Return the words that the form shows for each key."""
    return HIDDEN | {option.name: f"“{option.label}”" for option in (*COMMON_OPTIONS, *resource.options)}


def in_words(resource: Resource, text: str) -> str:
    """Return the text with the names of the resource's options replaced by their labels."""
    labels = {option.name: f"“{option.label}”" for option in (*COMMON_OPTIONS, *resource.options)}
    # Only names with an underscore: any other is a word that the text may contain as such.
    names = sorted((name for name in labels if "_" in name), key=len, reverse=True)
    return re.sub(rf"\b(?:{'|'.join(names)})\b", lambda found: labels[found[0]], text)


def failure_message(code: str) -> str:
    """Return the reason why a task has no document, for people."""
    return FAILURES.get(code, TRY_OTHER_OPTIONS)
