"""Messages for people use the words that the form shows, not the names and values of the API."""

from __future__ import annotations

import html
import re
from collections.abc import AsyncIterator

import pytest

from render_trio.web.documents.query_string import parse_values
from render_trio.web.documents.wording import FAILURES, error_in_words, failure_message, field_message
from resources.options import Choice, Flag, Option
from resources.parsing import COMMON_OPTIONS, RequestError
from resources.registry import CATALOGUE
from resources.resource import Resource
from tests.render_trio.web.site import PAGE, Site, running

INVALID = "no-such-value"
WIRE_WORDS = {"true", "false", "yes", "no"}


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    async with running() as site:
        yield site


def options_of(resource: Resource) -> tuple[Option, ...]:
    return (*resource.options, *COMMON_OPTIONS)


def wire_words(resource: Resource) -> set[str]:
    """Return names and values of the API that the page doesn't show as such."""
    words = set(WIRE_WORDS)
    for option in options_of(resource):
        words.add(option.name)
        if isinstance(option, Choice):
            words |= {str(value) for value, label in option.values.items() if str(value) != label}
    return {word for word in words if not word.isdigit()}


def shown_words(resource: Resource) -> set[str]:
    """Return the words that the page shows for options and values."""
    shown = {"Header", "Yes", "No"}
    for option in options_of(resource):
        shown.add(option.label)
        if isinstance(option, Choice):
            shown |= set(option.values.values())
    return shown


def check(resource: Resource, message: str, *submitted: str) -> None:
    """Fail if the message has a word of the API, or quotes something that neither the page shows nor was submitted."""
    quoted = set(re.findall("“(.*?)”", message))
    assert quoted <= shown_words(resource) | set(submitted), message
    rest = set(re.findall(r"[\w-]+", re.sub("“.*?”", "", message)))
    assert not rest & wire_words(resource), message
    assert "_" not in re.sub("“.*?”", "", message), message
    assert "allowed" not in message, message


def messages_of(page: str) -> list[str]:
    """Return the messages that a page shows."""
    fields = re.findall(r'<p class="error"[^>]*?(?<!hidden)>(.*?)</p>', page)
    notices = re.findall(r'<p class="notice wrong"[^>]*>(.*?)</p>', page)
    return [html.unescape(message) for message in (*fields, *notices)]


@pytest.mark.parametrize("view", CATALOGUE)
async def test_every_invalid_value_has_a_message_in_the_words_of_its_field(site: Site, view: str) -> None:
    resource = CATALOGUE[view]
    values = {option.name: INVALID for option in options_of(resource)}
    values |= {"header_text": "\u202e", "not_an_option": "1"}
    answer = await site.client.get(f"/resources/{resource.slug}/preview", params=values)
    preview = answer.json()
    assert set(preview["errors"]) == set(values) - {"not_an_option"}
    for option in options_of(resource):
        message = preview["errors"][option.name]
        check(resource, message)
        if isinstance(option, Flag):
            assert message == "Please choose “Yes” or “No”."
    (notice,) = preview["notices"]
    check(resource, notice, "not_an_option")

    for path in (f"/resources/{resource.slug}", f"/resources/{resource.slug}.pdf"):
        answer = await site.client.get(path, params=values, headers={"Accept": PAGE}, follow_redirects=True)
        assert answer.status_code == 400
        messages = messages_of(answer.text)
        assert len(messages) == len(values)
        for message in messages:
            check(resource, message, "not_an_option")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("seed", "x" * 201),
        ("language", "tlh"),
        ("url", "not an address"),
        ("resource_name", "a/b"),
        ("filename", ".x"),
        ("resource_view", "grid"),
        ("resource_slug", "grid"),
    ],
)
async def test_a_value_without_a_field_has_a_message_without_its_name(site: Site, name: str, value: str) -> None:
    response = await site.client.get("/resources/number-hunt", params={name: value}, headers={"Accept": PAGE})
    assert response.status_code == 400
    (message,) = messages_of(response.text)
    check(CATALOGUE["number_hunt"], message)


@pytest.mark.parametrize(("name", "shown"), [("number_order", "“Order”"), ("zz_top", "“zz_top”")])
async def test_a_repeated_value_is_named_by_its_label(site: Site, name: str, shown: str) -> None:
    response = await site.get(f"/resources/number-hunt?{name}=x&{name}=y", Accept=PAGE)
    (message,) = messages_of(response.text)
    assert message == f"Part of this link was ignored: {shown} is given more than once."


def test_the_message_of_options_that_do_not_go_together_has_their_labels() -> None:
    """The `check` of a plug-in's resource may name its options."""
    resource = CATALOGUE["binary_windows"]
    error = RequestError("invalid_option", "", "number_bits", "4, because value_type is a bulb")
    assert field_message(resource, resource.options[0], error) == "Please use 4, because “A bit is” is a bulb."
    for values in ({"barcode": "123456789012"}, {"barcode": "12345678901", "barcode_length": "13"}):
        poster = CATALOGUE["barcode_checksum_poster"]
        with pytest.raises(RequestError) as caught:
            parse_values(poster, values)
        check(poster, field_message(poster, poster.options[1], caught.value))


def test_very_many_unknown_names_are_counted() -> None:
    resource = CATALOGUE["grid"]
    values = {f"k{number}" * 30: "" for number in range(5000)}
    error = RequestError("unknown_option", "", "k0")
    message = error_in_words(resource, error, values)
    assert message.endswith(" and 4995 others are not options of Grid")
    assert len(message) < 400


@pytest.mark.parametrize("code", [*FAILURES, "crashed", "a-code-of-a-newer-worker"])
def test_the_reason_of_a_failed_task_has_no_code(code: str) -> None:
    message = failure_message(code)
    assert code not in message
    assert "_" not in message
    assert message.endswith(".")
