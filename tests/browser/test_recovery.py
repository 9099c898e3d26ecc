"""Nodes die while an agent writes: the page shows every message once, in order (must hold 2)."""

import asyncio
import contextlib

import pytest
from fastmcp import Client
from playwright.async_api import expect

from tests.browser.conftest import People
from tests.browser.people import Person, ids, texts
from tests.pair import Pair
from tests.waiting import PATIENCE, START_SECONDS, until

pytestmark = pytest.mark.asyncio(loop_scope="session")


class Writer:
    """Says numbers until it is told to stop; what is not acknowledged is said again, once."""

    def __init__(self, pair: Pair, session_id: str) -> None:
        self.said: list[int] = []
        self._pair = pair
        self._session_id = session_id
        self._stop = False

    async def run(self) -> None:
        while not self._stop:
            with contextlib.suppress(Exception):  # mcp_node is dead: come back until it is not
                async with asyncio.timeout(PATIENCE), self._pair.agent("alice") as agent:
                    while not self._stop:
                        await self._say(agent, len(self.said))
                        await asyncio.sleep(0.02)
            await asyncio.sleep(0.05)

    async def _say(self, agent: Client, number: int) -> None:  # type: ignore[type-arg]
        answer = await agent.call_tool(
            "add_message",
            {
                "session_id": self._session_id,
                "content": f"number {number}",
                "idempotency_key": f"number-{number}",
            },
        )
        self.said.append(answer.structured_content["message_id"])  # type: ignore[index]

    async def more(self, count: int) -> None:
        """Wait until it has said that many more."""
        enough = len(self.said) + count
        await until(lambda: len(self.said) >= enough, within=START_SECONDS)

    def stop(self) -> None:
        self._stop = True


async def test_both_nodes_die_while_an_agent_writes(
    killable: Pair, people: People, name: str
) -> None:
    async with killable.agent("alice") as agent:
        await agent.call_tool("create_session", {"session_id": name, "purpose": "To be broken"})
    person = await people.enter(killable)
    page = await person.open(name)
    writer = Writer(killable, name)
    writing = asyncio.create_task(writer.run())
    await writer.more(20)

    killable.ws.kill()
    await expect(page.locator(".connection")).to_have_attribute("data-state", "reconnecting")
    await expect(page.locator(".state-text")).to_contain_text("reconnecting in")
    await writer.more(20)
    killable.ws.spawn()
    await killable.ws.answers()
    await recovered(person)
    await writer.more(20)

    killable.mcp.kill()
    killable.mcp.spawn()
    await killable.mcp.answers()
    await writer.more(20)
    writer.stop()
    await writing

    await until(lambda: has_last(person, writer.said[-1]))
    assert await ids(page) == writer.said
    assert await texts(page) == [f"number {n}" for n in range(len(writer.said))]


async def recovered(person: Person) -> None:
    await expect(person.page.locator(".connection")).to_have_attribute("data-state", "live")


async def has_last(person: Person, last: int) -> bool:
    shown = await ids(person.page)
    return bool(shown) and shown[-1] == last
