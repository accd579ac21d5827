"""What is shown of a URL contains neither its user name nor its password, nor its query."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from render_trio.credentials.redaction import hidden_parts, redacted, shown_url, split_user_info

SECRET = "s3cr3t-Token"
URLS = (
    f"http://user:{SECRET}@queue:5052/path",
    f"http://{SECRET}@queue:5052/path",
    f"http://user:a@b{SECRET}@queue:5052/path",
    f"http://user:a/{SECRET}@queue:5052/path",
    f"http://user:a?{SECRET}@queue:5052/path",
    f"http://queue:5052/path?signature={SECRET}",
    f"http://user:{SECRET}@[::1",
    f"redis+sentinel://:{SECRET}@one:1,two:2/0?password={SECRET}",
)


@pytest.mark.parametrize("url", URLS)
def test_no_secret_of_a_url_is_shown_but_its_host_is(url: str) -> None:
    for text in (shown_url(url), redacted(f"the queue at {url} does not answer"), hidden_parts(url)):
        assert SECRET not in text
        assert any(host in text for host in ("queue:5052", "[::1", "one:1"))


def test_a_url_without_a_secret_is_shown_as_it_is() -> None:
    for url in ("http://127.0.0.1:5052", "https://queue.example.org/base", ""):
        assert shown_url(url) == hidden_parts(url) == redacted(url) == url


@pytest.mark.parametrize("value", [f"user:{SECRET}@host", f"htp:/user:{SECRET}@host", f"{SECRET}@host?{SECRET}"])
def test_a_value_that_is_no_url_is_hidden_up_to_the_last_at_sign(value: str) -> None:
    assert hidden_parts(value) == "…@host"


@pytest.mark.parametrize("text", ["mail me@example.org", "12 @ noon? yes", "copies is 0; allowed: 1"])
def test_text_without_a_url_is_not_changed(text: str) -> None:
    assert redacted(text) == text


@given(st.text(max_size=60))
def test_every_text_can_be_shown(text: str) -> None:
    for show in (shown_url, redacted, hidden_parts, split_user_info):
        show(text)


@given(st.text("abc:/?#@%. []'\"", max_size=12), st.sampled_from(["http", "rediss"]))
def test_a_password_of_any_characters_is_hidden(noise: str, scheme: str) -> None:
    assert SECRET not in shown_url(f"{scheme}://user:{noise}{SECRET}{noise}@host/path")


def test_the_user_name_and_the_password_become_a_header() -> None:
    url, header = split_user_info("http://me%40home:a%2Fb@queue:5052/base")
    assert url == "http://queue:5052/base"
    assert base64.b64decode(header.removeprefix("Basic ")) == b"me@home:a/b"
    assert split_user_info("http://queue:5052") == ("http://queue:5052", "")
