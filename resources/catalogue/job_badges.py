"""Badges for the three jobs of a programming game: programmer, tester, bot."""

from __future__ import annotations

from resources.drawing import GREY, Box, Stroke
from resources.drawing.document import Document
from resources.language import N_
from resources.options import Choices
from resources.resource import Resource

JOBS = ((N_("Programmer"), "program"), (N_("Tester"), "checklist"), (N_("Bot"), "robot"))
BADGES_PER_JOB = 2
CUT_HERE = Stroke(GREY, 0.4, (3, 2))


def draw(document: Document, choices: Choices) -> None:
    """Draw two badges of each job."""
    hello = document.translate(N_("Hello, I'm a"))
    with document.page() as page:
        badges = page.area.grid(BADGES_PER_JOB, len(JOBS))
        for index, badge in enumerate(badges):
            name, figure = JOBS[index // BADGES_PER_JOB]
            inner = badge.inset(6, 7)
            greeting, rest = inner.split_top(12)
            title, picture = rest.split_top(17)
            page.text(greeting, hello, 6.5)
            page.heading(title, document.translate(name), 14)
            page.artwork(f"badges/{figure}", Box(picture.x, picture.y + 3, picture.width, picture.height - 3))
        page.cut_lines(badges, CUT_HERE)


RESOURCE = Resource(
    view="job_badges",
    name=N_("Job Badges"),
    summary=N_("Who programs, who tests, who is the bot: badges for a game of commands."),
    options=(),
    subtitle=lambda choices, paper: paper,
    pages=lambda choices: 1,
    draw=draw,
)
