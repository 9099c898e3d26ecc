"""Nkeys: a node proves itself to nats-server by signing a nonce with its own key.

Nothing that a server is sent lets anybody log in later, unlike a password. Each kind of node has a
key in the data directory, created at first use; an operator lists the public keys in nats-server's
configuration. The seed is the secret key as NATS writes it: 58 letters and digits, first SU.
"""

import binascii
from base64 import b32decode, b32encode
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto import keyfile
from proto.errors import ConfigurationError

FILES: Final = {"mcp_node": "nats-mcp.key", "ws_node": "nats-ws.key"}
"""In the data directory: the seed of each kind of node."""

_SEED: Final = 18 << 3
_USER: Final = 20 << 3
"""``S`` and ``U``: first letters in base32. A seed's kind follows in the next eight bits."""


def parse_seed(text: str) -> Ed25519PrivateKey:
    """The key of a seed; of a user, or of anything else that NATS gives a key.

    Raises:
        ValueError: it is not a seed.
    """
    raw = b32decode(text + "=" * (-len(text) % 8))
    if len(raw) != 36 or raw[0] & 0xF8 != _SEED:
        raise ValueError
    if binascii.crc_hqx(raw[:-2], 0) != int.from_bytes(raw[-2:], "little"):
        raise ValueError
    return Ed25519PrivateKey.from_private_bytes(raw[2:-2])


def new_seed() -> str:
    """The seed of a new user."""
    kind = bytes((_SEED | _USER >> 5, (_USER & 31) << 3))
    return _encoded(kind + Ed25519PrivateKey.generate().private_bytes_raw())


def public_key(key: Ed25519PrivateKey) -> str:
    """A user's public key, as nats-server's configuration names it."""
    return _encoded(bytes((_USER,)) + key.public_key().public_bytes_raw())


def own_key(data_dir: Path, node: str) -> Ed25519PrivateKey:
    """The key of one of the kinds of nodes in `FILES`; created at first use.

    Raises:
        ConfigurationError: the file is unreadable, open to others, or not a seed.
    """
    path = data_dir / FILES[node]
    return _parsed(path, keyfile.read_or_make(path, lambda: new_seed().encode()))


def read_key(path: Path) -> Ed25519PrivateKey:
    """The key in a file of the operator's.

    Raises:
        ConfigurationError: as `own_key`, or there is no such file.
    """
    try:
        return _parsed(path, keyfile.read_private(path))
    except FileNotFoundError:
        raise ConfigurationError(f"{path} does not exist: PARTYLINE_NATS_NKEY_FILE") from None


def _parsed(path: Path, content: bytes) -> Ed25519PrivateKey:
    try:
        return parse_seed(content.decode("ascii").strip())
    except ValueError:
        raise ConfigurationError(f"{path} is not the seed of an nkey of NATS") from None


def _encoded(raw: bytes) -> str:
    checked = raw + binascii.crc_hqx(raw, 0).to_bytes(2, "little")
    return b32encode(checked).decode().rstrip("=")
