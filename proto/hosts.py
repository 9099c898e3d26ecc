"""Hosts: which are this machine alone, and which a ZeroMQ endpoint over tcp names."""

import ipaddress
from typing import Final

from proto.origins import parse_authority

LOOPBACK_NAMES: Final = frozenset({"localhost", "127.0.0.1", "::1"})


def is_loopback(host: str) -> bool:
    """Whether a bind host or a peer's address is this machine alone."""
    if host in LOOPBACK_NAMES:
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    # A socket bound to :: names its IPv4 peers ::ffff:127.0.0.1, and is_loopback of Python 3.11
    # does not look inside.
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


def tcp_host(endpoint: str) -> str | None:
    """The host of ``tcp://HOST:PORT``, without brackets; None if the endpoint is anything else.

    The wildcard ``*`` is not a host: every address is ``0.0.0.0`` or ``[::]``.
    """
    scheme, _, rest = endpoint.partition("://")
    authority = parse_authority(rest) if scheme == "tcp" else None
    if authority is None or authority[1] is None:
        return None
    host = authority[0]
    if ":" in host or not host.strip("0123456789."):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return None
    return host
