"""Links over HTTP: redeeming a code, and the operator's own routes.

``POST /api/redeem`` is the one route without a token: the code in its body authenticates. A bad
code gets 401, delayed for addresses that fail repeatedly, as for bad tokens.
"""

from typing import Final, Literal

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from mcp_node.doors.rest.documents import documented
from mcp_node.doors.rest.service import decode_body, json_response, service_router
from mcp_node.links.links import Links, Redeemed
from mcp_node.links.rows import LOGIN
from proto.errors import Unavailable
from proto.internal_api import LINKS, REDEEM
from proto.messages import GUEST, HUMAN, utc
from proto.names import GUEST_PREFIX
from proto.settings import Settings
from proto.tokens import SCOPES, sign_guest, sign_human

_NO_STORE: Final = {"Cache-Control": "no-store"}


class RedeemBody(BaseModel):
    """A link's code."""

    model_config = ConfigDict(extra="forbid", strict=True)

    code: str = Field(description="What stands behind #code= in the link.")


class RedeemAnswer(BaseModel):
    """A token, and whom it speaks for; ``sessions`` is null for all."""

    token: str
    agent_id: str
    agent_type: str
    scopes: list[Literal["read", "write", "admin"]]
    sessions: list[str] | None
    expires_at: str


class LinkRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to mint: only a login link, which has nothing to choose."""

    kind: Literal["login"]


def make_redeem_api(links: Links, key: Ed25519PrivateKey | None) -> APIRouter:
    """POST /api/redeem; without a key it answers that tokens are signed elsewhere."""
    router = APIRouter(tags=["links"])

    @router.post(
        REDEEM,
        summary="Redeem a link's code for a token",
        response_model=RedeemAnswer,
        responses=documented(413, 415, 503),
    )
    async def redeem(body: RedeemBody, response: Response) -> RedeemAnswer:
        if key is None:
            raise Unavailable(
                "This node signs no tokens.", "Open the link at the node that has signing.key."
            )
        redeemed = await links.redeem(body.code)
        response.headers.update(_NO_STORE)
        return _answer(redeemed, key)

    return router


def make_link_api(links: Links, settings: Settings) -> APIRouter:
    """GET and POST /api/links, for our own processes, outside the OpenAPI document."""
    router = service_router()

    @router.get(LINKS)
    async def listed() -> Response:
        return json_response({"links": await links.newest()})

    @router.post(LINKS)
    async def mint(request: Request) -> Response:
        decode_body(await request.body(), LinkRequest, settings)
        minted = await links.mint_login()
        answer = json_response(
            {
                "url": minted.url,
                "link_id": minted.link.link_id,
                "expires_at": utc(minted.link.expires_at),
            },
            status=201,
        )
        answer.headers.update(_NO_STORE)
        return answer

    return router


def _answer(redeemed: Redeemed, key: Ed25519PrivateKey) -> RedeemAnswer:
    """The token for a code, and what it says."""
    link, times = redeemed.link, (redeemed.issued_at, redeemed.expires_at)
    if link.kind == LOGIN:
        return RedeemAnswer(
            token=sign_human(key, times=times, token_id=redeemed.token_id),
            agent_id=HUMAN,
            agent_type=HUMAN,
            scopes=sorted(SCOPES),
            sessions=None,
            expires_at=utc(redeemed.expires_at),
        )
    assert link.session_id is not None
    token = sign_guest(
        key,
        link_id=link.link_id,
        session_id=link.session_id,
        may_write=link.may_write,
        times=times,
        token_id=redeemed.token_id,
    )
    return RedeemAnswer(
        token=token,
        agent_id=GUEST_PREFIX + link.link_id,
        agent_type=GUEST,
        scopes=["read", "write"] if link.may_write else ["read"],
        sessions=[link.session_id],
        expires_at=utc(redeemed.expires_at),
    )
