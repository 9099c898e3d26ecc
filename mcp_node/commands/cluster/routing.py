"""Which node a request goes to, and what of its head is changed."""

import hashlib
from typing import Final, Literal, NamedTuple

Kind = Literal["mcp", "ws"]

_MCP: Final = (b"/mcp", b"/api")
"""What mcp_nodes serve: these paths and those below them. Everything else is ws_nodes'."""


class Route(NamedTuple):
    """Where a request goes.

    Attributes:
        kind: of the node.
        key: requests with the same key go to the same mcp_node.
        head: of the request, for the node.
    """

    kind: Kind
    key: bytes
    head: bytes


def route(head: bytes) -> Route:
    """The route of a request.

    The head is passed on unchanged but for one header: the node is to close the connection after
    its answer, so that the next request, which may have another route, comes on another
    connection. An upgrade to WebSocket keeps its header.

    Args:
        head: the request line and the headers, with the empty line. What is wrong with it is for
            the node to say.
    """
    line, *rest = head.removesuffix(b"\r\n\r\n").split(b"\r\n")
    headers = [(each.partition(b":")[0].strip().lower(), each) for each in rest]
    key = b"\n".join(each for name, each in headers if name == b"authorization")
    if all(name != b"upgrade" for name, _ in headers):
        kept = [each for name, each in headers if name != b"connection"]
        head = b"\r\n".join([line, *kept, b"Connection: close", b"", b""])
    path = line.partition(b" ")[2].partition(b" ")[0].partition(b"?")[0]
    mcp = any(path == prefix or path.startswith(prefix + b"/") for prefix in _MCP)
    return Route("mcp" if mcp else "ws", key.partition(b":")[2].strip(), head)


def preferred(key: bytes, count: int) -> list[int]:
    """The numbers of the nodes, in the order in which a request with that key tries them.

    Without one of the nodes the order of the others is the same (rendezvous hashing).
    """
    return sorted(range(count), key=lambda number: hashlib.sha256(b"%d " % number + key).digest())
