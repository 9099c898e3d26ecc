"""What the conformance suite watches: a resource that is no session, and lists that change.

Our own resources are sessions and our own lists never change, so the product's handlers refuse
the one and never tell of the other. Everything else about a subscription stays theirs: these
handlers stand in front of them.
"""

import asyncio
from typing import Any, Final

from fastmcp import FastMCP
from mcp.server.context import ServerRequestContext
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    PromptsListChanged,
    ServerEvent,
    ToolsListChanged,
    event_to_notification,
)
from mcp_types import EmptyResult, SubscribeRequestParams, SubscriptionsListenRequestParams

WATCHED: Final = "test://watched-resource"


def add_changes(mcp: FastMCP) -> None:
    @mcp.resource(WATCHED, mime_type="text/plain")
    def watched_resource() -> str:
        """A resource that may be subscribed to."""
        return "It is watched."

    listeners: set[asyncio.Queue[ServerEvent]] = set()

    def tell(event: ServerEvent) -> None:
        for listener in listeners:
            listener.put_nowait(event)

    @mcp.tool
    def test_trigger_tool_change() -> str:
        """Tell who listens that the list of tools has changed."""
        tell(ToolsListChanged())
        return "Told."

    @mcp.tool
    def test_trigger_prompt_change() -> str:
        """Tell who listens that the list of prompts has changed."""
        tell(PromptsListChanged())
        return "Told."

    accept_the_watched_resource(mcp)
    carry_list_changes(mcp, listeners)


def accept_the_watched_resource(mcp: FastMCP) -> None:
    """Let the one resource that is no session be subscribed to."""
    for method in ("resources/subscribe", "resources/unsubscribe"):
        entry = mcp._mcp_server.get_request_handler(method)
        assert entry is not None

        async def answer(
            context: Any, params: SubscribeRequestParams, ours: Any = entry.handler
        ) -> EmptyResult:
            return EmptyResult() if params.uri == WATCHED else await ours(context, params)

        mcp._mcp_server.add_request_handler(method, SubscribeRequestParams, answer)


def carry_list_changes(mcp: FastMCP, listeners: set[asyncio.Queue[ServerEvent]]) -> None:
    """Let the product serve a listen stream, and add changed lists to it where it asks for them."""
    entry = mcp._mcp_server.get_request_handler("subscriptions/listen")
    assert entry is not None
    ours = entry.handler

    async def listen(
        context: ServerRequestContext[Any, Any], params: SubscriptionsListenRequestParams
    ) -> Any:
        wanted: list[type[ServerEvent]] = []
        if params.notifications.tools_list_changed:
            wanted.append(ToolsListChanged)
        if params.notifications.prompts_list_changed:
            wanted.append(PromptsListChanged)
        changes: asyncio.Queue[ServerEvent] = asyncio.Queue()

        async def pass_on() -> None:
            while True:
                event = await changes.get()
                if type(event) in wanted:
                    await context.session.send_notification(
                        event_to_notification(
                            event, {SUBSCRIPTION_ID_META_KEY: context.request_id}
                        ),
                        related_request_id=context.request_id,
                    )

        listeners.add(changes)
        passing = asyncio.create_task(pass_on())
        try:
            return await ours(context, params)
        finally:
            passing.cancel()
            listeners.discard(changes)

    mcp._mcp_server.add_request_handler(
        "subscriptions/listen", SubscriptionsListenRequestParams, listen
    )
