"""``python -m tests.conformance``: the official MCP conformance suite against our own server.

Exit codes: 0 all is as expected (expected.toml); 1 something is not; 2 nothing could be tested.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

from tests.conformance.judge import expectations, judge, table
from tests.conformance.packages import CACHE, CannotRun, Packages, install
from tests.conformance.stand import extended_node
from tests.conformance.suite import RUNS, Report, run_suite


async def run_all(packages: Packages) -> list[Report]:
    """Every run, one after the other, against one server."""
    reports = []
    with tempfile.TemporaryDirectory(prefix="pl-") as scratch:
        async with extended_node(Path(scratch) / "node") as url:
            for number, run in enumerate(RUNS):
                results = Path(scratch) / str(number)
                results.mkdir()
                print(
                    f"suite {run.release}, protocol {run.revision} …", file=sys.stderr, flush=True
                )
                reports.append(await asyncio.to_thread(run_suite, run, packages, url, results))
    return reports


def main() -> int:
    """Run, print the table, say what was not expected."""
    parser = argparse.ArgumentParser(prog="python -m tests.conformance", description=__doc__)
    parser.add_argument("--verbose", action="store_true", help="print what the suite prints")
    parser.add_argument("--cache", type=Path, default=CACHE, help="where to install npm packages")
    options = parser.parse_args()
    try:
        packages = install(options.cache)
    except CannotRun as error:
        print(f"conformance: {error}", file=sys.stderr)
        return 2
    reports = asyncio.run(run_all(packages))
    if options.verbose:
        for report in reports:
            print(report.output)
    print(table(reports))
    expected = expectations()
    found = [f"{r.run.name}: {line}" for r in reports for line in judge(r, expected)]
    print("\nNot as expected:" if found else "\nAll is as expected.", *found, sep="\n")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
