"""The public API of the package: its names, its documentation, its example, and what it imports."""

from __future__ import annotations

import doctest
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

import render_trio
from render_trio.rendering import pipeline
from render_trio.rendering.finisher import FinishedDocumentError
from tests.conftest import ROOT


def test_the_public_names_are_exactly_these() -> None:
    assert sorted(render_trio.__all__) == [
        "AsyncClient",
        "AsyncResult",
        "Client",
        "FinishedDocument",
        "QueueError",
        "RenderFailedError",
        "RenderTrioError",
        "RequestError",
        "Result",
        "TaskExistsError",
        "__version__",
        "render",
    ]


def test_every_public_class_and_function_has_a_docstring() -> None:
    assert render_trio.__doc__
    for name in render_trio.__all__:
        assert getattr(render_trio, name).__doc__, name


def test_the_example_in_the_docstring_of_render_is_correct() -> None:
    (example,) = doctest.DocTestFinder(recurse=False).find(pipeline.render, "render", module=pipeline, globs={})
    assert example.examples
    assert doctest.DocTestRunner().run(example).failed == 0


@pytest.mark.parametrize("package", ["render_trio", "emulator", "resources"])
def test_the_packages_are_marked_as_typed(package: str) -> None:
    assert (ROOT / package / "py.typed").is_file()


def test_render_imports_no_event_loop_web_framework_or_http_client() -> None:
    code = (
        "import sys, render_trio; render_trio.render('grid')\n"
        "print(sorted({'trio', 'quart', 'hypercorn', 'httpx', 'structlog'} & sys.modules.keys()))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.stderr, ended.stdout) == ("", "[]\n")


def test_render_can_be_called_from_several_threads() -> None:
    views = ["searching_cards", "grid", "binary_cards", "treasure_hunt"] * 6
    alone = {view: render_trio.render(view, seed="threads").sha256 for view in set(views)}
    with ThreadPoolExecutor(8) as pool:
        documents = list(pool.map(lambda view: render_trio.render(view, seed="threads"), views))
    assert [document.sha256 for document in documents] == [alone[view] for view in views]


@pytest.mark.parametrize(
    ("view", "options", "code"),
    [
        ("laundry", {}, "unknown_resource"),
        ("grid", {"paper_size": "a0"}, "invalid_option"),
        ("grid", {"view": "x"}, "unknown_option"),
    ],
)
def test_an_invalid_request_raises_request_error(view: str, options: dict[str, object], code: str) -> None:
    with pytest.raises(render_trio.RequestError) as raised:
        render_trio.render(view, **options)
    assert raised.value.code == code


def test_a_document_that_fails_its_check_raises_render_failed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise FinishedDocumentError("2 pages instead of 1")

    monkeypatch.setattr(pipeline, "finish", fail)
    with pytest.raises(render_trio.RenderFailedError, match="the finished PDF of grid is invalid: 2 pages instead"):
        render_trio.render("grid")


def test_a_bug_in_a_resource_propagates_unchanged(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(pipeline.rendering, "render", fail)
    with pytest.raises(ZeroDivisionError):
        render_trio.render("grid")
