"""Who is there: how many people watch and which agents are at work, as the page shows it."""

import asyncio

import pytest
from playwright.async_api import expect

from tests.browser.conftest import People
from tests.pair import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_people_and_agents_come_and_go(pair: Pair, people: People, name: str) -> None:
    async with pair.agent("alice") as agent:
        await agent.call_tool("create_session", {"session_id": name, "purpose": "To be seen"})
        said = await agent.call_tool("add_message", {"session_id": name, "content": "here"})
        first = await people.enter(pair)
        page = await first.open(name)
        viewers, agents = page.locator(".viewers"), page.locator(".presence .agents")
        await expect(viewers).to_have_text("1 watching")
        await expect(agents).to_contain_text("alice: active")
        second = await people.enter(pair)
        other = await second.open(name)
        await expect(viewers).to_have_text("2 watching")
        await expect(other.locator(".viewers")).to_have_text("2 watching")
        await other.close()
        await expect(viewers).to_have_text("1 watching")
        after = said.structured_content["message_id"]
        waits = {"session_id": name, "after": after, "timeout_seconds": 50}
        async with pair.agent("bob") as waiter:
            waiting = asyncio.create_task(waiter.call_tool("wait_for_messages", waits))
            await expect(agents).to_contain_text("bob: waiting")
            await agent.call_tool("add_message", {"session_id": name, "content": "come"})
            await waiting
        await expect(agents).to_contain_text("bob: active")
