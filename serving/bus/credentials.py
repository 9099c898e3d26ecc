"""What proves a node to nats-server: certificates, and the credentials file (``.creds``) of a user.

Such a file has a JWT, and the seed that signs nonces.
"""

import base64
import binascii
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto.errors import ConfigurationError
from proto.settings import Settings

_PART: Final = r"-{3,} *BEGIN %s *-{3,}\s+(\S+)\s+-{3,} *END"
_JWT: Final = re.compile(_PART % "NATS USER JWT")
_SEED: Final = re.compile(_PART % "USER NKEY SEED")
_SEED_PREFIX: Final = 0b10010
"""``S``, in the first five bits; then the kind of the key in eight, and three zeros."""


class Credentials(NamedTuple):
    """What nats-py asks for: see ``user_jwt_cb`` and ``signature_cb`` of its ``connect``."""

    jwt: Callable[[], bytes]
    sign: Callable[[str], bytes]


def read_credentials(path: Path) -> Credentials:
    """The credentials in a file.

    Raises:
        ConfigurationError: it cannot be read, or is not such a file.
    """
    try:
        text = path.read_text("ascii")
        jwt, seed = _JWT.search(text), _SEED.search(text)
        if jwt is None or seed is None:
            raise ValueError
        key = Ed25519PrivateKey.from_private_bytes(_decoded(seed[1]))
    except (OSError, ValueError):
        raise ConfigurationError(
            "PARTYLINE_NATS_CREDENTIALS cannot be read, or is not a .creds file of a NATS user"
        ) from None
    token = jwt[1].encode()
    return Credentials(lambda: token, lambda nonce: base64.b64encode(key.sign(nonce.encode())))


def _decoded(seed: str) -> bytes:
    """The 32 bytes of an encoded seed: two bytes before them tell its kind, two after are a CRC.

    Raises:
        ValueError: it is not a seed.
    """
    raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
    if len(raw) != 36 or raw[0] >> 3 != _SEED_PREFIX:
        raise ValueError
    if binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):
        raise ValueError
    return raw[2:-2]


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
