"""The caller of an MCP request: FastMCP's token check, and the principal inside a tool."""

from typing import Final

from fastmcp.server.auth import AccessToken, TokenVerifier
from fastmcp.server.dependencies import get_access_token, get_http_request

from proto.errors import Unauthenticated
from proto.messages import Principal
from serving.http.identity import Identity

_CLAIM: Final = "partyline"


class McpTokenVerifier(TokenVerifier):
    """Checks bearer tokens for FastMCP, on every request of both protocol eras."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._identity = identity

    async def verify_token(self, token: str) -> AccessToken | None:
        """The access token; None makes FastMCP answer 401."""
        try:
            principal = self._identity.from_token(token)
        except Unauthenticated:
            return None
        return AccessToken(
            token=token,
            client_id=principal.agent_id,
            subject=principal.agent_id,
            scopes=sorted(principal.scopes),
            expires_at=principal.expires_at,
            claims={"sub": principal.agent_id, _CLAIM: principal},
        )


def current_principal(identity: Identity) -> Principal:
    """The principal of the current MCP request.

    Raises:
        Unauthenticated: AUTH=off, and the request has a token that is not valid.
    """
    token = get_access_token()
    if token is not None:
        principal = token.claims.get(_CLAIM)
        if isinstance(principal, Principal):
            return principal
    return identity.from_headers(get_http_request().headers.raw)
