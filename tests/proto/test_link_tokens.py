"""Tokens of those who came by a link: the two principals no agent can have, and no other forms."""

import time
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from proto.errors import InvalidInput, Unauthenticated
from proto.keyfile import public_pem
from proto.names import check_principal
from proto.tokens import PrincipalVerifier, sign_guest, sign_human, sign_principal
from tests.proto.forged import eddsa, principal_claims

KEY = Ed25519PrivateKey.generate()
NOW = int(time.time())
DAY = 86_400
GUEST: dict[str, Any] = {"sub": "guest:alice-01234567", "agent_type": "guest", "sessions": ["room"]}


@pytest.fixture
def verifier() -> PrincipalVerifier:
    return PrincipalVerifier(public_pem(KEY))


@pytest.mark.parametrize("may_write", [False, True])
def test_a_guests_token_gives_one_session(verifier: PrincipalVerifier, may_write: bool) -> None:
    token = sign_guest(
        KEY,
        link_id="alice-01234567",
        session_id="room",
        may_write=may_write,
        times=(NOW, NOW + DAY),
        token_id="t1",
    )
    guest = verifier.verify(token)
    assert (guest.agent_id, guest.agent_type) == ("guest:alice-01234567", "guest")
    assert guest.scopes == ({"read", "write"} if may_write else {"read"})
    assert guest.sessions == {"room"}
    assert (guest.issued_at, guest.expires_at, guest.token_id) == (NOW, NOW + DAY, "t1")
    assert guest.is_guest and guest.by_link and not guest.is_admin


def test_the_operators_token_gives_everything(verifier: PrincipalVerifier) -> None:
    human = verifier.verify(sign_human(KEY, times=(NOW, NOW + DAY), token_id="t1"))
    assert (human.agent_id, human.agent_type) == ("human", "human")
    assert human.scopes == {"read", "write", "admin"}
    assert human.sessions is None
    assert human.by_link and human.is_admin and not human.is_guest


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "human"},
        {"sub": "Human", "agent_type": "human"},
        {"sub": "human", "agent_type": "Human"},
        {"sub": "human", "agent_type": "guest", "sessions": ["room"]},
        {"sub": "alice", "agent_type": "human"},
        {"sub": ["human"], "agent_type": "human"},
        {"sub": "alice", "agent_type": "guest", "sessions": ["room"]},
        {"sub": "guest", "agent_type": "guest", "sessions": ["room"]},
        {"sub": "guest:alice-01234567"},
        {"sub": "guest:alice-01234567", "agent_type": "human"},
        GUEST | {"sub": "guest:"},
        GUEST | {"sub": "guest:a/b"},
        GUEST | {"sub": "guest:guest:a"},
        GUEST | {"sub": "Guest:a"},
        GUEST | {"sub": "guest:a\n"},
        GUEST | {"sub": "guest:" + "a" * 65},
        GUEST | {"agent_type": "Guest"},
        GUEST | {"agent_type": ["guest"]},
        GUEST | {"sessions": "*"},
        GUEST | {"sessions": []},
        GUEST | {"sessions": ["room", "other"]},
        GUEST | {"scope": "read write admin"},
        {"sub": "human:alice", "agent_type": "human"},
        {"sub": "service:a", "agent_type": "guest", "sessions": ["room"]},
    ],
    ids=str,
)
def test_malformed_link_tokens_are_refused(
    verifier: PrincipalVerifier, claims: dict[str, Any]
) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(eddsa(KEY, principal_claims(**claims)))


def test_the_form_that_is_refused_above_is_good_otherwise(verifier: PrincipalVerifier) -> None:
    assert verifier.verify(eddsa(KEY, principal_claims(**GUEST))).is_guest


@pytest.mark.parametrize(
    ("agent_id", "agent_type"),
    [
        ("human", "human"),
        ("human", "claude"),
        ("alice", "human"),
        ("HUMAN", "claude"),
        ("alice", "guest"),
        ("guest", "guest"),
        ("guest:alice-01234567", "guest"),
        ("guest:alice-01234567", "claude"),
    ],
)
def test_agents_are_not_given_the_operators_or_a_guests_name(
    agent_id: str, agent_type: str
) -> None:
    with pytest.raises(InvalidInput):
        sign_principal(
            KEY,
            agent_id=agent_id,
            agent_type=agent_type,
            scopes=["read"],
            sessions=["room"],
            lifetime_seconds=60,
        )


def test_names_of_principals_are_checked() -> None:
    for good in ("alice", "human", "guest:alice-01234567", "guest:" + "a" * 64):
        assert check_principal(good, "agent_id") == good
    for bad in ("", "guest:", "guest:a:b", "guest:guest:a", "a:b", "Guest:a", "a b", None, 7):
        with pytest.raises(InvalidInput):
            check_principal(bad, "agent_id")
