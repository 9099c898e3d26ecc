"""Principal tokens that must not verify: each attack on the form, the key and the claims."""

import json
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import Unauthenticated
from proto.keyfile import public_pem
from proto.names import RESERVED
from proto.tokens import MAX_TOKEN_CHARS, PrincipalVerifier
from tests.proto.forged import (
    MISSING,
    base64url,
    eddsa,
    hmac_token,
    principal_claims,
    service_claims,
    signing_input,
)

KEY = Ed25519PrivateKey.generate()
PEM = public_pem(KEY)
RAW = KEY.public_key().public_bytes_raw()
STRANGER = Ed25519PrivateKey.generate()
NOW = int(time.time())
GENUINE = eddsa(KEY, principal_claims())


def refused(token: str) -> str:
    with pytest.raises(Unauthenticated) as refusal:
        PrincipalVerifier(PEM).verify(token)
    return refusal.value.message


def test_the_forger_of_these_tests_can_write_a_valid_one() -> None:
    assert PrincipalVerifier(PEM).verify(GENUINE).agent_id == "claude-main"


@pytest.mark.parametrize("claim", principal_claims())
@pytest.mark.parametrize("value", [MISSING, None], ids=["missing", "null"])
def test_every_claim_is_required(claim: str, value: object) -> None:
    assert refused(eddsa(KEY, principal_claims(**{claim: value}))) == "The token is not valid."


WRONG: list[tuple[str, object]] = [
    ("iss", "somebody"),
    ("iss", ["partyline"]),
    ("iss", ""),
    ("aud", "somebody"),
    ("aud", "partyline/mcp_node"),
    ("aud", "partyline/ws_node"),
    ("aud", []),
    ("aud", {"partyline": 1}),
    ("sub", ""),
    ("sub", "two words"),
    ("sub", "a/b"),
    ("sub", "guest:1"),
    ("sub", "a" * 65),
    ("sub", 7),
    ("sub", ["claude"]),
    ("agent_type", ""),
    ("agent_type", "a\nb"),
    ("agent_type", 7),
    ("jti", ""),
    ("jti", "a b"),
    ("jti", 7),
    ("scope", ""),
    ("scope", "  "),
    ("scope", "root"),
    ("scope", "read root"),
    ("scope", "READ"),
    ("scope", "read,write"),
    ("scope", ["read"]),
    ("scope", 1),
    ("sessions", ""),
    ("sessions", "demo"),
    ("sessions", "**"),
    ("sessions", ["*"]),
    ("sessions", ["demo", "two words"]),
    ("sessions", [7]),
    ("sessions", [["demo"]]),
    ("sessions", {"demo": True}),
    ("sessions", True),
    ("sessions", 0),
    ("iat", "yesterday"),
    ("iat", []),
    ("iat", NOW + 3600),
    ("exp", "tomorrow"),
    ("exp", []),
    ("exp", {}),
    ("exp", float("inf")),
    ("exp", float("nan")),
    ("nbf", NOW + 3600),
]


@pytest.mark.parametrize(
    ("claim", "value"), WRONG, ids=[f"{claim} {number}" for number, (claim, _) in enumerate(WRONG)]
)
def test_a_claim_of_another_form_or_value_is_refused(claim: str, value: object) -> None:
    message = refused(eddsa(KEY, principal_claims(**{claim: value})))
    assert message == "The token is not valid."


@pytest.mark.parametrize(
    "exp", [0, 1, True, -1, NOW - 1, str(NOW - 1)], ids=("0", "1", "true", "-1", "now", "text")
)
def test_an_expired_token_is_refused(exp: object) -> None:
    assert refused(eddsa(KEY, principal_claims(exp=exp))) == "The token has expired."


@pytest.mark.parametrize("claim", ["sub", "agent_type"])
@pytest.mark.parametrize("name", [*sorted(RESERVED), "Anonymous", "SYSTEM"])
def test_reserved_names_speak_for_nobody(claim: str, name: str) -> None:
    refused(eddsa(KEY, principal_claims(**{claim: name})))


@pytest.mark.parametrize("claims", [[], "text", 7, None, [principal_claims()]])
def test_claims_that_are_no_object_are_refused(claims: object) -> None:
    refused(eddsa(KEY, claims))


def test_claims_nested_beyond_the_stack_are_refused() -> None:
    text = f"{base64url(json.dumps({'alg': 'EdDSA'}).encode())}.{base64url(b'[' * 5000)}"
    refused(f"{text}.{base64url(KEY.sign(text.encode()))}")


