"""Revocations: taken by ``partyline revoke``, told to ws_node. Between our own processes only.

ws_node asks for the standing every second or so, and for the list when the standing differs from
the one before: it is answered from memory. ``opened_at`` says when this process opened the log
(seconds of Unix time), so that another database is noticed whatever is in it; ``auth`` is this
node's AUTH, so that a ws_node with another one lets nobody in.
"""

import time

import msgspec
from fastapi import APIRouter, Request, Response

from mcp_node.doors.rest.service import answered, asked, service_router
from mcp_node.links import revocations as taken_back
from mcp_node.links.links import Links
from mcp_node.log.interface import Database
from proto.errors import InvalidInput
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

    @router.get("/standing")
    async def standing() -> Response:
        return answered(
            {
                "epoch": database.epoch,
                "opened_at": database.starts[-1].at,
                "auth": settings.auth,
                "revocations": identity.revocations.number,
            }
        )

    @router.get("/revocations")
    async def revocations() -> Response:
        return answered({"revocations": await database.read(taken_back.revocations)})

    @router.post("/revocations")
    async def revoke(request: Request) -> Response:
        wish = asked(await request.body(), RevocationRequest, settings)
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
        return answered({"revocations": revocations}, status=201)

    return router
