"""``make bench`` works: one cheap measurement from the command line, on real processes.

Whether a bar is met is no test's business: the machine may be busy.
"""

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_a_quick_measurement_prints_its_rows_as_json() -> None:
    run = subprocess.run(
        [sys.executable, "-m", "bench", "--quick", "--json", "--only", "idle_viewer_memory"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=50,
    )
    assert run.returncode in (0, 1), run.stderr
    rows = json.loads(run.stdout)["rows"]
    memory = rows[0]
    assert memory["name"] == "memory per idle viewer, 500 viewers"
    assert memory["unit"] == "KiB"
    assert memory["ours"] > 0
    assert memory["met"] is (memory["ours"] <= 20)
    assert run.returncode == (0 if all(row["met"] is not False for row in rows) else 1)
