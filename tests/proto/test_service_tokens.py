"""Service tokens: one direction, five minutes, the bridge key, and nothing else."""

import time

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from proto.errors import Unauthenticated
from proto.tokens import (
    SERVICE_SECONDS,
    TO_MCP_NODE,
    TO_WS_NODE,
    ServiceToken,
    mint_service,
    verify_service,
)
from tests.proto.forged import (
    MISSING,
    base64url,
    eddsa,
    hmac_token,
    principal_claims,
    service_claims,
    signing_input,
)

KEY = b"0123456789abcdef" * 4
OTHER_KEY = b"fedcba9876543210" * 4
NOW = int(time.time())


def refused(token: str, audience: str = TO_MCP_NODE) -> None:
    with pytest.raises(Unauthenticated):
        verify_service(KEY, token, audience)


@pytest.mark.parametrize("audience", [TO_MCP_NODE, TO_WS_NODE])
def test_a_minted_token_verifies_in_its_direction(audience: str) -> None:
    verify_service(KEY, mint_service(KEY, audience), audience)


def test_the_forger_of_these_tests_can_write_a_valid_one() -> None:
    verify_service(KEY, hmac_token(KEY, service_claims()), TO_MCP_NODE)


@pytest.mark.parametrize(("there", "back"), [(TO_MCP_NODE, TO_WS_NODE), (TO_WS_NODE, TO_MCP_NODE)])
def test_it_is_worth_nothing_in_the_other_direction(there: str, back: str) -> None:
    refused(mint_service(KEY, there), back)


def test_another_key() -> None:
    refused(mint_service(OTHER_KEY, TO_MCP_NODE))


@pytest.mark.parametrize("claim", service_claims())
@pytest.mark.parametrize("value", [MISSING, None], ids=["missing", "null"])
def test_every_claim_is_required(claim: str, value: object) -> None:
    refused(hmac_token(KEY, service_claims(**{claim: value})))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW + SERVICE_SECONDS + 3600},
        {"iat": NOW - SERVICE_SECONDS, "exp": NOW + 60},
        {"iat": NOW - 60, "exp": NOW - 1},
        {"iat": NOW + 3600, "exp": NOW + 3600 + SERVICE_SECONDS},
        {"iat": str(NOW - 1000), "exp": str(NOW + 1000)},
        {"iat": "soon"},
        {"exp": []},
        {"exp": float("inf")},
        {"iss": "somebody"},
        {"aud": "partyline"},
        {"aud": ""},
    ],
    ids=" and ".join,
)
def test_too_long_lived_too_old_or_of_another_form(changes: dict[str, object]) -> None:
    refused(hmac_token(KEY, service_claims(**changes)))


@pytest.mark.parametrize("algorithm", ["none", "HS384", "HS512", "EdDSA", "hs256"])
def test_another_algorithm(algorithm: str) -> None:
    refused(hmac_token(KEY, service_claims(), alg=algorithm))


def test_an_unsigned_token() -> None:
    refused(f"{signing_input({'alg': 'none'}, service_claims())}.")


@pytest.mark.parametrize("algorithm", ["HS384", "HS512"])
def test_a_longer_hash_is_another_algorithm_too(algorithm: str) -> None:
    refused(hmac_token(KEY, service_claims(), "sha" + algorithm[2:], alg=algorithm))


def test_a_principal_token_is_no_service_token() -> None:
    key = Ed25519PrivateKey.generate()
    refused(eddsa(key, principal_claims(aud=TO_MCP_NODE, scope="admin")))


@pytest.mark.parametrize(
    "token", ["", "..", "a.b.c", f"{base64url(b'[' * 200_000)}.e30.AA", "x" * 1_000_000, "\ud800"]
)
def test_text_that_is_no_token(token: str) -> None:
    refused(token)


@given(st.text())
def test_arbitrary_text_raises_nothing_but_unauthenticated(text: str) -> None:
    refused(text)


def test_a_token_is_used_again_while_a_minute_of_it_is_left(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    start = time.time()
    source = ServiceToken(KEY, TO_MCP_NODE)
    first = source.current()
    monkeypatch.setattr(time, "time", lambda: start + SERVICE_SECONDS - 61)
    assert source.current() == first
    monkeypatch.setattr(time, "time", lambda: start + SERVICE_SECONDS - 59)
    assert source.current() != first


@pytest.mark.parametrize("back", [2, 30, 59, 61, 3600])
def test_a_clock_that_was_set_back_gets_a_token_of_its_own_time(
    monkeypatch: pytest.MonkeyPatch, back: int
) -> None:
    source = ServiceToken(KEY, TO_MCP_NODE)
    source.current()
    earlier = time.time() - back
    monkeypatch.setattr(time, "time", lambda: earlier)
    issued = jwt.decode(source.current(), options={"verify_signature": False})["iat"]
    assert issued == int(earlier)


def test_the_source_of_tokens_mints_for_its_own_direction() -> None:
    verify_service(KEY, ServiceToken(KEY, TO_WS_NODE).current(), TO_WS_NODE)
    refused(ServiceToken(KEY, TO_WS_NODE).current(), TO_MCP_NODE)
