"""What no log of a node may hold, whatever was done to it."""

import re

from tests.pair import Pair
from tests.security.unharmed import MARK

_TOKEN = re.compile(r"eyJ[\w-]{10,}\.")
_HEADER = re.compile(r"(?i)\b(bearer|authorization|sec-websocket-protocol)\b")
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029]")


def assert_quiet(pair: Pair) -> None:
    """Neither node logged a token, a header with one, what callers wrote, or a query string."""
    assert "mcp_node answers" in pair.ws.output()
    for node in (pair.mcp, pair.ws):
        log = node.output()
        for line in log.splitlines():
            assert MARK not in line, line
            assert not _TOKEN.search(line), line
            assert not _HEADER.search(line), line
            assert not _CONTROL.search(line), line
            assert "?" not in line, line
            assert "Traceback" not in line, log
