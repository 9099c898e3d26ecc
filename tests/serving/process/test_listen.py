"""A node's port: bound once, and a refusal says which one and what to set."""

import gc
import socket

import pytest

from proto.errors import ConfigurationError
from serving.process.server import listen, port_of, reserve


def test_a_bound_socket_takes_connections_at_once() -> None:
    with listen("127.0.0.1", 0, "PARTYLINE_MCP_PORT") as bound:
        assert not bound.getblocking()
        with socket.create_connection(("127.0.0.1", port_of(bound)), 5):
            pass


def test_a_busy_port_is_named_with_its_setting() -> None:
    with (
        listen("127.0.0.1", 0, "PARTYLINE_MCP_PORT") as bound,
        pytest.raises(ConfigurationError) as refusal,
    ):
        port = port_of(bound)
        listen("127.0.0.1", port, "PARTYLINE_WS_PORT")
    assert f"port {port} on 127.0.0.1" in str(refusal.value)
    assert "PARTYLINE_WS_PORT" in str(refusal.value)


def test_a_port_is_free_again_at_once() -> None:
    with listen("127.0.0.1", 0, "X") as bound:
        port = port_of(bound)
        with socket.create_connection(("127.0.0.1", port), 5):
            pass
    with listen("127.0.0.1", port, "X"):
        pass


@pytest.mark.parametrize("host", ["192.0.2.1", "no such host"])
def test_an_address_of_another_machine_is_refused(host: str) -> None:
    with pytest.raises(ConfigurationError, match="PARTYLINE_MCP_PORT"):
        listen(host, 0, "PARTYLINE_MCP_PORT")


def test_a_refused_bind_leaves_no_socket_open() -> None:
    """Warnings are errors: a socket that was forgotten would fail this test."""
    with listen("127.0.0.1", 0, "X") as bound:
        for _ in range(3):
            with pytest.raises(ConfigurationError):
                listen("127.0.0.1", port_of(bound), "X")
        gc.collect()


def test_a_reserved_port_is_listened_on_by_several_of_ours_and_nobody_else() -> None:
    with reserve("127.0.0.1", 0, "X") as reserved:
        port = port_of(reserved)
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 5)
        with listen("127.0.0.1", port, "X", shared=True) as first:
            with listen("127.0.0.1", port, "X", shared=True):
                with pytest.raises(ConfigurationError):
                    listen("127.0.0.1", port, "X")
                with pytest.raises(ConfigurationError):  # another ws_node of this user
                    reserve("127.0.0.1", port, "X")
            with socket.create_connection(("127.0.0.1", port), 5):
                assert first.accept()[0].close() is None
