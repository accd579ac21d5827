"""Both servers listen on every kernel."""

from __future__ import annotations

import pytest

from emulator.server import listening as queue_side
from render_trio.web.server import listening as web_side

UNKNOWN_OPTION = 9999  # which every kernel refuses


@pytest.mark.parametrize("side", [queue_side, web_side])
def test_a_kernel_without_tcp_user_timeout(side: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(side, "TCP_USER_TIMEOUT", UNKNOWN_OPTION)
    for module in (queue_side, web_side):
        with module.listening_socket("127.0.0.1", 0) as listener:
            assert listener.getsockname()[1]
