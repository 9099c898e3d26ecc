"""Change notifications over MCP, in both eras, for resources of sessions.

2026-07-28
    ``subscriptions/listen``: the response to one request is the stream. It ends with a result when
    the node stops, and without one when its token is no longer valid.
Before
    ``resources/subscribe``: notifications go to the session's GET stream; without such a stream
    the library drops them. A subscription ends silently when its token is no longer valid.

FastMCP serves none of these methods and has no hook for them: `add_notifications` uses the private
``_mcp_server`` and ``_connection`` of the pinned releases (tests check both).
"""

import asyncio
import contextvars
from typing import Any, Final

from fastmcp import FastMCP
from fastmcp.server.dependencies import bind_request_context
from mcp.server.connection import Connection
from mcp.server.context import ServerRequestContext
from mcp.shared.subscriptions import (
    SUBSCRIPTION_ID_META_KEY,
    ResourceUpdated,
    event_to_notification,
)
from mcp_types import (
    EmptyResult,
    SubscribeRequestParams,
    SubscriptionFilter,
    SubscriptionsAcknowledgedNotification,
    SubscriptionsAcknowledgedNotificationParams,
    SubscriptionsListenRequestParams,
    SubscriptionsListenResult,
    UnsubscribeRequestParams,
)

from mcp_node.doors.mcp.errors import protocol_errors
from mcp_node.doors.mcp.identity import current_principal
from mcp_node.inbox.subscriptions import Subscription, Subscriptions
from serving.http.identity import Identity

Context = ServerRequestContext[Any, Any]

_TOLD: Final = "partyline.subscriptions"
"""The key in a legacy connection's state for its notifying tasks, by subscribed URI."""


def add_notifications(mcp: FastMCP, subscriptions: Subscriptions, identity: Identity) -> None:
    """Serve subscriptions in both eras, which then advertise ``resources.subscribe``."""
    notifier = _Notifier(subscriptions, identity)
    add = mcp._mcp_server.add_request_handler
    add("subscriptions/listen", SubscriptionsListenRequestParams, notifier.listen)
    add("resources/subscribe", SubscribeRequestParams, notifier.subscribe)
    add("resources/unsubscribe", UnsubscribeRequestParams, notifier.unsubscribe)


class _Notifier:
    """The three methods. A subscription has the rights of the token that made it."""

    def __init__(self, subscriptions: Subscriptions, identity: Identity) -> None:
        self._subscriptions = subscriptions
        self._identity = identity

    async def listen(
        self, context: Context, params: SubscriptionsListenRequestParams
    ) -> SubscriptionsListenResult:
        """Acknowledge, then notify of changes for as long as the request is open."""
        honored = _honored(params.notifications)
        subscription = await self._subscribe(context, honored.resource_subscriptions or [])
        meta = {SUBSCRIPTION_ID_META_KEY: context.request_id}
        acknowledged = SubscriptionsAcknowledgedNotificationParams.model_validate(
            {"notifications": honored, "_meta": meta}
        )
        try:
            await context.session.send_notification(
                SubscriptionsAcknowledgedNotification(params=acknowledged),
                related_request_id=context.request_id,
            )
            while changed := await self._changed(subscription):
                for uri in changed:
                    await context.session.send_notification(
                        event_to_notification(ResourceUpdated(uri), meta),
                        related_request_id=context.request_id,
                    )
        finally:
            self._subscriptions.remove(subscription)
        return SubscriptionsListenResult.model_validate({"_meta": meta})

    async def subscribe(self, context: Context, params: SubscribeRequestParams) -> EmptyResult:
        """Notify this connection of changes from now on; repeating it renews the rights."""
        subscription = await self._subscribe(context, [params.uri])
        connection = context.session._connection
        told = connection.state.get(_TOLD)
        if told is None:  # one callback for a connection, however often it subscribes
            told = connection.state[_TOLD] = {}
            connection.exit_stack.callback(_cancel_all, told)
        _cancel(told.pop(params.uri, None))
        # In a new context: the task would keep this request's context, with its token, alive.
        telling = asyncio.create_task(
            self._tell(connection, subscription), context=contextvars.Context()
        )
        told[params.uri] = telling

        def forget(_: asyncio.Task[None]) -> None:
            self._subscriptions.remove(subscription)
            if told.get(params.uri) is telling:
                del told[params.uri]

        telling.add_done_callback(forget)  # also if it is cancelled before it has begun
        return EmptyResult()

    async def unsubscribe(self, context: Context, params: UnsubscribeRequestParams) -> EmptyResult:
        """End a subscription; it is no error if there is none."""
        _cancel(context.session._connection.state.get(_TOLD, {}).pop(params.uri, None))
        return EmptyResult()

    async def _subscribe(self, context: Context, uris: list[str]) -> Subscription:
        with protocol_errors():
            with bind_request_context(context):
                principal = current_principal(self._identity)
            return await self._subscriptions.subscribe(principal, uris)

    async def _tell(self, connection: Connection, subscription: Subscription) -> None:
        while changed := await self._changed(subscription):
            for uri in changed:
                await connection.send_resource_updated(uri)

    async def _changed(self, subscription: Subscription) -> list[str]:
        """The URIs that changed; empty when the subscription or its token has ended."""
        changed = await subscription.changed()
        return changed if self._identity.is_valid(subscription.principal) else []


def _honored(wanted: SubscriptionFilter) -> SubscriptionFilter:
    """The requested notifications. Those of changed lists are never sent: our lists are fixed."""
    return SubscriptionFilter(
        tools_list_changed=wanted.tools_list_changed or None,
        prompts_list_changed=wanted.prompts_list_changed or None,
        resources_list_changed=wanted.resources_list_changed or None,
        resource_subscriptions=wanted.resource_subscriptions or None,
    )


def _cancel(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()


def _cancel_all(told: dict[str, asyncio.Task[None]]) -> None:
    while told:
        _cancel(told.popitem()[1])
