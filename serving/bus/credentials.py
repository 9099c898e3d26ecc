"""What proves a node to nats-server: its nkey, a credentials file (``.creds``), or a certificate.

A credentials file has a JWT, and the seed of the nkey that signs nonces.
"""

import base64
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto.errors import ConfigurationError
from proto.nats_servers import NatsServers
from proto.settings import Settings
from serving.bus import nkeys

_PART: Final = r"-{3,} *BEGIN %s *-{3,}\s+(\S+)\s+-{3,} *END"
_JWT: Final = re.compile(_PART % "NATS USER JWT")
_SEED: Final = re.compile(_PART % "USER NKEY SEED")


class Credentials(NamedTuple):
    """What nats-py asks for: see ``signature_cb`` and ``user_jwt_cb`` of its ``connect``.

    Attributes:
        sign: signs the server's nonce.
        nkey: the public key of a user that the server knows by it, else None.
        jwt: the JWT of a user that the server knows by that, else None.
    """

    sign: Callable[[str], bytes]
    nkey: str | None = None
    jwt: Callable[[], bytes] | None = None


def read_credentials(settings: Settings, servers: NatsServers, node: str) -> Credentials | None:
    """What a node signs with: a file that the settings name, or its own key.

    None with a password or token in the address, or with a client certificate.

    Raises:
        ConfigurationError: a file cannot be read, is open to others, or is not what it should be.
    """
    if settings.nats_credentials is not None:
        return _with_jwt(settings.nats_credentials)
    if settings.nats_nkey_file is not None:
        return _with_nkey(nkeys.read_key(settings.nats_nkey_file))
    if servers.secret or settings.nats_cert_file is not None:
        return None
    return _with_nkey(nkeys.own_key(settings.data_dir, node))


def _with_jwt(path: Path) -> Credentials:
    try:
        text = path.read_text("ascii")
        jwt, seed = _JWT.search(text), _SEED.search(text)
        if jwt is None or seed is None:
            raise ValueError
        key = nkeys.parse_seed(seed[1])
    except (OSError, ValueError):
        raise ConfigurationError(
            "PARTYLINE_NATS_CREDENTIALS cannot be read, or is not a .creds file of a NATS user"
        ) from None
    token = jwt[1].encode()
    return Credentials(_signer(key), jwt=lambda: token)


def _with_nkey(key: Ed25519PrivateKey) -> Credentials:
    return Credentials(_signer(key), nkey=nkeys.public_key(key))


def _signer(key: Ed25519PrivateKey) -> Callable[[str], bytes]:
    return lambda nonce: base64.b64encode(key.sign(nonce.encode()))


def tls_context(settings: Settings) -> ssl.SSLContext:
    """TLS with the operator's authority and client certificate, where they are set.

    Raises:
        ConfigurationError: a file cannot be used.
    """
    try:
        context = ssl.create_default_context(cafile=settings.ca_file)
        if settings.nats_cert_file is not None:
            context.load_cert_chain(settings.nats_cert_file, settings.nats_key_file)
    except (OSError, ssl.SSLError):
        raise ConfigurationError(
            "PARTYLINE_CA_FILE, PARTYLINE_NATS_CERT_FILE or PARTYLINE_NATS_KEY_FILE cannot be read,"
            " or holds no certificate or key in PEM"
        ) from None
    return context
