"""Nodes run to their end, and what they said."""

import contextlib
import re
import tempfile
from pathlib import Path
from typing import IO, Any

from tests import forkserver
from tests.pair import Pair

ROOT = Path(__file__).resolve().parents[2]
BOTH = ("mcp_node", "ws_node")


def refusals(pair: Pair, modules: tuple[str, ...] = BOTH, **settings: Any) -> dict[str, str]:
    """Why nodes do not start, by module: one line each, exit code 2.

    Args:
        pair: whose environment they get; its own nodes are left alone.
        modules: which to start, at the same time.
        settings: more settings, without the prefix.
    """
    more = {f"PARTYLINE_{name}": str(value) for name, value in settings.items()}
    with contextlib.ExitStack() as stack:
        errors = {module: stack.enter_context(tempfile.TemporaryFile("w+")) for module in modules}
        started = {}
        for module in modules:
            started[module] = forkserver.start(
                module, env=pair.environment | more, stderr=errors[module].fileno()
            )
            stack.callback(_end, started[module])
        return {module: _refusal(started[module], errors[module]) for module in modules}


def refusal(pair: Pair, module: str, **settings: Any) -> str:
    """Why one node does not start."""
    return refusals(pair, (module,), **settings)[module]


def _end(process: forkserver.Process) -> None:
    process.kill()  # it has ended, unless another failed the test first
    process.wait()


def _refusal(process: forkserver.Process, errors: IO[str]) -> str:
    code = process.wait(60)
    errors.seek(0)
    text = errors.read()
    assert code == 2, text
    said = [line for line in text.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]
    assert len(said) == 1 and said[0].startswith("partyline: "), text
    return said[0]
