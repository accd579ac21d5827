"""A plug-in in a running service, and in a fresh environment where pip installed its wheel."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.checkout import copy_checkout
from tests.conftest import ROOT
from tests.processes import Running, environment, queue, render_trio, start_service

EXAMPLE = ROOT / "tests" / "plugin"
VIEWS = {"tally_cards", "tally_die", "binary_die"}


@pytest.fixture(params=["thread", "process"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Running]:
    settings = {"PLUGIN_DIRECTORY": str(EXAMPLE), "RENDER_WORKERS": 1, "RENDER_ISOLATION": request.param}
    running = start_service("http://127.0.0.1:9", tmp_path / "log", **settings)
    yield running
    assert running.end(signal.SIGTERM) == 0


def test_its_resources_are_everywhere_in_a_service(service: Running) -> None:
    with httpx.Client(base_url=service.address, trust_env=False, timeout=30) as client:
        assert "Tally Cards" in client.get("/").text
        page = client.get("/resources/tally-cards").text
        assert "Largest number" in page
        assert "2 pages of A4 paper" in page
        openapi = client.get("/openapi.json").json()
        assert "TallyCardsTask" in openapi["components"]["schemas"]
        assert "tally-cards" in json.dumps(openapi["paths"]["/resources/{slug}"])
        document = client.get("/resources/tally-cards.pdf?language=de")
        assert document.status_code == 200, document.text
        assert document.content[:5] == b"%PDF-"
        posted = client.post("/render", json={"resource_view": "binary_die"})
        assert posted.content[:5] == b"%PDF-"
        assert client.get("/version").json()["plugins"] == {"classroom-tally": "1.0.0"}


def test_a_task_for_it_is_answered_with_its_document(tmp_path: Path) -> None:
    with queue(f"sqlite:///{tmp_path / 'q.sqlite3'}") as running:
        service = start_service(running.address, tmp_path / "log", PLUGIN_DIRECTORY=str(EXAMPLE), RENDER_WORKERS=1)
        plugins = {"PLUGIN_DIRECTORY": str(EXAMPLE), "QUEUE_URL": running.address}
        submitted = render_trio("submit", "tally_cards", "-o", "highest=50", **plugins)
        assert submitted.returncode == 0, submitted.stderr
        fetched = render_trio("results", "--out", str(tmp_path / "out"), "--wait", "30", QUEUE_URL=running.address)
        assert fetched.returncode == 0, fetched.stderr
        assert service.end(signal.SIGTERM) == 0
    assert [path.name for path in (tmp_path / "out").glob("*.pdf")] == [
        "Tally Cards (1 to 50 - without digits - a4).pdf"
    ]


def test_a_broken_one_is_logged_by_name_and_the_service_runs(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    (tmp_path / "plugins" / "broken.py").write_text("RESOURCE = 1 / 0\n")
    shutil.copy(ROOT / "resources" / "catalogue" / "grid.py", tmp_path / "plugins" / "another_grid.py")
    log = tmp_path / "log"
    service = start_service("http://127.0.0.1:9", log, PLUGIN_DIRECTORY=str(tmp_path / "plugins"), RENDER_WORKERS=1)
    version = httpx.get(f"{service.address}/version", trust_env=False).json()
    assert service.end(signal.SIGTERM) == 0
    lines = [json.loads(line) for line in log.read_text().splitlines() if line.startswith("{")]
    left_out = {line["plugin"]: line["reason"] for line in lines if line["event"] == "plug-in left out"}
    assert left_out == {
        "plugins (broken)": "ZeroDivisionError: division by zero",
        "plugins (another_grid)": "the view 'grid' is taken by render-trio",
    }
    assert sorted(version["plugins_left_out"]) == ["plugins (another_grid)", "plugins (broken)"]


def test_the_command_line_warns_of_a_broken_one(tmp_path: Path) -> None:
    (tmp_path / "broken.py").write_text("RESOURCE = 1 / 0\n")
    ended = render_trio("--plugins", str(tmp_path), "resources", "grid")
    assert ended.returncode == 0
    assert f"Warning: plug-in {tmp_path.name} (broken): ZeroDivisionError: division by zero\n" in ended.stderr


@pytest.mark.parametrize("settings", [{}, {"PLUGIN_DIRECTORY": "/nowhere"}])
def test_a_folder_that_is_none_is_wrong_usage(settings: dict[str, str], tmp_path: Path) -> None:
    arguments = () if settings else ("--plugins", str(tmp_path / "missing"))
    ended = render_trio(*arguments, "serve", **settings)
    assert ended.returncode == 2
    assert "is not a folder" in ended.stderr


def build_wheel(source: Path, folder: Path) -> Path:
    """Return the wheel of a source folder, built with the hatchling of this environment."""
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(source)]
    ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A new environment: the locked dependencies, our wheel and the plug-in's, installed by pip. Returns its bin."""
    folder = tmp_path_factory.mktemp("fresh")
    source = copy_checkout(folder / "source")
    subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
    python = folder / "venv" / "bin" / "python"
    installed = subprocess.run(
        [str(ROOT / "scripts" / "pip-install.sh"), str(ROOT / "requirements.lock")],
        env=os.environ | {"PYTHON": str(python)},
        check=False,
        capture_output=True,
        text=True,
    )
    assert installed.returncode == 0, installed.stderr
    for name, project in (("ours", source), ("plugin", source / "tests" / "plugin")):
        wheel = build_wheel(project, folder / name)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-deps", str(wheel)], check=True)
    return python.parent


def test_its_wheel_works_in_a_fresh_environment(fresh: Path, tmp_path: Path) -> None:
    command = str(fresh / "render-trio")
    listed = subprocess.run(
        [command, "resources", "--json"], cwd=tmp_path, env=environment(), capture_output=True, text=True, check=True
    )
    assert {row["view"] for row in json.loads(listed.stdout)} >= VIEWS | {"grid"}
    assert listed.stderr == ""
    for language, pages in (("en", 2), ("de", 2)):
        out = tmp_path / f"{language}.pdf"
        arguments = [command, "render", "tally_cards", "-o", f"language={language}", "--out", str(out)]
        drawn = subprocess.run(arguments, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
        assert drawn.returncode == 0, drawn.stderr
        assert f"{pages} pages" in drawn.stderr


def test_its_own_tests_pass() -> None:
    code = (
        "import sys, pytest; from pathlib import Path; from resources.registry import add_folder\n"
        f"add_folder(Path({str(EXAMPLE)!r}))\n"
        f"sys.exit(pytest.main(['-q', '--noconftest', '-p', 'no:cacheprovider', {str(EXAMPLE / 'tests')!r}]))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert "6 passed" in ended.stdout, ended.stdout
