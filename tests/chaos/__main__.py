"""``python -m tests.chaos``: break everything for a while, then compare everything with the log."""

import argparse
import os
import platform
import sys

import uvloop

from tests.chaos.run import Plan, run


def main() -> int:
    """Run one plan; 1 if the guarantee did not hold."""
    default = Plan()
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seconds", type=float, default=default.seconds)
    parser.add_argument("--seed", type=int, default=default.seed)
    parser.add_argument("--agents", type=int, default=default.agents)
    parser.add_argument("--viewers", type=int, default=default.viewers)
    parser.add_argument("--sessions", type=int, default=default.sessions)
    parser.add_argument("--kill-every", type=float, default=default.kill_every, metavar="SECONDS")
    parser.add_argument("--bridge", choices=("zmq", "http"), default=default.bridge)
    parser.add_argument(
        "--pause", type=float, default=default.pause, help="mean seconds between an agent's writes"
    )
    parser.add_argument("--workers", type=int, default=default.workers, help="of ws_node")
    parser.add_argument(
        "--cluster", action="store_true", help="two pairs on PostgreSQL and NATS instead of one"
    )
    parser.add_argument(
        "--standby",
        choices=("sync", "async"),
        default=default.standby,
        help="with --cluster: of PostgreSQL; it is promoted halfway",
    )
    plan = Plan(**vars(parser.parse_args()))
    print(f"{os.cpu_count()} cores, {platform.platform()}, Python {platform.python_version()}")
    report = uvloop.run(run(plan))
    print(report.table())
    if report.clean:
        print("\nThe guarantee held.")
        return 0
    print(f"\nTHE GUARANTEE WAS BROKEN with seed {plan.seed}.")
    return 1


if __name__ == "__main__":
    sys.exit(main())
