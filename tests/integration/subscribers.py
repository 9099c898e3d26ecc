"""Subscribers of both eras, as real clients: what they are notified of, and how it ends."""

import asyncio
import contextlib
import itertools
import warnings
from collections.abc import AsyncIterator, Sequence
from typing import Any

import mcp_types
from fastmcp import Client
from fastmcp.client.auth import BearerAuth
from fastmcp.client.messages import MessageHandler
from mcp.client.subscriptions import ResourceUpdated, SubscriptionLost, listen
from mcp.shared.exceptions import MCPDeprecationWarning
from pydantic import SecretStr

from tests.integration.rooms import make_room, say
from tests.pair import Pair
from tests.waiting import until

ERAS = ("modern", "legacy")

_warm = itertools.count(1)


class Subscriber:
    """A client and the notifications that it got.

    Attributes:
        received: URIs, in the order in which they came.
        end: None while it goes on; then how it ended: ``graceful`` or ``lost``.
        client: the client behind it.
    """

    def __init__(self, client: Client[Any], ignored: str = "") -> None:
        self.client = client
        self.received: list[str] = []
        self.end: str | None = None
        self._ignored = ignored

    def notify(self, uri: str) -> None:
        """The client was notified of a URI."""
        if uri != self._ignored:
            self.received.append(uri)

    async def receives(self, *uris: str) -> None:
        """Wait for exactly these notifications, and forget them."""
        await until(lambda: len(self.received) >= len(uris))
        assert self.received == list(uris)
        self.received.clear()


class _Handler(MessageHandler):
    """Hands what a legacy client is told to its subscriber."""

    def __init__(self) -> None:
        self.subscriber: Subscriber | None = None
        self.woken = asyncio.Event()

    async def on_resource_updated(self, message: mcp_types.ResourceUpdatedNotification) -> None:
        assert self.subscriber is not None
        self.woken.set()
        self.subscriber.notify(str(message.params.uri))


@contextlib.asynccontextmanager
async def subscribed(
    pair: Pair, era: str, uris: Sequence[str], token: str | None
) -> AsyncIterator[Subscriber]:
    """A client that is subscribed to some URIs, and told of them from now on."""
    opened = _modern if era == "modern" else _legacy
    async with opened(pair, uris, token) as subscriber:
        yield subscriber


@contextlib.asynccontextmanager
async def _modern(pair: Pair, uris: Sequence[str], token: str | None) -> AsyncIterator[Subscriber]:
    async with (
        Client(f"{pair.mcp_url}/mcp", auth=token) as client,
        listen(client.session, resource_subscriptions=uris) as subscription,
    ):
        subscriber = Subscriber(client)
        assert subscription.honored.resource_subscriptions == list(uris)

        async def consume() -> None:
            try:
                async for event in subscription:
                    assert isinstance(event, ResourceUpdated)
                    subscriber.notify(event.uri)
                subscriber.end = "graceful"
            except SubscriptionLost:
                subscriber.end = "lost"

        consuming = asyncio.create_task(consume())
        try:
            yield subscriber
        finally:
            consuming.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await consuming


@contextlib.asynccontextmanager
async def _legacy(pair: Pair, uris: Sequence[str], token: str | None) -> AsyncIterator[Subscriber]:
    handler = _Handler()
    warm = await make_room(pair, f"warm-{next(_warm)}")
    mcp = f"{pair.mcp_url}/mcp"
    async with Client(mcp, auth=token, mode="legacy", message_handler=handler) as client:
        handler.subscriber = subscriber = Subscriber(client, f"session://{warm}")
        await _open_stream(pair, client, warm, handler)
        for uri in uris:
            await subscribe(client, uri)
        yield subscriber


async def _open_stream(pair: Pair, client: Client[Any], warm: str, handler: _Handler) -> None:
    """The client opens its standing stream by itself, some time: until then it receives nothing."""
    await subscribe(client, f"session://{warm}")
    async with pair.rest("warmer") as rest:

        async def told() -> bool:
            await say(rest, warm, "is anybody listening?")
            return handler.woken.is_set()

        await until(told)
    await unsubscribe(client, f"session://{warm}")


async def subscribe(client: Client[Any], uri: str) -> None:
    """resources/subscribe; deprecated, which is no news in the older era."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        await client.session.subscribe_resource(uri)


def speak_with(client: Client[Any], token: str) -> None:
    """Have a client's next requests carry another token."""
    auth = client.transport.auth
    assert isinstance(auth, BearerAuth)
    auth.token = SecretStr(token)


async def unsubscribe(client: Client[Any], uri: str) -> None:
    """resources/unsubscribe."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", MCPDeprecationWarning)
        await client.session.unsubscribe_resource(uri)


async def subscriptions(pair: Pair) -> float:
    """How many resources are subscribed to."""
    return await pair.metric(pair.mcp, "resource_subscriptions")
