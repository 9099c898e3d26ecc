"""``python -m bench [--quick] [--json] [--only NAME]``: measure, and print one table."""

import argparse
import importlib
import json
import os
import pkgutil
import platform
import sys

import uvloop

from bench import measurements
from bench.row import Row, table

MEASUREMENTS = tuple(sorted(module.name for module in pkgutil.iter_modules(measurements.__path__)))
"""Each module of `bench.measurements` with its ``async measure(quick)``."""


def main() -> int:
    """Run what was asked for; 1 if a bar was not met."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", action="append", choices=MEASUREMENTS, metavar="NAME")
    parser.add_argument("--quick", action="store_true", help="short, for a first impression")
    parser.add_argument("--json", action="store_true", help="one JSON object")
    options = parser.parse_args()
    rows: list[Row] = []
    for name in options.only or MEASUREMENTS:
        print(f"measuring {name} …", file=sys.stderr, flush=True)
        measurement = importlib.import_module(f"bench.measurements.{name}")
        rows += uvloop.run(measurement.measure(options.quick))
    if options.json:
        print(json.dumps({"machine": machine(), "rows": [row.as_json() for row in rows]}))
    else:
        print(f"{machine()}\n\n{table(rows)}")
    return int(any(row.met is False for row in rows))


def machine() -> str:
    """What it ran on."""
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    return f"{os.cpu_count()} cores, {system}, Python {platform.python_version()}"


if __name__ == "__main__":
    sys.exit(main())
