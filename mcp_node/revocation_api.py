"""Revocations: taken by ``partyline revoke``, told to ws_node. Between our own processes only."""

import time

import msgspec
from fastapi import APIRouter, Request, Response

from mcp_node.log_api import answered, asked, service_router
from mcp_node.store.interface import Store
from proto.errors import InvalidInput
from proto.names import check_name
from proto.settings import Settings
from serving.identity import Identity


class RevocationRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to take back: a token by its id, or all an agent has been issued until now."""

    token_id: str | None = None
    agent_id: str | None = None


def make_revocation_api(
    store: Store, settings: Settings, identity: Identity, bridge_key: bytes
) -> APIRouter:
    """GET and POST /api/revocations, outside the OpenAPI document.

    A revocation holds in this node as soon as it is stored.
    """
    router = service_router(bridge_key)

    @router.get("/revocations")
    async def revocations() -> Response:
        return answered({"revocations": await store.revocations()})

    @router.post("/revocations")
    async def revoke(request: Request) -> Response:
        wish = asked(await request.body(), RevocationRequest, settings)
        if (wish.token_id is None) == (wish.agent_id is None):
            raise InvalidInput("token_id or agent_id is needed, and not both.")
        check_name(wish.token_id or wish.agent_id, "token_id or agent_id")
        revocation = await store.revoke(
            token_id=wish.token_id, agent_id=wish.agent_id, issued_until=int(time.time())
        )
        identity.revocations.add(revocation)
        return answered(revocation, status=201)

    return router
