"""A Node.js that can run the page's modules, if the machine has one."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any, Final

import pytest

ROOT: Final = Path(__file__).resolve().parents[2]
LEAST: Final = 20
"""The oldest major version; older ones get no fixes any more."""


def _node() -> str | None:
    found = shutil.which("node")
    if found is None:
        return None
    version = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=60)
    major = version.stdout.strip().removeprefix("v").partition(".")[0]
    return found if major.isdigit() and int(major) >= LEAST else None


NODE: Final = _node()

needs_node: Final = pytest.mark.skipif(
    NODE is None, reason=f"no Node.js {LEAST} or newer on this machine (apt-get install nodejs)"
)


def evaluate(module: str, body: str, given: Any) -> Any:
    """What a function body returns in Node: ``m`` is a module of the page, ``given`` JSON."""
    script = (
        'import { readFileSync } from "node:fs";'
        'const given = JSON.parse(readFileSync(0, "utf8"));'
        f'const m = await import("{ROOT.as_uri()}/ws_node/static/{module}");'
        f"console.log(JSON.stringify(await (async () => {{ {body} }})()));"
    )
    assert NODE is not None
    done = subprocess.run(
        [NODE, "--input-type=module", "--eval", script],
        input=json.dumps(given),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)
