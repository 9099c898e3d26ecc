"""Subscribers of both eras, as real clients: what they are told, and how it ends."""

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

from tests.integration.crowd import make_room, say
from tests.pair import Pair, plain_client, until

ERAS = ("modern", "legacy")

_warm = itertools.count(1)


class Ear:
    """What a subscriber is told.

    Attributes:
        heard: URIs, in the order in which they came.
        end: None while it goes on; then how it ended: ``graceful`` or ``lost``.
        client: the client behind it.
    """

    def __init__(self, client: Client[Any], deaf_to: str = "") -> None:
        self.client = client
        self.heard: list[str] = []
        self.end: str | None = None
        self._deaf_to = deaf_to

    def hear(self, uri: str) -> None:
        """The client was told of a URI."""
        if uri != self._deaf_to:
            self.heard.append(uri)

    async def hears(self, *uris: str) -> None:
        """It is told exactly this, and then this test is not interested in it any more."""
        await until(lambda: len(self.heard) >= len(uris))
        assert self.heard == list(uris)
        self.heard.clear()


class _Handler(MessageHandler):
    """Hands what a legacy client is told to its ear."""

    def __init__(self) -> None:
        self.ear: Ear | None = None
        self.woken = asyncio.Event()

    async def on_resource_updated(self, message: mcp_types.ResourceUpdatedNotification) -> None:
        assert self.ear is not None
        self.woken.set()
        self.ear.hear(str(message.params.uri))


@contextlib.asynccontextmanager
async def subscribed(
    pair: Pair, era: str, uris: Sequence[str], token: str | None
) -> AsyncIterator[Ear]:
    """A client that is subscribed to some URIs, and told of them from now on."""
    opened = _modern if era == "modern" else _legacy
    async with opened(pair, uris, token) as ear:
        yield ear


@contextlib.asynccontextmanager
async def _modern(pair: Pair, uris: Sequence[str], token: str | None) -> AsyncIterator[Ear]:
    async with (
        Client(f"{pair.mcp_url}/mcp", auth=token) as client,
        listen(client.session, resource_subscriptions=uris) as subscription,
    ):
        ear = Ear(client)
        assert subscription.honored.resource_subscriptions == list(uris)

        async def drink() -> None:
            try:
                async for event in subscription:
                    assert isinstance(event, ResourceUpdated)
                    ear.hear(event.uri)
                ear.end = "graceful"
            except SubscriptionLost:
                ear.end = "lost"

        drinking = asyncio.create_task(drink())
        try:
            yield ear
        finally:
            drinking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await drinking


@contextlib.asynccontextmanager
async def _legacy(pair: Pair, uris: Sequence[str], token: str | None) -> AsyncIterator[Ear]:
    handler = _Handler()
    warm = await make_room(pair, f"warm-{next(_warm)}")
    mcp = f"{pair.mcp_url}/mcp"
    async with Client(mcp, auth=token, mode="legacy", message_handler=handler) as client:
        handler.ear = ear = Ear(client, f"session://{warm}")
        await _open_stream(pair, client, warm, handler)
        for uri in uris:
            await subscribe(client, uri)
        yield ear


async def _open_stream(pair: Pair, client: Client[Any], warm: str, handler: _Handler) -> None:
    """The client opens its standing stream by itself, some time: until then it hears nothing."""
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


async def subscriptions(pair: Pair) -> int:
    """How many resources are subscribed to, as the node's figures say."""
    async with plain_client(headers=pair.headers("root", scopes="admin")) as client:
        figures = (await client.get(f"{pair.mcp_url}/metrics")).text
    lines = [line for line in figures.splitlines() if "resource_subscriptions" in line]
    return int(float(lines[-1].rsplit(" ", 1)[1]))
