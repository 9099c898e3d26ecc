"""``python -m mcp_node``: run the MCP node."""

import sys

from mcp_node.app import run
from serving.process.server import run_node

if __name__ == "__main__":
    sys.exit(run_node(run))
