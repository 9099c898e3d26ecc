"""The routers of the public REST API."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import APIRouter

from mcp_node.doors.rest.claims import make_claims_api
from mcp_node.doors.rest.editing import make_editing_api
from mcp_node.doors.rest.inbox import make_inbox_api
from mcp_node.doors.rest.links import make_redeem_api
from mcp_node.doors.rest.moderation import make_moderation_api
from mcp_node.doors.rest.notes import make_notes_api
from mcp_node.doors.rest.search import make_search_api
from mcp_node.doors.rest.sessions import make_api
from mcp_node.doors.rest.statuses import make_status_api
from mcp_node.services import Services


def public_routers(
    services: Services, signing_key: Ed25519PrivateKey | None
) -> tuple[APIRouter, ...]:
    """All of them.

    Args:
        services: what the routes call.
        signing_key: signs tokens for links; None: they are signed elsewhere.
    """
    return (
        make_api(services),
        make_editing_api(services),
        make_inbox_api(services),
        make_moderation_api(services.moderation),
        make_claims_api(services),
        make_notes_api(services),
        make_status_api(services),
        make_search_api(services.search),
        make_redeem_api(services.links, signing_key),
    )
