"""Web origins and Host headers as values, compared exactly: scheme, host and port.

Hosts are lower case and without brackets. What no browser would send (user names, paths, a
trailing question mark, spaces) is refused, not repaired.
"""

import re
from typing import Final

DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_HOST: Final = r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])"
_AUTHORITY: Final = re.compile(rf"(?P<host>{_HOST})(?::(?P<port>[0-9]{{1,5}}))?")
_ORIGIN: Final = re.compile(r"(?P<scheme>[Hh][Tt][Tt][Pp][Ss]?)://(?P<authority>.+)", re.DOTALL)

Origin = tuple[str, str, int]
"""Scheme, host and port."""


def parse_authority(text: str) -> tuple[str, int | None] | None:
    """Host and port (None where it has none) of a Host header; None if it is malformed."""
    found = _AUTHORITY.fullmatch(text)
    if found is None:
        return None
    host = found["host"].strip("[]").lower()
    if found["port"] is None:
        return host, None
    port = int(found["port"])
    return (host, port) if 0 < port < 65_536 else None


def parse_origin(text: str) -> Origin | None:
    """An origin as browsers write it, ``scheme://host[:port]``; None for ``null`` and all else."""
    found = _ORIGIN.fullmatch(text)
    authority = found and parse_authority(found["authority"])
    if not found or not authority:
        return None
    scheme = found["scheme"].lower()
    return scheme, authority[0], authority[1] or DEFAULT_PORTS[scheme]


def is_host(text: str) -> bool:
    """Whether ``text`` is only a host name or address, without port, scheme or wildcards."""
    bracketed = f"[{text}]" if ":" in text and not text.startswith("[") else text
    authority = parse_authority(bracketed)
    return authority is not None and authority[1] is None
