"""How many requests the fuzz tests send: FUZZ_REQUESTS, in all. The same number sends the same requests again."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

from hypothesis import HealthCheck, Phase, settings

REQUESTS = int(os.environ.get("FUZZ_REQUESTS", "2000"))


def share(of_requests: float) -> Callable[..., Any]:
    """Return the settings of a test that sends this share of all requests.

    Derandomised: a failure in CI is repeated by running the test again. Nothing is shrunk by explaining, because the
    servers keep what they were sent: the shortest request may only fail after those before it.
    """
    return settings(
        max_examples=max(1, round(REQUESTS * of_requests)),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
