"""Hosts: which are this machine alone."""

import pytest

from proto.hosts import is_loopback

LOOPBACK = [
    *("127.0.0.1", "127.8.9.1", "::1", "localhost", "0:0:0:0:0:0:0:1"),
    *("::ffff:127.0.0.1", "::ffff:7f00:1"),
]


@pytest.mark.parametrize("host", LOOPBACK)
def test_loopback_hosts_are_recognised(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize(
    "host",
    [
        *("", "0.0.0.0", "::", "10.0.0.1", "localhost.example", "127.0.0.1.example", "127.1"),
        *("[::1]", "::ffff:10.0.0.1", "::127.0.0.1", "::ffff:0:127.0.0.1", "64:ff9b::7f00:1"),
    ],
)
def test_other_hosts_are_not_loopback(host: str) -> None:
    assert not is_loopback(host)
