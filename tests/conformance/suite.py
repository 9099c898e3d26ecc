"""One run of the suite against a server: its command, and what its report says."""

import json
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.conformance.packages import Packages

RUN_SECONDS: Final = 300

_STAMP: Final = re.compile(r"-\d{4}-\d\d-\d\dT[\d-]+Z")
_UNSCORED: Final = re.compile(r"^  [✓✗] (\S+) \(([a-z-]+)\)$", re.MULTILINE)


@dataclass(frozen=True)
class Run:
    """What to run.

    Attributes:
        release: of the suite, as people know it.
        revision: of the protocol.
        package: the folder of the release in node_modules.
        options: of the suite's command.
    """

    release: str
    revision: str
    package: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.release} {self.revision}"


RUNS: Final = (
    Run("0.1.16", "2025-11-25", "conformance-0.1"),
    Run("0.2.0-alpha.12", "2025-11-25", "conformance-0.2", ("--requirements", "2025-11-25")),
    Run("0.2.0-alpha.12", "2026-07-28", "conformance-0.2", ("--requirements", "2026-07-28")),
)


@dataclass(frozen=True)
class Check:
    """One thing that the suite looked at.

    Attributes:
        status: SUCCESS, FAILURE, WARNING (a SHOULD that is not met), SKIPPED or INFO.
    """

    scenario: str
    id: str
    status: str
    message: str = ""


@dataclass(frozen=True)
class Report:
    """What came of a run.

    Attributes:
        code: the suite's exit code, 0 if everything scored passed.
        unscored: scenarios that do not count, each with the suite's reason.
        output: what the suite printed.
    """

    run: Run
    checks: tuple[Check, ...]
    unscored: dict[str, str]
    code: int
    output: str

    def count(self, status: str, *, scored: bool) -> int:
        """How many checks have a status, among those that count or among the others."""
        return sum(
            check.status == status and (check.scenario in self.unscored) != scored
            for check in self.checks
        )


def run_suite(run: Run, packages: Packages, url: str, results: Path) -> Report:
    """Run the suite against a server.

    Args:
        run: which release and revision.
        packages: installed.
        url: of the MCP endpoint.
        results: an empty directory for the suite's own files.

    Raises:
        subprocess.TimeoutExpired: it hung.
    """
    command = packages.script(f"{run.package}/dist/index.js")
    command += ["server", "--url", url, "--output-dir", str(results), *run.options]
    done = subprocess.run(
        command,
        cwd=results,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=RUN_SECONDS,
    )
    return Report(
        run, read_checks(results), read_unscored(done.stdout), done.returncode, done.stdout
    )


def read_checks(results: Path) -> tuple[Check, ...]:
    """The checks of every scenario, from the files the suite leaves."""
    checks = []
    for file in sorted(results.glob("server-*/checks.json")):
        scenario = _STAMP.sub("", file.parent.name).removeprefix("server-")
        for found in json.loads(file.read_text("utf-8")):
            message = found.get("errorMessage") or ""
            checks.append(Check(scenario, found["id"], found["status"], message))
    return tuple(checks)


def read_unscored(output: str) -> dict[str, str]:
    """The scenarios that do not count and why, from what the suite prints at its end."""
    return dict(_UNSCORED.findall(output.partition("Not scored for")[2]))