@pytest.mark.parametrize("algorithm", ["none", "None", "NONE", ""])
@pytest.mark.parametrize(
    "signature", ["", "AA", GENUINE.rsplit(".", 1)[1]], ids=("none", "short", "genuine")
)
def test_an_unsigned_token_is_refused(algorithm: str, signature: str) -> None:
    refused(f"{signing_input({'alg': algorithm, 'typ': 'JWT'}, principal_claims())}.{signature}")


@pytest.mark.parametrize("secret", [PEM, PEM.strip(), RAW, b""], ids=["pem", "strip", "raw", "no"])
@pytest.mark.parametrize(("algorithm", "digest"), [("HS256", "sha256"), ("HS512", "sha512")])
def test_the_public_key_is_no_shared_secret(secret: bytes, algorithm: str, digest: str) -> None:
    refused(hmac_token(secret, principal_claims(), digest, alg=algorithm))


@pytest.mark.parametrize("algorithm", ["HS256", "RS256", "ES256", "PS256", "eddsa", "X", 7, [], {}])
def test_a_right_signature_under_another_algorithms_name_is_refused(algorithm: object) -> None:
    refused(eddsa(KEY, principal_claims(), alg=algorithm))


def test_a_token_signed_by_another_key_is_refused() -> None:
    refused(eddsa(STRANGER, principal_claims()))


def test_a_key_that_the_token_brings_along_is_not_used() -> None:
    jwk = {"kty": "OKP", "crv": "Ed25519", "x": base64url(STRANGER.public_key().public_bytes_raw())}
    refused(eddsa(STRANGER, principal_claims(), jwk=jwk, jku="https://evil.example", kid="../../x"))


@pytest.mark.parametrize("header", [{"kid": 7}, {"crit": ["x"], "x": 1}, {"b64": False}], ids=str)
def test_headers_that_we_do_not_write_are_refused(header: dict[str, object]) -> None:
    refused(eddsa(KEY, principal_claims(), **header))


@pytest.mark.parametrize("header", [b"[" * 5000, b'{"a":' * 900, b"7", b"null", b"\xff", b""])
def test_a_header_that_is_no_object_is_refused(header: bytes) -> None:
    refused(f"{base64url(header)}.{GENUINE.split('.', 1)[1]}")


def test_claims_cannot_be_changed_under_the_signature() -> None:
    header, _, signature = GENUINE.split(".")
    claims = base64url(json.dumps(principal_claims(scope="admin")).encode())
    refused(f"{header}.{claims}.{signature}")


def test_a_service_token_is_no_principal_token() -> None:
    refused(hmac_token(b"ab" * 32, service_claims()))
    refused(eddsa(KEY, service_claims(aud="partyline")))


@pytest.mark.parametrize(
    "extra", ["=", "==", "!!!!", "\n", " ", "\x00", "é", ".", ".e30", "\ud800"]
)
def test_a_token_has_one_spelling(extra: str) -> None:
    head, signature = GENUINE.rsplit(".", 1)
    refused(GENUINE + extra)
    refused(extra + GENUINE)
    refused(f"{head}.{signature[:4]}{extra}{signature[4:]}")


@pytest.mark.parametrize("token", ["", ".", "..", "...", "a.b", "a.b.c", "Bearer " + GENUINE])
def test_text_that_is_no_token_is_refused(token: str) -> None:
    refused(token)


def test_a_token_that_is_too_long_is_not_looked_into() -> None:
    padded = eddsa(KEY, principal_claims(note="x" * MAX_TOKEN_CHARS))
    assert len(padded) > MAX_TOKEN_CHARS
    refused(padded)


@given(st.text() | st.from_regex(r"[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}\.[A-Za-z0-9_-]{0,40}"))
def test_arbitrary_text_raises_nothing_but_unauthenticated(text: str) -> None:
    refused(text)


@given(st.integers(0, len(GENUINE) - 1), st.characters(min_codepoint=33, max_codepoint=126))
def test_changing_any_character_is_noticed(place: int, character: str) -> None:
    unused_bits = place == len(GENUINE) - 1  # four bits of the last character carry nothing
    if character != GENUINE[place] and not unused_bits:
        refused(GENUINE[:place] + character + GENUINE[place + 1 :])


def test_a_refusal_repeats_nothing_of_the_token() -> None:
    message = refused(eddsa(KEY, principal_claims(sub="sword fish")))
    assert "sword" not in message
