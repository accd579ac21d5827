"""For authors of resources: the contract that every resource keeps, and the comparison of pages with pictures.

For example, in a test of your own:

    from pathlib import Path
    from render_trio.testing import check_resource, compare_pictures

    def test_the_resource_keeps_the_contract() -> None:
        check_resource("flags")

    def test_the_pages_look_as_they_should() -> None:
        compare_pictures("flags", Path(__file__).parent / "pictures")
"""

from render_trio.testing.contract import check_document, check_resource
from render_trio.testing.pictures import compare_pictures
from render_trio.testing.requests import combinations, request_for, requests_of
from render_trio.testing.words import check_words

__all__ = [
    "check_document",
    "check_resource",
    "check_words",
    "combinations",
    "compare_pictures",
    "request_for",
    "requests_of",
]
