"""The access rules without a server: the order of the checks, and the limits of the files."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from emulator.permissions.access import Access, Need
from emulator.permissions.queue_file import QueueFile, QueueFileError, QueueRule, read_queue_file
from emulator.permissions.tokens import TokenFileError, Tokens, read_token_file, token_of
from emulator.stores.interface import QueueKey
from emulator.wire.calls import Call
from emulator.wire.errors import ApiError

SITE = "site-token-0123456789"
QUEUES = QueueFile({"print": QueueRule("print", users=frozenset({"render@example.org"}))}, frozenset({"mails"}))
TOKENS = """
site@example.org: site-token-0123456789
render@example.org: render-token-0123456789
admin: admin-token-0123456789
metrics: metrics-token-0123456789
"""


@pytest.fixture
def tokens(tmp_path: Path) -> Tokens:
    return tokens_of(tmp_path, TOKENS)


def tokens_of(folder: Path, content: str) -> Tokens:
    """Return the tokens of a file with this content."""
    path = folder / "tokens.yaml"
    path.write_text(content)
    return read_token_file(path)


def call(authorization: str = "") -> Call:
    """Return a call with this header, or without a token."""
    return Call("GET", "/", headers={"authorization": authorization} if authorization else {})


def refusal(access: Access, authorization: str, need: Need, name: str | None) -> ApiError:
    """Return the error with which a call is refused."""
    with pytest.raises(ApiError) as caught:
        access.check(call(authorization), need, None if name is None else QueueKey("p", name))
    return caught.value


@pytest.mark.parametrize("authorization", ["", "Bearer wrong-token-0123456789"])
@pytest.mark.parametrize("need", list(Need))
@pytest.mark.parametrize("name", ["print", "mails", "nowhere"])
def test_a_call_without_a_valid_token_learns_nothing_about_queues(
    tokens: Tokens, name: str, need: Need, authorization: str
) -> None:
    error = refusal(Access(QUEUES, tokens), authorization, need, name)
    missing = not authorization
    assert (error.status, error.reason) == (401, "required" if missing else "authError")
    assert error.message.startswith("the bearer token is missing" if missing else "the bearer token is not in")
    scheme = "Basic" if need is Need.MANAGE else "Bearer"  # browsers request the password of a page
    assert dict(error.headers)["WWW-Authenticate"].startswith(scheme)
    assert "print" not in error.message


@pytest.mark.parametrize("name", ["print", None])
@pytest.mark.parametrize("need", list(Need))
@pytest.mark.parametrize(
    ("token", "permitted"),
    [
        ("render", {("print", Need.USE), ("print", Need.INSERT)}),
        ("site", set[tuple[str | None, Need]]()),
        ("metrics", {("print", Need.METRICS), (None, Need.METRICS)}),
        ("admin", {(name, need) for name in ("print", None) for need in Need}),
    ],
)
def test_each_token_permits_only_what_its_holder_needs(
    tokens: Tokens, token: str, permitted: set[tuple[str | None, Need]], need: Need, name: str | None
) -> None:
    access = Access(QUEUES, tokens)
    authorization = f"Bearer {token}-token-0123456789"
    if (name, need) in permitted:
        access.check(call(authorization), need, None if name is None else QueueKey("p", name))
    else:
        assert refusal(access, authorization, need, name).status == 403


@pytest.mark.parametrize(
    ("token", "need", "name", "instruction"),
    [
        ("site", Need.MANAGE, None, "use the token of 'admin'"),
        ("metrics", Need.USE, "print", "use the token of 'admin'"),
        ("site", Need.USE, "print", "add it as user_email to the acl of queue print"),
        ("site", Need.INSERT, "print", "add it as writer_email to the acl of queue print"),
    ],
)
def test_a_refusal_contains_the_holder_and_the_missing_entry(
    tokens: Tokens, token: str, need: Need, name: str | None, instruction: str
) -> None:
    error = refusal(Access(QUEUES, tokens), f"Bearer {token}-token-0123456789", need, name)
    assert instruction in error.message
    assert error.message.startswith(token)


def test_verbs_for_tests_are_disabled_by_default() -> None:
    access = Access()
    assert refusal(access, "", Need.TEST, None).status == 403
    access.check(call(), Need.MANAGE)
    Access(test_verbs=True).check(call(), Need.TEST)


def test_a_queue_that_does_not_exist_is_refused_with_at_most_20_names() -> None:
    rules = {f"q{number:02}": QueueRule(f"q{number:02}") for number in range(21)}
    access = Access(QueueFile(rules, frozenset({"mails"})))
    unknown = refusal(access, "", Need.USE, "nowhere")
    assert unknown.status == 404
    assert unknown.message.endswith(", q19")
    push = refusal(access, "", Need.USE, "mails")
    assert (push.status, "push queue" in push.message) == (404, True)


def queue_file(folder: Path, limit: str) -> QueueFile:
    """Return a queue file whose only queue has this retry limit."""
    path = folder / "queue.yaml"
    path.write_text(f"queue: [{{name: a, mode: pull, retry_parameters: {{task_retry_limit: {limit}}}}}]")
    return read_queue_file(path)


@pytest.mark.parametrize("limit", [1, 1_000_000])
def test_the_smallest_and_the_largest_retry_limit_are_accepted(tmp_path: Path, limit: int) -> None:
    assert queue_file(tmp_path, str(limit)).rules["a"].retry_limit == limit


@pytest.mark.parametrize("limit", ["-1", "0", "1000001", "2.0", "'2'", "false"])
def test_another_retry_limit_is_refused(tmp_path: Path, limit: str) -> None:
    with pytest.raises(QueueFileError, match="allowed: a whole number from 1 to 1000000"):
        queue_file(tmp_path, limit)


@pytest.mark.parametrize("item", ["5", "[a@b]", "'no address'"])
def test_an_email_that_is_no_address_is_refused(tmp_path: Path, item: str) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text(f"queue: [{{name: a, mode: pull, acl: [{{user_email: {item}}}]}}]")
    with pytest.raises(QueueFileError, match="allowed: an e-mail address"):
        read_queue_file(path)


def test_a_name_of_a_push_queue_cannot_be_used_again(tmp_path: Path) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text("queue: [{name: a}, {name: a, mode: pull}]")
    with pytest.raises(QueueFileError, match="a name that no other queue in the file has"):
        read_queue_file(path)


@pytest.mark.parametrize(
    "content",
    [
        b"a@b: secret-\xff0123456789",
        b"a@b: [secret-0123456789, 2026-99-99]",
        b"a@b: [secret-0123456789, !!bool x]",
        b"a@b: [secret-0123456789, !!timestamp x]",
        b"a@b: [secret-0123456789, !!python/name:os.system x]",
        b"a@b: [secret-0123456789, " + b"[" * 5000 + b"]" * 5001,
    ],
)
def test_files_with_invalid_values_are_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "file.yaml"
    path.write_bytes(content)
    with pytest.raises(QueueFileError, match="is not valid YAML"):
        read_queue_file(path)
    with pytest.raises(TokenFileError, match="is not valid YAML") as caught:
        read_token_file(path)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("? [a]\n: 1\n? [b]\n: 2", "unhashable"),
        ("queue: [{name: a, mode: pull, name: b}]", "duplicate key 'name'"),
        ("queue: [{name: a, mode: pull, acl: [{user_email: a@b, user_email: c@d}]}]", "duplicate key 'user_email'"),
    ],
)
def test_invalid_keys_at_any_depth_are_named(tmp_path: Path, content: str, message: str) -> None:
    path = tmp_path / "queue.yaml"
    path.write_text(content)
    with pytest.raises(QueueFileError, match=message):
        read_queue_file(path)


@pytest.mark.parametrize("length", [16, 512])
def test_the_shortest_and_the_longest_token_are_accepted(tmp_path: Path, length: int) -> None:
    assert tokens_of(tmp_path, f"a@b: {'x' * length}").holder("x" * length) == "a@b"


@pytest.mark.parametrize("value", ["x" * 15, "x" * 513, "token with spaces", "5", f"[{SITE}, short]", "{}"])
def test_another_token_is_refused(tmp_path: Path, value: str) -> None:
    with pytest.raises(TokenFileError, match="the token of a@b is invalid"):
        tokens_of(tmp_path, f"a@b: {value}")


def test_an_address_in_other_case_is_the_same_holder(tmp_path: Path) -> None:
    found = tokens_of(tmp_path, f"A@b: {SITE}\na@B: [{SITE}]")
    assert found.holder(SITE) == "a@b"


def test_every_token_of_a_file_has_its_holder(tokens: Tokens) -> None:
    for holder in ("site@example.org", "render@example.org", "admin", "metrics"):
        assert tokens.holder(f"{holder.partition('@')[0]}-token-0123456789") == holder
    assert tokens.holder("other-token-0123456789") is None


def basic(text: bytes) -> str:
    """Return a header with HTTP Basic credentials."""
    return f"Basic {base64.b64encode(text).decode()}"


@pytest.mark.parametrize(
    ("header", "token"),
    [
        ("", None),
        ("Digest abc", None),
        (f"  bEARER   {SITE} ", SITE),
        (basic(b"anybody:a:b"), "a:b"),
        (basic(b"nobody"), ""),
        (basic(b"anybody:\xff"), ""),
        ("Basic YW55Ym9keTph*Yg==", ""),  # a character that is not Base64
        ("Basic YW5", ""),  # padding missing
        ("Basic ä", ""),
    ],
)
def test_the_token_of_a_request_is_read(header: str, token: str | None) -> None:
    assert token_of({"authorization": header} if header else {}) == token
