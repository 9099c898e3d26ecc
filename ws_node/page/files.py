"""The live page: the packaged files of ``ws_node/static`` at ``/`` and ``/static/…``.

They are read once, at start, into a table of paths. No request reaches the file system, and a path
that is not in the table is not found. ``/static/deployment.json`` is made for each request: what
the page must know of this deployment. It has nothing secret, and a path of this machine only for
the operator.
"""

from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Final

import msgspec

from proto.errors import Unauthenticated, Unavailable
from proto.messages import HUMAN
from proto.settings import Settings
from serving.http.asgi import Receive, Scope, Send, respond
from serving.http.identity import Identity
from serving.process.address import with_ports
from serving.process.command_line import as_typed, installed_program

FOLDER: Final = "/static/"
INDEX: Final = "index.html"
DEPLOYMENT: Final = "deployment.json"

TYPES: Final = {
    ".css": b"text/css; charset=utf-8",
    ".html": b"text/html; charset=utf-8",
    ".js": b"text/javascript; charset=utf-8",
    ".json": b"application/json",
    ".svg": b"image/svg+xml",
}

_PLAIN: Final = b"text/plain; charset=utf-8"

POLICY: Final = (
    b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
    b"connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'; "
    b"require-trusted-types-for 'script'; trusted-types 'none'"
)
"""Only files of this origin, nothing inline, and no string may become markup or script."""

SECURITY_HEADERS: Final = (
    (b"content-security-policy", POLICY),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cache-control", b"no-store"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
)


class Pages:
    """ASGI app that answers GET and HEAD for the files of the page, 404 and 405 otherwise.

    Args:
        settings: of the node; the page shows the address of mcp_node, for agents.
        identity: verifies the operator's token.
    """

    def __init__(self, settings: Settings, identity: Identity) -> None:
        self._table: dict[str, tuple[bytes, bytes]] = {}
        self._read(files("ws_node") / "static", FOLDER)
        self._table[FOLDER + DEPLOYMENT] = TYPES[".json"], b""
        self._table["/"] = self._table.pop(FOLDER + INDEX)
        self._settings = settings
        self._identity = identity

    @property
    def addresses(self) -> list[str]:
        """Every path in the table."""
        return sorted(self._table)

    @staticmethod
    def serves(path: str) -> bool:
        """Whether a path belongs to the page, in the table or not."""
        return path == "/" or path.startswith(FOLDER)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; its body, if any, is not read."""
        found = self._table.get(scope["path"])
        status, (kind, body) = 200, found or (_PLAIN, b"not found\n")
        if scope["path"] == FOLDER + DEPLOYMENT:
            body = self._deployment(scope)
        headers = [(b"content-type", kind), *SECURITY_HEADERS]
        if found is None:
            status = 404
        elif scope["method"] not in ("GET", "HEAD"):
            status, body = 405, b"method not allowed\n"
            headers = [(b"content-type", _PLAIN), (b"allow", b"GET, HEAD"), *SECURITY_HEADERS]
        await respond(send, status, headers, body)

    def _deployment(self, scope: Scope) -> bytes:
        """The address for agents, AUTH, and for the operator the command that makes tokens.

        Made for each request, because mcp_node may get another port when it starts.
        """
        settings = with_ports(self._settings)
        address = settings.mcp_url or (settings.mcp_address if settings.mcp_port else "")
        mcp_url = f"{address}/mcp" if address else ""
        deployment = {"mcp_url": mcp_url, "auth": settings.auth}
        if self._asked_by_operator(scope) and (settings.data_dir / "signing.key").exists():
            deployment["command"] = as_typed(settings, installed_program())
        return msgspec.json.encode(deployment)

    def _asked_by_operator(self, scope: Scope) -> bool:
        try:
            return self._identity.from_headers(scope["headers"]).agent_type == HUMAN
        except (Unauthenticated, Unavailable):
            return False

    def _read(self, folder: Traversable, address: str) -> None:
        for entry in folder.iterdir():
            if entry.is_dir():
                self._read(entry, f"{address}{entry.name}/")
            elif (kind := TYPES.get("." + entry.name.rpartition(".")[2])) is not None:
                self._table[address + entry.name] = kind, entry.read_bytes()
