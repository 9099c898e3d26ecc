"""A refused handshake is answered, and leaves no error in the log: a stranger could fill it."""

import pytest
import websockets

from tests.clients import frame
from tests.integration.rooms import say
from tests.pair import Pair


async def test_a_refused_handshake_logs_no_error(pair: Pair, room: str) -> None:
    before = len(pair.ws.output())
    for headers in ({"Host": "example.com"}, {"Origin": "https://example.com"}):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(
                f"ws://127.0.0.1:{pair.ws_port}/ws/{room}",
                additional_headers=pair.headers("alice") | headers,
                proxy=None,
            ):
                pass
        assert refused.value.response.status_code == 403
    async with pair.viewer(room) as viewer, pair.rest() as rest:
        said = await say(rest, room, "the node has logged whatever it would log by now")
        assert (await frame(viewer))["position"] == said
    assert " ERROR " not in pair.ws.output()[before:]
