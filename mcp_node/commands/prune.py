"""``partyline prune``: deletes old messages permanently, through the running mcp_node."""

import time
from typing import Any

from mcp_node.commands.service import ask_mcp_node
from mcp_node.sessions.durations import duration_seconds
from proto.errors import ConfigurationError
from proto.internal_api import PRUNE
from proto.messages import utc
from proto.settings import Settings


def prune(settings: Settings, *, older_than: str, dry_run: bool) -> str:
    """Delete messages older than a time such as ``30d``; return the text to print.

    After an error or Ctrl-C, what was deleted so far stays deleted; the same command deletes the
    rest.

    Raises:
        InvalidInput: the time is malformed or out of bounds.
        ConfigurationError: mcp_node is not running, or refused.
    """
    before = utc(time.time() - duration_seconds(older_than, "--older-than"))
    messages, through, done = 0, 0, False
    while not done:
        body = {"before": before, "after": through, "dry_run": dry_run}
        answer = _asked(settings, body, messages)
        messages += answer["messages"]
        through, done = answer["through"], answer["done"]
    what = f"{messages} {'message' if messages == 1 else 'messages'} older than {older_than}"
    return f"Would delete {what}." if dry_run else f"Deleted {what}."


def _asked(settings: Settings, body: dict[str, Any], so_far: int) -> dict[str, Any]:
    try:
        found: dict[str, Any] = ask_mcp_node(settings, "POST", PRUNE, body)
    except ConfigurationError as error:
        if not so_far or body["dry_run"]:
            raise
        raise ConfigurationError(f"{error}; {so_far} messages were deleted before") from None
    return found
