"""Identity: who a request's headers speak for, and which peers are this machine."""

import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto.errors import Unauthenticated, Unavailable
from proto.keyfile import public_pem
from proto.names import RESERVED
from proto.revocations import Revocation
from proto.tokens import PrincipalVerifier, sign_human
from serving.http.identity import NOBODY, Identity, bearer_token, from_loopback
from tests.proto.forged import eddsa, principal_claims
from tests.serving.making import headers, scope

KEY = Ed25519PrivateKey.generate()
TOKEN = eddsa(KEY, principal_claims())
OTHER = eddsa(KEY, principal_claims(sub="other"))


def identity(*, auth_off: bool = False) -> Identity:
    return Identity(PrincipalVerifier(public_pem(KEY)), auth_off=auth_off)


@pytest.mark.parametrize("value", ["Bearer {}", "bearer {}", "BEARER  {} "])
def test_a_bearer_token_is_read(value: str) -> None:
    assert bearer_token(headers(("Authorization", value.format(TOKEN)))) == TOKEN


def test_no_header_is_no_token() -> None:
    assert bearer_token(headers(("X-Authorization", f"Bearer {TOKEN}"))) is None


@pytest.mark.parametrize("value", ["", "Bearer", "Bearer ", f"Basic {TOKEN}", TOKEN, "Bearer\t"])
def test_another_form_of_authorization_is_refused(value: str) -> None:
    with pytest.raises(Unauthenticated):
        bearer_token(headers(("Authorization", value)))


def test_two_headers_are_refused_even_if_equal() -> None:
    with pytest.raises(Unauthenticated):
        bearer_token(headers(*[("Authorization", f"Bearer {TOKEN}")] * 2))


@pytest.mark.parametrize("auth_off", [False, True])
def test_a_token_counts_in_both_modes(auth_off: bool) -> None:
    who = identity(auth_off=auth_off)
    pairs = headers(("Authorization", f"Bearer {TOKEN}"), ("X-Partyline-Agent", "mallory"))
    assert who.from_headers(pairs).agent_id == "claude-main"
    with pytest.raises(Unauthenticated):
        who.from_headers(headers(("Authorization", f"Bearer {TOKEN}x")))


def test_authorization_goes_before_a_subprotocol() -> None:
    who = identity()
    assert who.from_headers([], OTHER).agent_id == "other"
    assert who.from_headers(headers(("Authorization", f"Bearer {TOKEN}")), OTHER).agent_id == (
        "claude-main"
    )
    with pytest.raises(Unauthenticated):
        who.from_headers(headers(("Authorization", "Bearer x")), OTHER)


def test_names_in_headers_count_only_where_auth_is_off() -> None:
    pairs = headers(("X-Partyline-Agent", "alice"), ("X-Partyline-Agent-Type", "claude"))
    with pytest.raises(Unauthenticated):
        identity().from_headers(pairs)
    alice = identity(auth_off=True).from_headers(pairs)
    assert (alice.agent_id, alice.agent_type, alice.is_admin) == ("alice", "claude", False)
    assert alice.scopes == {"read", "write"}


def test_a_caller_without_a_name_is_anonymous() -> None:
    who = identity(auth_off=True)
    assert who.from_headers([]) is NOBODY
    assert who.from_headers(headers(("X-Partyline-Agent-Type", "claude"))) is NOBODY


@pytest.mark.parametrize("name", [*sorted(RESERVED), "Admin x", "", "a/b", "é", "a" * 65, "a\n"])
def test_nobody_takes_a_reserved_or_malformed_name(name: str) -> None:
    who = identity(auth_off=True)
    with pytest.raises(Unauthenticated):
        who.from_headers(headers(("X-Partyline-Agent", name)))
    with pytest.raises(Unauthenticated):
        who.from_headers(headers(("X-Partyline-Agent", "a"), ("X-Partyline-Agent-Type", name)))


@pytest.mark.parametrize("peer", ["127.0.0.1", "127.0.0.9", "::1", "::ffff:127.0.0.1"])
def test_loopback_peers_are_this_machine(peer: str) -> None:
    assert from_loopback(scope(client=(peer, 1)))


@pytest.mark.parametrize("peer", ["10.0.0.1", "::ffff:10.0.0.1", "fe80::1", "", "testclient"])
def test_other_peers_are_not_this_machine(peer: str) -> None:
    assert not from_loopback(scope(client=(peer, 1)))


def test_no_peer_is_not_this_machine() -> None:
    assert not from_loopback(scope(client=None))


@pytest.mark.parametrize(
    "name",
    [
        *("Forwarded", "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto"),
        *("X-Forwarded-Port", "X-Forwarded-Server", "X-FORWARDED-anything"),
    ],
)
def test_whoever_a_proxy_speaks_for_is_not_this_machine(name: str) -> None:
    assert not from_loopback(scope((name, "127.0.0.1")))


def test_tokens_of_links_wait_for_what_was_revoked_before() -> None:
    known = identity()
    now = int(time.time())
    human = sign_human(KEY, times=(now, now + 60), token_id="t1")
    assert known.from_token(TOKEN).agent_id == "claude-main"
    with pytest.raises(Unavailable):
        known.from_token(human)
    known.revocations.complete = True
    assert known.from_token(human).agent_id == "human"
    known.revocations.add(Revocation(1, "t1", None, 0))
    with pytest.raises(Unauthenticated):
        known.from_token(human)
