"""``python -m ws_node``: run the WebSocket node, in WS_WORKERS processes.

``--worker N`` is for those, and has standard input as their lifeline.
"""

import argparse
import sys

from proto.settings import Settings
from serving.process.server import run_node
from ws_node import app
from ws_node.workers import workers


async def main(settings: Settings) -> int:
    """Run the node, one of its workers, or the workers."""
    parser = argparse.ArgumentParser(prog="python -m ws_node")
    parser.add_argument("--worker", type=int, metavar="N", choices=range(settings.ws_workers))
    worker = parser.parse_args().worker
    if worker is None and settings.ws_workers > 1:
        return await workers.supervise(settings)
    await app.run(settings, worker)
    return 0


if __name__ == "__main__":
    sys.exit(run_node(main))
