"""Notes and statuses on the real pair: over MCP and REST, and through the page's node."""

import json
from urllib.parse import quote

from tests.integration.rooms import make_room
from tests.pair import Pair


async def test_notes_over_every_door(pair: Pair) -> None:
    room = await make_room(pair, "notes-doors")
    key = "split/of work é"
    async with pair.agent("alice") as alice, pair.rest("bob") as rest:
        mine = {"session_id": room, "key": key, "text": "alice: docs", "if_version": 0}
        made = (await alice.call_tool("set_note", mine)).structured_content
        assert made is not None and made["version"] == 1
        refused = await alice.call_tool("set_note", mine, raise_on_error=False)
        problem, _, details = "".join(part.text for part in refused.content).partition("\n")
        assert problem.startswith("VERSION_CONFLICT: ")
        told = json.loads(details)
        assert (told["version"], told["text"], told["untrusted"]) == (1, "alice: docs", True)

        path = f"/api/sessions/{room}/notes"
        for url in (pair.mcp_url, pair.ws_url):
            one = f"{url}{path}/{quote(key, safe='')}"
            version = (await rest.get(one)).json()["notes"][0]["version"]
            put = await rest.put(one, json={"text": f"to {url}", "if_version": version})
            assert put.status_code == 200, put.text
            assert put.json()["version"] == version + 1
            assert (await rest.put(one, json={"text": "x", "if_version": 0})).status_code == 409
            assert (await rest.get(f"{url}{path}")).json()["notes"][0]["text"] == f"to {url}"
        found = await alice.call_tool("get_notes", {"session_id": room, "key": key})
        assert found.structured_content is not None and found.structured_content["untrusted"]
        assert [one["version"] for one in found.structured_content["earlier"]] == [2, 1]
        missing = await rest.get(f"{path}/nothing")
        assert (missing.status_code, missing.json()["error"]["code"]) == (404, "NOTE_NOT_FOUND")


async def test_statuses_over_every_door(pair: Pair) -> None:
    room = await make_room(pair, "statuses-doors")
    async with pair.agent("alice") as alice, pair.rest("bob") as rest:
        await alice.call_tool("set_status", {"session_id": room, "text": "checking A13"})
        path = f"{pair.ws_url}/api/sessions/{room}"
        put = await rest.put(f"{path}/status", json={"text": "reading", "minutes": 1})
        assert put.status_code == 200, put.text
        found = (await alice.call_tool("list_agents", {"session_id": room})).structured_content
        assert found is not None and found["untrusted"] is True
        said = {one["name"]: one["status"]["text"] for one in found["agents"]}
        assert said == {"alice": "checking A13", "bob": "reading"}
        await alice.call_tool("leave_session", {"session_id": room})
        assert (await rest.post(f"{path}/leave", json={})).status_code == 200
        agents = (await rest.get(f"{path}/agents")).json()["agents"]
        assert [
            ("left_at" in one, "status" in one) for one in agents if one["name"] == "alice"
        ] == [(True, False)]
