"""Tokens as an attacker, or a program that is not ours, would write them."""

import base64
import hashlib
import hmac
import json
import time
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

MISSING: Final = object()


def principal_claims(**changes: object) -> dict[str, Any]:
    """The claims of a valid principal token, with some changed or (`MISSING`) left out."""
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": "partyline",
        "aud": "partyline",
        "sub": "claude-main",
        "agent_type": "claude",
        "scope": "read write",
        "sessions": "*",
        "iat": now,
        "exp": now + 7200,  # some are made at import, long before they are used
        "jti": "0123abcd",
    }
    return {name: v for name, v in (claims | changes).items() if v is not MISSING}


def service_claims(**changes: object) -> dict[str, Any]:
    """The claims of a service token of the first version, changed likewise."""
    now = int(time.time())
    claims: dict[str, object] = {
        "iss": "partyline",
        "aud": "partyline/mcp_node",
        "iat": now,
        "exp": now + 300,
    }
    return {name: v for name, v in (claims | changes).items() if v is not MISSING}


def base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signing_input(header: object, claims: object) -> str:
    return f"{base64url(json.dumps(header).encode())}.{base64url(json.dumps(claims).encode())}"


def eddsa(key: Ed25519PrivateKey, claims: object, **header: object) -> str:
    """A token whose signature is right, whatever it says."""
    text = signing_input({"alg": "EdDSA", "typ": "JWT"} | header, claims)
    return f"{text}.{base64url(key.sign(text.encode()))}"


def hmac_token(secret: bytes, claims: object, digest: str = "sha256", **header: object) -> str:
    """A token with an HMAC over it, HS256 unless the header says otherwise."""
    text = signing_input({"alg": "HS256", "typ": "JWT"} | header, claims)
    return f"{text}.{base64url(hmac.new(secret, text.encode(), getattr(hashlib, digest)).digest())}"
