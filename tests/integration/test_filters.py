"""Filters by thread and metadata, through the tools and REST of a real pair."""

import json

from tests.integration.rooms import make_room, say
from tests.pair import Pair


async def test_both_doors_filter_alike(pair: Pair) -> None:
    room = await make_room(pair, "filtered")
    async with pair.rest("ann") as rest, pair.agent("bob") as agent:
        root = await say(rest, room, "root word")
        reply = await say(rest, room, "reply word", parent_message_id=root)
        finding = await say(
            rest, room, "finding word", parent_message_id=reply, metadata={"kind": "finding"}
        )
        await say(rest, room, "aside word")
        fields = {"kind": "finding"}
        asked = [({"thread": root}, [reply, finding]), ({"metadata": fields}, [finding])]
        for arguments, wanted in asked:
            page = await agent.call_tool("get_messages", {"session_id": room, **arguments})
            assert [one["id"] for one in (page.structured_content or {})["messages"]] == wanted
            where = {"session_id": room, "query": "word", **arguments}
            hits = await agent.call_tool("search_messages", where)
            assert [
                one["message_id"] for one in (hits.structured_content or {})["results"]
            ] == wanted[::-1]
            query = {k: json.dumps(v) for k, v in arguments.items()}
            answer = await rest.get(f"/api/sessions/{room}/messages", params=query)
            assert [one["id"] for one in answer.json()["messages"]] == wanted
            answer = await rest.get(
                "/api/search", params={"q": "word", "session_id": room, **query}
            )
            assert [one["message_id"] for one in answer.json()["results"]] == wanted[::-1]


async def test_a_wrong_filter_is_refused(pair: Pair) -> None:
    room = await make_room(pair, "filtered-wrongly")
    wrong = [
        ({"thread": "0"}, 422),
        ({"thread": "x"}, 422),
        ({"thread": str(2**40)}, 404),
        ({"metadata": "kind=finding"}, 422),
        ({"metadata": "{}"}, 422),
        ({"metadata": '{"a": [1]}'}, 422),
        ({"metadata": '{"a": 1, "a": 2}'}, 422),
        ({"metadata": '{"a": 1e999}'}, 422),
    ]
    async with pair.rest("ann") as rest:
        for query, status in wrong:
            answer = await rest.get(f"/api/sessions/{room}/messages", params=query)
            assert answer.status_code == status, answer.text
            where = {"q": "word", "session_id": room, **query}
            answer = await rest.get("/api/search", params=where)
            assert answer.status_code == status, answer.text
