"""The published package googleapis for Node.js works: v1beta2 by discovery, v2beta2 with the code that it contains."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from tests.conftest import ROOT
from tests.emulator.server.running import emulator
from tests.redis_server import RedisServer

FOLDER = Path(__file__).parent / "node_client"
INSTALLED = Path(sys.prefix) / "node_client" / "node_modules"


@pytest.mark.parametrize("kind", ["sqlite", "redis"])
async def test_the_published_client_for_node_works(kind: str, store: str, redis_server: RedisServer) -> None:
    node = shutil.which("node")
    if node is None or not (INSTALLED / "googleapis").is_dir():
        pytest.fail("the client is missing: install Node.js 18 or newer with npm, and run scripts/environment test")
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    address = store if kind == "sqlite" else redis_server.url
    async with emulator(address, test_verbs=True) as client:
        await client.post("/admin/reset")
        command = [node, str(FOLDER / "client.js"), str(client.base_url)]
        with trio.fail_after(60):
            ended = await trio.run_process(
                command,
                env=environment | {"NODE_PATH": str(INSTALLED)},
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
    assert ended.returncode == 0, (ended.stdout + ended.stderr).decode()
    assert ended.stdout.decode().splitlines()[-1] == "23 steps passed"


@pytest.mark.parametrize("missing", ["node", "npm"])
def test_a_machine_without_node_gets_one_line_of_advice(tmp_path: Path, missing: str) -> None:
    tools = ("bash", "dirname", "sed", "node", "npm")
    for tool in tools:
        found = shutil.which(tool)
        if found is not None and tool != missing:
            (tmp_path / tool).symlink_to(found)
    command = [str(ROOT / "scripts" / "npm-install"), str(tmp_path / "out")]
    ended = subprocess.run(command, env={"PATH": str(tmp_path)}, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    advice = "install Node.js 18 or newer with npm (apt-get install nodejs npm)"
    assert ended.stderr == f"npm-install: {missing} is missing: {advice}\n"
