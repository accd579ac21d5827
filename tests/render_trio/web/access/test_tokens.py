"""Tokens come from a setting and from a file, which is read again when it changes, however it is replaced."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from render_trio.errors import StartupError
from render_trio.web.access import tokens
from render_trio.web.access.tokens import Tokens

OLD, NEW = "old-token-0123456789", "new-token-0123456789"
YEAR = 365 * 86_400


def overwrite(file: Path, text: str) -> None:
    file.write_text(text)


def replace(file: Path, text: str) -> None:
    """Replace the file in one step, as editors and `mv` do."""
    other = file.with_name("other")
    other.write_text(text)
    other.replace(file)


def swap(file: Path, text: str) -> None:
    """Point the link ..data to another folder, as Kubernetes does for Secrets."""
    link = file.parent / "..data"
    folder = file.parent / f"..{len(list(file.parent.iterdir()))}"
    folder.mkdir()
    (folder / "tokens").write_text(text)
    temporary = file.parent / "..data_tmp"
    temporary.symlink_to(folder.name)
    temporary.replace(link)


def mounted(folder: Path, text: str) -> Path:
    """Return a file in a folder that is laid out like a Secret of Kubernetes."""
    file = folder / "tokens"
    file.symlink_to("..data/tokens")
    swap(file, text)
    return file


def plain(folder: Path, text: str) -> Path:
    file = folder / "tokens"
    file.write_text(text)
    return file


def age(file: Path) -> None:
    """Make the file look as if it had been changed a year ago."""
    past = file.stat().st_mtime - YEAR
    os.utime(file, (past, past))


def test_a_token_can_be_in_a_setting_and_several_in_a_file(tmp_path: Path) -> None:
    file = plain(tmp_path, f"# a comment\n\n{OLD}\r\n  {NEW} \n")
    source = Tokens("WEB_TOKEN", "given-token-01234567", file)
    assert source.configured
    assert all(source.accept(token) for token in (OLD, NEW, "given-token-01234567"))
    assert not any(source.accept(token) for token in ("", OLD + "x", OLD[:-1], "# a comment", OLD + "é", "\ud800"))


def test_without_a_token_none_is_accepted() -> None:
    source = Tokens("WEB_TOKEN")
    assert not source.configured
    assert not source.accept("")


@pytest.mark.parametrize(
    ("lay_out", "change"),
    [(plain, overwrite), (plain, replace), (mounted, swap)],
    ids=["overwritten", "replaced", "link swapped"],
)
def test_a_changed_file_is_read_again(
    tmp_path: Path, lay_out: Callable[[Path, str], Path], change: Callable[[Path, str], None]
) -> None:
    file = lay_out(tmp_path, f"{OLD}\n")
    source = Tokens("WEB_TOKEN", "", file)
    age(file)
    assert source.accept(OLD)
    with capture_logs() as lines:
        change(file, f"{OLD}\n{NEW}\n")
        assert source.accept(OLD)
        assert source.accept(NEW)
        change(file, f"{NEW}\n")
        assert not source.accept(OLD)
        assert source.accept(NEW)
    assert [(line["event"], line["tokens"]) for line in lines] == [
        ("token file read again", 2),
        ("token file read again", 1),
    ]


def test_a_file_that_does_not_change_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = plain(tmp_path, OLD)
    source = Tokens("WEB_TOKEN", "", file)
    age(file)
    assert source.accept(OLD)
    monkeypatch.setattr(tokens, "read_tokens", lambda path: pytest.fail("read again"))
    assert source.accept(OLD)


def test_a_change_within_the_resolution_of_the_clock_is_noticed(tmp_path: Path) -> None:
    file = plain(tmp_path, OLD)
    times = file.stat().st_atime_ns, file.stat().st_mtime_ns
    source = Tokens("WEB_TOKEN", "", file)
    file.write_text(NEW)
    os.utime(file, ns=times)
    assert source.accept(NEW)


@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_text(""),
        lambda file: file.write_text("# nothing\n"),
        lambda file: file.write_text(f"{NEW}\ntoo short\n"),
        lambda file: file.write_bytes(b"\xff\xfe\0" * 10),
        lambda file: file.write_text(f"{NEW}\n" * 5000),
        lambda file: file.unlink(),
        lambda file: (file.unlink(), file.mkdir()),
        lambda file: (file.unlink(), os.mkfifo(file)),
    ],
    ids=["empty", "comments only", "a line that is no token", "binary", "too large", "deleted", "a folder", "a pipe"],
)
def test_a_file_that_can_not_be_used_keeps_the_tokens_and_is_reported_once(
    tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    file = plain(tmp_path, OLD)
    source = Tokens("ADMIN_TOKEN", "", file)
    damage(file)
    with capture_logs() as lines:
        for _ in range(3):
            assert source.accept(OLD)
            assert not source.accept(NEW)
    assert [(line["event"], line["log_level"], line["setting"]) for line in lines] == [
        ("token file not read", "warning", "ADMIN_TOKEN_FILE")
    ]
    assert NEW not in str(lines)
    if file.exists() and not file.is_file():
        file.rmdir() if file.is_dir() else file.unlink()
    file.write_text(NEW)
    assert source.accept(NEW)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (None, "it can't be read: No such file or directory"),
        ("", "it contains no token; write one token per line"),
        (f"{OLD}\nsecret\n", "line 2 is not a token; allowed: 16 to 200 printable ASCII characters without spaces"),
    ],
)
def test_the_service_does_not_start_with_a_file_that_can_not_be_used(
    tmp_path: Path, text: str | None, reason: str
) -> None:
    file = tmp_path / "tokens"
    if text is not None:
        file.write_text(text)
    with pytest.raises(StartupError) as raised:
        Tokens("WEB_TOKEN", "", file)
    assert str(raised.value) == f"WEB_TOKEN_FILE is {str(file)!r}: {reason}"
    assert "secret" not in str(raised.value)
