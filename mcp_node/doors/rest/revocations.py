"""Revocations: made by ``partyline revoke``, read by ws_node. Internal API (`proto.internal_api`).

ws_node asks for the standing every second or so, which is answered from memory, and for the list
when the standing has changed. ``opened_at`` reveals another database, whatever is in it. ``auth``
lets a ws_node with another setting refuse all viewers.
"""

import time

import msgspec
from fastapi import APIRouter, Request, Response

from mcp_node.doors.rest.service import decode_body, json_response, service_router
from mcp_node.links import revocations as taken_back
from mcp_node.links.links import Links
from mcp_node.log.interface import Database
from proto.errors import InvalidInput
from proto.internal_api import REVOCATIONS, STANDING, RevocationsAnswer, Standing
from proto.names import check_name, check_principal
from proto.settings import Settings
from serving.http.identity import Identity


class RevocationRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to take back: a token by its id, all an agent has been issued until now, or a link."""

    token_id: str | None = None
    agent_id: str | None = None
    link_id: str | None = None


def make_revocation_api(
    database: Database, links: Links, settings: Settings, identity: Identity
) -> APIRouter:
    """GET /api/standing, GET and POST /api/revocations, outside the OpenAPI document.

    A revocation holds in this node as soon as it is stored.
    """
    router = service_router()

    @router.get(STANDING)
    async def standing() -> Response:
        opened_at = 0.0 if database.shared else database.starts[-1].at
        number = identity.revocations.number
        return json_response(Standing(database.epoch, opened_at, settings.auth, number))

    @router.get(REVOCATIONS)
    async def revocations() -> Response:
        return json_response(RevocationsAnswer(await database.read(taken_back.revocations)))

    @router.post(REVOCATIONS)
    async def revoke(request: Request) -> Response:
        wish = decode_body(await request.body(), RevocationRequest, settings)
        if [wish.token_id, wish.agent_id, wish.link_id].count(None) != 2:
            raise InvalidInput("One of token_id, agent_id and link_id is needed.")
        if wish.link_id is not None:
            revocations = await links.revoke(check_name(wish.link_id, "link_id"))
        else:
            token_id, agent_id = wish.token_id, wish.agent_id
            revoke_all = taken_back.Revoke(
                None if token_id is None else check_name(token_id, "token_id"),
                None if agent_id is None else check_principal(agent_id, "agent_id"),
                int(time.time()),
            )
            revocations = await database.write(revoke_all)
        for revocation in revocations:
            identity.revocations.add(revocation)
        return json_response(RevocationsAnswer(revocations), status=201)

    return router
