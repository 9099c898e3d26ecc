"""``python -m tests.conformance.server``: mcp_node as it is, with the suite's fixtures on it."""

import sys
from functools import partial

from mcp_node.app import run
from serving.process.server import run_node
from tests.conformance.fixtures import add_fixtures

if __name__ == "__main__":
    sys.exit(run_node(partial(run, extend=add_fixtures)))
