"""The write rate goes by principal: one that floods is told so, the others go on."""

from pathlib import Path

import pytest

from mcp_node.services import make_services
from proto.errors import RateLimited
from proto.messages import Principal
from proto.settings import load_settings
from tests.mcp_node import storing
from tests.mcp_node.making import opened

FLOODER = Principal("flooder", "claude", frozenset({"read", "write"}), token_id="t1")
OTHER = Principal("other", "claude", frozenset({"read", "write"}), token_id="t2")


async def test_a_flooder_is_refused_and_nothing_of_it_is_stored(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path, writes_per_second=2)
    async with opened(tmp_path) as store:
        rooms = make_services(store, settings).sessions
        await rooms.create_session(FLOODER, "flood", "room")
        stored = 0
        with pytest.raises(RateLimited, match="RATE_LIMITED"):
            for _ in range(10):
                await rooms.add_message(FLOODER, "room", "again")
                stored += 1
        assert 3 <= stored < 10
        assert await storing.session_head(store, "room") == stored
        await rooms.add_message(OTHER, "room", "not affected")
