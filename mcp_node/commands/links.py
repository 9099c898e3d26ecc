"""``partyline links`` lists links to the page; ``partyline login`` makes one for the operator."""

import time
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

from mcp_node.commands.service import ask_mcp_node
from mcp_node.links.rows import LOGIN
from proto.internal_api import LINKS
from proto.settings import Settings


def login(settings: Settings) -> tuple[str, str]:
    """Make a login link; return it, and an explanation to print.

    With AUTH=off there is no login, and the link is the page's bare address.

    Raises:
        ConfigurationError: mcp_node is not running, or refused.
    """
    if settings.auth == "off":
        return settings.page, "PARTYLINE_AUTH=off: everybody on this machine can open the page."
    minted = ask_mcp_node(settings, "POST", LINKS, {"kind": LOGIN})
    return minted["url"], (
        "Whoever opens this link first becomes the operator, with every right, for 30 days. It"
        " works once, within 10 minutes, and is not stored."
    )


def links(settings: Settings) -> str:
    """The valid links and those that ended recently, newest first, as a table.

    Raises:
        ConfigurationError: mcp_node is not running, or refused.
    """
    found = ask_mcp_node(settings, "GET", LINKS)["links"]
    if not found:
        return "There are no links."
    heads = ("LINK", "KIND", "SESSION", "MAY", "MINTED BY", "EXPIRES", "STATE")
    now = time.time()
    return _table([heads, *(_row(link, now) for link in found)])


def _row(link: dict[str, Any], now: float) -> tuple[str, ...]:
    login_link = link["kind"] == LOGIN
    may = "everything" if login_link else "read, write" if link["may_write"] else "read"
    until = datetime.fromtimestamp(link["expires_at"], UTC).strftime("%Y-%m-%d %H:%M UTC")
    return (
        link["link_id"],
        link["kind"],
        link["session_id"] or "all",
        may,
        link["minted_by"],
        until,
        _state(link, now),
    )


def _state(link: dict[str, Any], now: float) -> str:
    if link["revoked_at"] is not None:
        return "revoked"
    used = link["redeemed_at"] is not None
    if used and link["kind"] == LOGIN:
        return "used"
    if link["expires_at"] <= now:
        return "expired"
    return "valid, used" if used else "valid"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    rows = list(rows)
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )
