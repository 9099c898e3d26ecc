"""Addresses of nats-server as a setting names them, with the credentials taken out."""

from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from proto.origins import parse_authority

DEFAULT_PORT: Final = 4222


@dataclass(frozen=True)
class NatsServers:
    """The servers of one NATS cluster.

    Attributes:
        urls: ``nats://HOST:PORT`` of each, without credentials.
        hosts: of the servers, without brackets.
        tls: whether a connection without TLS must be refused.
        user, password, token: the credentials, None where not given.
    """

    urls: tuple[str, ...]
    hosts: tuple[str, ...]
    tls: bool
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)

    @property
    def secret(self) -> bool:
        """Whether the addresses have a password or a token."""
        return self.user is not None or self.token is not None


def parse_nats_servers(text: str) -> NatsServers:
    """The servers of ``nats://[USER:PASSWORD@ or TOKEN@]HOST[:PORT]``, separated by commas.

    ``tls://`` demands TLS of every server. The first address that has credentials gives those of
    all; characters such as ``@`` and ``/`` are written as ``%40`` and ``%2F`` in them.

    Raises:
        ValueError: an address has another form; the text does not repeat it.
    """
    urls, hosts, schemes, secrets = [], [], set(), set()
    for address in text.split(","):
        scheme, separator, rest = address.strip().partition("://")
        credentials, _, authority = rest.rpartition("@")
        parsed = parse_authority(authority.removesuffix("/"))
        if not separator or scheme not in ("nats", "tls") or parsed is None:
            raise ValueError(
                "must be nats://HOST[:PORT] or tls://HOST[:PORT], perhaps with USER:PASSWORD@ or"
                " TOKEN@ before the host, separated by commas"
            )
        host, port = parsed[0], parsed[1] or DEFAULT_PORT
        urls.append(f"nats://[{host}]:{port}" if ":" in host else f"nats://{host}:{port}")
        hosts.append(host)
        schemes.add(scheme)
        if credentials:
            secrets.add(credentials)
    if len(schemes) > 1:
        raise ValueError("must have the same scheme in every address: nats:// or tls://")
    if len(secrets) > 1:
        raise ValueError("must have the same credentials in every address, or in one alone")
    user, separator, password = (secrets.pop() if secrets else "").partition(":")
    return NatsServers(
        tuple(urls),
        tuple(hosts),
        schemes == {"tls"},
        user=unquote(user) if separator else None,
        password=unquote(password) if separator else None,
        token=unquote(user) if user and not separator else None,
    )
