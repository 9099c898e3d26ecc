"""How long tests wait, and for what: always for a condition, never for luck."""

import asyncio
import time
from collections.abc import Callable
from typing import Any

# All of these are long, for a machine that is busy with something else. They must be well below
# the timeout of a test (pyproject.toml), so that what waits fails and cleans up by itself.
START_SECONDS = 90.0
STOP_SECONDS = 20.0
PATIENCE = 30.0
"""For what takes well below a second on an idle machine."""


async def until(
    condition: Callable[[], Any], *, within: float = PATIENCE, every: float = 0.02
) -> Any:
    """What ``condition`` returns, once it is true (it may be a coroutine function).

    Raises:
        TimeoutError: it stayed false.
    """
    end = time.monotonic() + within
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"still not true after {within} s")
        await asyncio.sleep(every)
