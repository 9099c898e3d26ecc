"""``python -m ws_node``: run the WebSocket node."""

import sys

from ws_node.app import run
from serving.server import run_node

if __name__ == "__main__":
    sys.exit(run_node(run))
