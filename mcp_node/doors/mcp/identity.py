"""Who speaks through MCP: FastMCP's door for tokens, and the principal inside a tool."""

from typing import Final

from fastmcp.server.auth import AccessToken, TokenVerifier
from fastmcp.server.dependencies import get_access_token, get_http_request

from proto.errors import Unauthenticated
from proto.messages import Principal
from serving.http.identity import Identity

_CLAIM: Final = "partyline"


class McpTokenVerifier(TokenVerifier):
    """FastMCP's bearer check on top of ours; asked on every request of both protocol eras."""

    def __init__(self, identity: Identity) -> None:
        super().__init__()
        self._identity = identity

    async def verify_token(self, token: str) -> AccessToken | None:
        """The access token, or None for FastMCP to answer 401."""
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
    """The principal of the MCP request under way.

    Raises:
        Unauthenticated: it has none (only possible where AUTH=off and a bad token was sent).
    """
    token = get_access_token()
    if token is not None:
        principal = token.claims.get(_CLAIM)
        if isinstance(principal, Principal):
            return principal
    return identity.from_headers(get_http_request().headers.raw)
