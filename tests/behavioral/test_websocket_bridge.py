"""The seed's behaviour: what an agent adds to a session is the first frame its viewer gets."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import websockets

from tests.clients import frame, whole
from tests.pair import Pair


@pytest.mark.parametrize("bridge", ["zmq", "http"])
@pytest.mark.parametrize("mode", ["auto", "legacy"])
async def test_a_message_is_the_viewers_first_frame(tmp_path: Path, bridge: str, mode: str) -> None:
    async with (
        Pair(tmp_path, auth="off", BRIDGE=bridge) as pair,
        pair.agent(mode=mode) as agent,
        websockets.connect(f"ws://127.0.0.1:{pair.ws_port}/ws/test-session") as viewer,
    ):
        await agent.call_tool(
            "create_session", {"purpose": "the seed's test", "session_id": "test-session"}
        )
        added = await agent.call_tool(
            "add_message",
            {
                "session_id": "test-session",
                "content": "Hello from MCP",
                "visibility": "public",
                "metadata": {"test": True, "deep": {"list": [1, 2.5, None]}},
            },
        )
        first = await frame(viewer)
        page = await agent.call_tool("get_messages", {"session_id": "test-session"})
        stored: dict[str, Any] = page.structured_content["messages"][0]

        assert first["type"] == "new_message"
        assert first["data"] == whole(stored)
        assert first["session_id"] == "test-session"
        assert first["position"] == added.structured_content["message_id"] == stored["id"]
        assert stored["content"] == "Hello from MCP"
        assert stored["sender"] == stored["sender_type"] == "anonymous"
        assert stored["metadata"] == {"test": True, "deep": {"list": [1, 2.5, None]}}
        moment = datetime.fromisoformat(stored["timestamp"])
        assert stored["timestamp"].endswith("Z")
        assert abs(datetime.now(UTC) - moment) < timedelta(seconds=30)


async def test_a_hundred_viewers_one_after_the_other_get_their_first_frame(
    tmp_path: Path,
) -> None:
    async with Pair(tmp_path, auth="off") as pair, pair.agent() as agent:
        await agent.call_tool("create_session", {"purpose": "again", "session_id": "test-session"})
        for turn in range(100):
            url = f"ws://127.0.0.1:{pair.ws_port}/ws/test-session"
            async with websockets.connect(url) as viewer:
                await agent.call_tool(
                    "add_message", {"session_id": "test-session", "content": f"turn {turn}"}
                )
                first = await frame(viewer)
                assert first["data"]["content"] == f"turn {turn}"
