"""Nodes run to their end, and what they said."""

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

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
    started = {
        module: subprocess.Popen(
            [sys.executable, "-m", module],
            cwd=ROOT,
            env=pair.environment | more,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for module in modules
    }
    try:
        return {module: _refusal(process) for module, process in started.items()}
    finally:
        for process in started.values():
            with process:  # ended, unless another failed the test first
                process.kill()


def refusal(pair: Pair, module: str, **settings: Any) -> str:
    """Why one node does not start."""
    return refusals(pair, (module,), **settings)[module]


def _refusal(process: subprocess.Popen[str]) -> str:
    try:
        _, errors = process.communicate(timeout=60)
    except subprocess.TimeoutExpired:
        process.kill()
        _, errors = process.communicate()
    assert process.returncode == 2, errors
    said = [line for line in errors.splitlines() if not re.match(r"\d{4}-\d\d-\d\dT", line)]
    assert len(said) == 1 and said[0].startswith("partyline: "), errors
    return said[0]
