"""Authorization headers that must not open any door."""

import time
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto import keyfile
from tests.pair import Pair
from tests.proto.forged import (
    MISSING,
    eddsa,
    hmac_token,
    principal_claims,
    service_claims,
    signing_input,
)
from tests.security.unharmed import MARK

_PAST: Final = int(time.time()) - 60

CLAIMS: Final[dict[str, dict[str, object]]] = {
    **{f"without {claim}": {claim: MISSING} for claim in principal_claims()},
    "expired": {"exp": _PAST},
    "of tomorrow": {"nbf": int(time.time()) + 3600},
    "foreign issuer": {"iss": MARK},
    "foreign audience": {"aud": MARK},
    "audience of a node": {"aud": "partyline/mcp_node"},
    "reserved": {"sub": "system"},
    "reserved, capital": {"sub": "Human"},
    "reserved type": {"agent_type": "anonymous"},
    "an agent as the operator": {"sub": "human"},
    "the operator's kind": {"agent_type": "human"},
    "a guest's kind": {"agent_type": "guest", "sessions": ["room"]},
    "a guest of every session": {"sub": "guest:alice-01234567", "agent_type": "guest"},
    "an agent as a guest": {"sub": "guest:alice-01234567"},
    "no name": {"sub": f"{MARK}\n"},
    "unknown scope": {"scope": "read write root"},
    "no scope": {"scope": ""},
    "sessions text": {"sessions": "room"},
}
OTHERS: Final = [
    "absent",
    "stranger",
    "unsigned",
    "public key",
    "former service",
    "text",
]
BAD_TOKENS: Final = [*CLAIMS, *OTHERS]


def bad_token(pair: Pair, name: str) -> str | None:
    """One of `BAD_TOKENS`; None for no token at all."""
    data_dir = keyfile.open_data_dir(pair.data_dir)
    if name in CLAIMS:
        return eddsa(keyfile.signing_key(data_dir), principal_claims(**CLAIMS[name]))
    return {
        "absent": None,
        "stranger": eddsa(Ed25519PrivateKey.generate(), principal_claims()),
        "unsigned": signing_input({"alg": "none"}, principal_claims()) + ".",
        "public key": hmac_token(keyfile.public_key(data_dir), principal_claims()),
        "former service": former_service_token(pair)["Authorization"].removeprefix("Bearer "),
        "text": MARK,
    }[name]


def former_service_token(pair: Pair) -> dict[str, str]:
    """Authorization as the nodes of the first version had it towards each other."""
    key = keyfile.bridge_key(keyfile.open_data_dir(pair.data_dir))
    return {"Authorization": f"Bearer {hmac_token(key, service_claims())}"}


def bearer(token: str | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token}"}
