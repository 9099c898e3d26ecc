"""``python -m ws_node``: run the WebSocket node."""

import sys

from serving.server import run_node
from ws_node.app import run

if __name__ == "__main__":
    sys.exit(run_node(run))
