"""A token file is read again whenever its content may have changed, and never quoted."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from render_trio.credentials.tokens import TokenFile
from render_trio.errors import CredentialsError

OLD, NEW = "old-token-0123456789", "new-token-0123456789"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    written = tmp_path / "token"
    written.write_text(f"{OLD}\n")
    return written


def test_the_token_is_the_content_without_white_space_at_its_ends(path: Path) -> None:
    path.write_text(f"  {OLD}\r\n\n")
    assert TokenFile(path).header() == f"Bearer {OLD}"


def test_a_file_that_is_written_again_is_read_again(path: Path) -> None:
    file = TokenFile(path)
    file.header()
    path.write_text(NEW * 2)
    assert file.header() == f"Bearer {NEW * 2}"


def test_a_file_that_is_replaced_is_read_again(path: Path, tmp_path: Path) -> None:
    file = TokenFile(path)
    file.header()
    before = path.stat()
    other = tmp_path / "other"
    other.write_text(f"{NEW}\n")
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.replace(path)
    assert file.header() == f"Bearer {NEW}"


def test_a_mounted_secret_that_kubernetes_updates_is_read_again(tmp_path: Path) -> None:
    """The file is a link to `..data/token`, and `..data` a link that is replaced."""
    for folder, token in (("..1", OLD), ("..2", NEW)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "token").write_text(token)
    (tmp_path / "..data").symlink_to("..1")
    (tmp_path / "token").symlink_to("..data/token")
    file = TokenFile(tmp_path / "token")
    assert file.header() == f"Bearer {OLD}"
    (tmp_path / "..data_tmp").symlink_to("..2")
    (tmp_path / "..data_tmp").replace(tmp_path / "..data")
    assert file.header() == f"Bearer {NEW}"


def test_a_change_that_leaves_no_trace_is_found_on_request(path: Path) -> None:
    file = TokenFile(path)
    file.header()
    before = path.stat()
    path.write_text(f"{NEW}\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert file.header() == f"Bearer {OLD}"
    assert file.changed()
    assert file.header() == f"Bearer {NEW}"
    assert not file.changed()


@pytest.mark.parametrize("content", [None, "", "two tokens", "é" * 20, "a" * 5000, "\0" * 20])
def test_the_last_token_stays_in_use_while_the_file_is_unusable(
    path: Path, content: str | None, caplog: pytest.LogCaptureFixture
) -> None:
    file = TokenFile(path)
    file.header()
    if content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert file.header() == file.header() == f"Bearer {OLD}"
    assert len(caplog.records) == 1
    path.write_text(NEW)
    assert file.header() == f"Bearer {NEW}"


@pytest.mark.parametrize("content", [None, "", "secret but two", "a" * 5000])
def test_a_file_without_a_token_is_an_error_that_names_it_but_not_its_content(path: Path, content: str | None) -> None:
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(CredentialsError, match=r"QUEUE_TOKEN_FILE is '.*token'") as caught:
        TokenFile(path).header()
    assert not content or content[:6] not in str(caught.value)


def test_a_folder_is_no_token_file(tmp_path: Path) -> None:
    with pytest.raises(CredentialsError, match="it is not a regular file"):
        TokenFile(tmp_path).header()


def test_a_pipe_is_refused_and_never_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(CredentialsError, match="it is not a regular file"):
        TokenFile(tmp_path / "pipe").header()
