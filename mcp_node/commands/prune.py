"""``partyline prune``: deletes old messages for good, through the running mcp_node."""

import time
from typing import Any

import httpx

from proto.durations import duration_seconds
from proto.errors import ConfigurationError
from proto.keyfile import bridge_key, open_data_dir
from proto.messages import utc
from proto.settings import Settings
from proto.tokens import TO_MCP_NODE, mint_service

ANSWER_SECONDS = 30.0
"""mcp_node answers after a second of work; a busy disk may take longer."""


def prune(settings: Settings, *, older_than: str, dry_run: bool) -> str:
    """Delete messages older than a time such as ``30d``; what there is to say.

    What was deleted before an error, or Ctrl-C, stays deleted; the same command does the rest.

    Raises:
        InvalidInput: that is no such time.
        ConfigurationError: mcp_node does not run, or did not do it.
    """
    before = utc(time.time() - duration_seconds(older_than, "--older-than"))
    key = bridge_key(open_data_dir(settings.data_dir))
    messages, through, done = 0, 0, False
    with httpx.Client(
        base_url=settings.mcp_address, timeout=ANSWER_SECONDS, trust_env=False
    ) as client:
        while not done:
            wish = {"before": before, "after": through, "dry_run": dry_run}
            answer = _asked(client, key, wish, messages)
            messages += answer["messages"]
            through, done = answer["through"], answer["done"]
    what = f"{messages} {'message' if messages == 1 else 'messages'} older than {older_than}"
    return f"Would delete {what}." if dry_run else f"Deleted {what}."


def _asked(client: httpx.Client, key: bytes, wish: dict[str, Any], so_far: int) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {mint_service(key, TO_MCP_NODE)}"}
    deleted = f"; {so_far} messages were deleted before" if so_far and not wish["dry_run"] else ""
    try:
        answer = client.post("/api/prune", json=wish, headers=headers)
    except httpx.HTTPError:
        raise ConfigurationError(
            f"mcp_node does not answer at {client.base_url}; start it first{deleted}"
        ) from None
    if answer.status_code != httpx.codes.OK:
        raise ConfigurationError(f"mcp_node refused it ({answer.status_code}){deleted}")
    found: dict[str, Any] = answer.json()
    return found
