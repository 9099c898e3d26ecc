"""Pruning, for ``partyline prune``. Internal API (`proto.internal_api`)."""

import time
from collections.abc import Callable
from functools import partial
from typing import Final

import msgspec
from fastapi import APIRouter, Request, Response

from mcp_node.doors.rest.service import decode_body, json_response, service_router
from mcp_node.log.interface import Database
from mcp_node.log.pruning import PruneMessages, find_prunable
from mcp_node.sessions import checks
from proto.errors import InvalidInput
from proto.internal_api import PRUNE
from proto.messages import MAX_ID, utc_now
from proto.settings import Settings

WORK_SECONDS: Final = 1.0
"""Time after which a request is answered even if messages are left; the caller repeats it."""


class PruneRequest(msgspec.Struct, forbid_unknown_fields=True):
    """What to prune: messages older than ``before``, with ids above ``after``."""

    before: str
    after: int
    dry_run: bool


def make_prune_api(database: Database, settings: Settings, pruned: Callable[[], None]) -> APIRouter:
    """POST /api/prune, outside the OpenAPI document.

    It answers ``{messages, through, done}``: how many messages it pruned (or would prune), and the
    last id it examined. Unless ``done``, the caller repeats the request with ``after`` set to that
    id. ``pruned`` is called after messages were pruned.
    """
    router = service_router()

    @router.post(PRUNE)
    async def prune(request: Request) -> Response:
        wish = decode_body(await request.body(), PruneRequest, settings)
        before = checks.check_moment(wish.before, "before")
        if before is None or before > utc_now():
            raise InvalidInput("before must be in the past.")
        if not 0 <= wish.after <= MAX_ID:
            raise InvalidInput(f"after must be 0 to {MAX_ID}.")
        messages, through, done = 0, wish.after, False
        end = time.monotonic() + WORK_SECONDS
        while not done and time.monotonic() < end:
            found = await database.read(partial(find_prunable, before=before, after=through))
            if found.ids and not wish.dry_run:
                await database.write(PruneMessages(found.ids))
                pruned()
            messages += found.messages
            through, done = found.through, found.done
        if done and not wish.dry_run:
            await database.checkpoint()
        return json_response({"messages": messages, "through": through, "done": done})

    return router
