"""What change notifications reach into of the pinned fastmcp and mcp releases."""

from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

from fastmcp import FastMCP
from fastmcp.utilities.tests import asgi_server
from mcp.server.connection import Connection
from mcp_types import EmptyResult

from mcp_node.doors.mcp.server import make_server
from mcp_node.services import make_services
from proto.keyfile import open_data_dir, public_key
from proto.settings import load_settings
from proto.tokens import PrincipalVerifier
from serving.http.identity import Identity
from tests.integration.subscribers import subscribe
from tests.mcp_node import storing
from tests.mcp_node.making import new_session, opened
from tests.waiting import until

METHODS = ("subscriptions/listen", "resources/subscribe", "resources/unsubscribe")


def test_a_plain_server_serves_none_of_the_methods() -> None:
    plain = FastMCP("plain")
    for method in METHODS:
        assert plain._mcp_server.get_request_handler(method) is None


async def test_what_is_used_of_a_connection(tmp_path: Path) -> None:
    """`_mcp_server.add_request_handler` takes handlers, and ``_connection`` is what we think."""
    identity = Identity(
        PrincipalVerifier(public_key(open_data_dir(tmp_path / "data"))), auth_off=True
    )
    seen: list[Connection] = []
    async with opened(tmp_path / "data") as store:
        await storing.create_session(store, new_session("room"))
        services = make_services(store, load_settings(data_dir=tmp_path / "data"))
        mcp = make_server(services, identity)
        entry = mcp._mcp_server.get_request_handler("resources/subscribe")
        assert entry is not None
        assert mcp._mcp_server.get_request_handler("subscriptions/listen") is not None

        async def spy(context: Any, params: Any) -> EmptyResult:
            seen.append(context.session._connection)
            answer = await entry.handler(context, params)
            assert isinstance(answer, EmptyResult)
            return answer

        mcp._mcp_server.add_request_handler("resources/subscribe", entry.params_type, spy)
        async with asgi_server(mcp) as running, running.client(mode="legacy") as client:
            for uri in ("session://room", "session://room/messages"):
                await subscribe(client, uri)
            first, second = seen
            assert isinstance(first, Connection) and first is second
            assert isinstance(first.exit_stack, AsyncExitStack) and first.session_id
            assert len(first.exit_stack._exit_callbacks) == 1  # not one for each subscription
            assert len(services.subscriptions) == 2
        await until(lambda: len(services.subscriptions) == 0)
        await until(lambda: not any(first.state.values()))
