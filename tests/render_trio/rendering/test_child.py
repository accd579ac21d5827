"""What a drawing process limits itself to, and when it is replaced."""

from __future__ import annotations

import json
import os
import resource as os_limits
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from render_trio.rendering.offload import child
from tests.conftest import ROOT

SET_UP = """
import gc, json, os, resource, signal
from pathlib import Path
CORE, MEMORY, NICE = resource.RLIMIT_CORE, resource.RLIMIT_AS, os.nice(0)
_, hard = resource.getrlimit(CORE)
resource.setrlimit(CORE, (hard if hard != resource.RLIM_INFINITY else 2**30, hard))
{before}
from render_trio.rendering.offload import child
from resources import registry
from resources.content import assets
child.set_up({memory}, Path("/static"), Path("/templates"), (Path("tests/plugin"),))
from render_trio.rendering.offload import fork_server
print(json.dumps({
    "core": resource.getrlimit(CORE),
    "memory": resource.getrlimit(MEMORY)[0],
    "nice": os.nice(0) - NICE,
    "oom": Path("/proc/self/oom_score_adj").read_text().strip(),
    "ignored": [signal.getsignal(one) is signal.SIG_IGN for one in (signal.SIGTERM, signal.SIGINT)],
    "static": str(assets.static_directory()),
    "templates": str(assets.template_directory()),
    "folders": [str(folder) for folder in registry.folders()],
    "frozen": gc.get_freeze_count() > 0,
}))
"""


def set_up(memory: int, before: str = "") -> dict[str, object]:
    code = SET_UP.replace("{memory}", str(memory)).replace("{before}", before)
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    result: dict[str, object] = json.loads(ended.stdout)
    return result


def test_a_drawing_process_is_limited_and_yields_to_the_service() -> None:
    """A core dump of each crash would fill the disk; the kernel ends a drawing process before the service."""
    found = set_up(2**33)
    assert found == {
        "core": [0, 0],
        "memory": 2**33,
        "nice": child.NICENESS,
        "oom": "500",
        "ignored": [True, True],
        "static": "/static",
        "templates": "/templates",
        "folders": [str(ROOT / "tests" / "plugin")],
        "frozen": True,
    }
    assert child.NICENESS > 0


def test_a_memory_limit_of_0_is_none_and_an_inherited_limit_is_kept() -> None:
    assert set_up(0)["memory"] == os_limits.RLIM_INFINITY
    inherited = f"resource.setrlimit(MEMORY, ({2**33}, {2**33}))"
    assert set_up(2**34, inherited)["memory"] == 2**33
    assert set_up(2**32, inherited)["memory"] == 2**32


@pytest.mark.parametrize(("seconds", "inherited"), [(30, None), (1000, None), (30, 20)])
def test_cpu_time_is_limited_to_more_than_the_time_limit(seconds: int, inherited: int | None) -> None:
    """An inherited limit is kept if it is lower."""
    lower = f"os_limits.setrlimit(os_limits.RLIMIT_CPU, ({inherited}, {inherited}))" if inherited else ""
    code = (
        "import json, resource as os_limits, sys; from render_trio.rendering.offload import child\n"
        f"{lower}\n"
        "used = os_limits.getrusage(os_limits.RUSAGE_SELF)\n"
        "def produce(request, checkpoint): return os_limits.getrlimit(os_limits.RLIMIT_CPU)[0]\n"
        f"print(json.dumps([used.ru_utime + used.ru_stime, child.attempt(produce, None, {seconds})]))"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    used, limit = json.loads(ended.stdout)
    if inherited is None:
        assert used + seconds + child.CPU_MARGIN <= limit <= used + seconds + child.CPU_MARGIN + 2
        assert child.CPU_MARGIN > 0
    else:
        assert limit == inherited


def test_the_limit_of_cpu_time_counts_what_earlier_documents_have_used(monkeypatch: pytest.MonkeyPatch) -> None:
    limits: list[tuple[int, int]] = []
    used = SimpleNamespace(ru_utime=3.25, ru_stime=2.0)
    monkeypatch.setattr(child.os_limits, "getrusage", lambda which: used)
    monkeypatch.setattr(child, "_set_limit", lambda which, limit: limits.append((which, limit)))
    child._allow_cpu(30)
    assert limits == [(os_limits.RLIMIT_CPU, 36 + child.CPU_MARGIN)]


@pytest.mark.parametrize(
    ("resident", "replaced"), [(0, False), (1000, False), (1001, True)], ids=["less", "limit", "more"]
)
def test_a_process_is_replaced_if_it_uses_more_than_its_memory(
    resident: int, replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "resident_bytes", lambda: resident)
    assert child.Retirement(10, 1000)() is replaced
    assert child.Retirement(10, 0)() is False, "0 means no limit"


def test_a_process_is_replaced_after_its_last_job_and_not_before() -> None:
    retirement = child.Retirement(3, 0)
    assert [retirement() for _ in range(3)] == [False, False, True]


def test_resident_memory_is_in_bytes() -> None:
    before = child.resident_bytes()
    block = bytearray(os.urandom(2**20) * 64)
    assert 48 * 2**20 < child.resident_bytes() - before < 160 * 2**20
    del block


@pytest.mark.parametrize("content", [None, "", "1", "1 x 2"])
def test_peak_memory_is_used_where_the_current_value_is_unavailable(
    content: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_text(path: Path) -> str:
        if content is None:
            raise FileNotFoundError(path)
        return content

    monkeypatch.setattr(Path, "read_text", read_text)
    assert child.resident_bytes() == os_limits.getrusage(os_limits.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(("server", "gone"), [(os.getpid, False), (os.getppid, False), (lambda: 1, True)])
def test_a_drawing_process_notices_that_its_server_has_exited(
    server: object, gone: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server forks it, and can exit before the process has requested a signal for that."""
    assert callable(server)
    code = (
        "import os, sys; from render_trio.rendering.offload import fork_server as f;"
        f"f.SERVER = {{'getpid': os.getpid(), 'getppid': os.getppid()}}.get({server.__name__!r}, -1);"
        "sys.exit(int(f.parent_is_gone()))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == int(gone)


def test_a_drawing_process_whose_server_has_exited_exits_at_once() -> None:
    code = (
        "from render_trio.rendering.offload import child, fork_server;"
        "fork_server.SERVER = -1; child.set_up(0, None, None, ()); print('continued')"
    )
    ended = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (1, "")
