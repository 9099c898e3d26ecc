"""The first check of every HTTP and WebSocket request: Host, Origin and Sec-Fetch-Site.

Without it, a web page in the user's browser could reach a node on loopback: by its address, or by
a foreign name that resolves to 127.0.0.1 (DNS rebinding).
"""

from collections.abc import Iterable
from typing import Final

from proto.errors import Forbidden
from proto.hosts import LOOPBACK_NAMES
from proto.origins import DEFAULT_PORTS, parse_authority, parse_origin
from proto.settings import Settings
from serving.http.asgi import App, Receive, Refuse, Scope, Send, respond
from serving.http.identity import Headers, header_values
from serving.http.problems import problem, send_problem

_SAFE_METHODS: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class OriginCheck:
    """ASGI middleware that refuses foreign Hosts and Origins with 403, before anything else.

    Args:
        app: the wrapped app.
        hosts: accepted host names, without port, lower case.
        origins: accepted foreign origins, each ``scheme://host[:port]``.
        refuse: answers a refused HTTP request; by default as REST does.
    """

    def __init__(
        self,
        app: App,
        *,
        hosts: Iterable[str],
        origins: Iterable[str] = (),
        refuse: Refuse | None = None,
    ) -> None:
        self._app = app
        self._hosts = frozenset(hosts)
        self._origins = frozenset(filter(None, map(parse_origin, origins)))
        self._refuse = refuse or (lambda _scope, send, error: send_problem(send, error))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        reason = self.refusal(scope["scheme"], scope.get("method", "GET"), scope["headers"])
        if reason is None:
            await self._app(scope, receive, send)
            return
        error = Forbidden(reason, "Only this server's own pages and names may be used here.")
        if scope["type"] == "websocket":
            status, headers, body = problem(error)
            await respond(send, status, headers, body, websocket=True)
        else:
            await self._refuse(scope, send, error)

    def refusal(self, scheme: str, method: str, headers: Headers) -> str | None:
        """Why a request is refused; None if it is not."""
        headers = list(headers)
        hosts = header_values(headers, b"host")
        authority = parse_authority(hosts[0]) if len(hosts) == 1 else None
        if authority is None or authority[0] not in self._hosts:
            return "The Host header names another server."
        origins = header_values(headers, b"origin")
        if origins:
            origin = parse_origin(origins[0]) if len(origins) == 1 else None
            web = {"ws": "http", "wss": "https"}.get(scheme, scheme)
            own = (web, authority[0], authority[1] or DEFAULT_PORTS[web])
            if origin is None or (origin != own and origin not in self._origins):
                return "The Origin header names another site."
            return None
        sites = header_values(headers, b"sec-fetch-site")
        if method not in _SAFE_METHODS and sites and set(sites) - {"same-origin", "none"}:
            return "A browser made this request for another site."
        return None


def own_hosts(settings: Settings, bind_host: str) -> set[str]:
    """The host names that a node accepts: loopback, its bind host, and the configured ones."""
    names = {name.lower() for name in settings.allowed_hosts}
    if bind_host not in ("0.0.0.0", "::"):
        names.add(bind_host.lower())
    return names | LOOPBACK_NAMES
