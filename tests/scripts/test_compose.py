"""docker-compose.yml works as shipped: each service answers for the name by which the others reach it."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import urlsplit

from render_trio.settings import reading
from render_trio.web.access.hosts import Hosts

TEXT = (Path(__file__).parents[2] / "docker-compose.yml").read_text()
SERVICE = re.compile(r"^  ([a-z]+):\n((?:^ {4,}.*\n|^\n)+)", re.MULTILINE)
SETTING = re.compile(r"^ {6}([A-Z_]+): \"?([^\"\n]*)\"?$", re.MULTILINE)


def services() -> dict[str, dict[str, str]]:
    """Return the environment of each service."""
    found = {
        name: dict(SETTING.findall(body)) for name, body in SERVICE.findall(TEXT.partition("\nvolumes:")[0] + "\n")
    }
    assert {"queue", "render"} <= found.keys()
    return found


def test_each_name_in_a_url_is_allowed_by_its_service() -> None:
    environments = services()
    used = {
        urlsplit(value).hostname or ""
        for environment in environments.values()
        for value in environment.values()
        if value.startswith("http://")
    }
    assert used == {"queue"}
    for name in used:
        names = environments[name]["EMULATOR_ALLOWED_HOSTS"].split(",")
        assert Hosts(names, frozenset()).allows(f"{name}:5052")


def test_the_settings_of_the_service_are_valid_and_allow_its_own_name() -> None:
    settings = reading.read(services()["render"])
    assert settings.notices == ()
    assert Hosts(settings.allowed_hosts, frozenset()).allows("render:8080")
