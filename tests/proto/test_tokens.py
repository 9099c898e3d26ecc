"""Principal tokens: what is signed is what is verified, until it expires."""

import time
from collections.abc import Iterable
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from proto.errors import InvalidInput, Unauthenticated
from proto.keyfile import public_pem
from proto.messages import Principal
from proto.names import NAME_PATTERN, RESERVED, is_name
from proto.tokens import MAX_TOKEN_CHARS, SCOPES, PrincipalVerifier, sign_principal
from tests.proto.forged import eddsa, principal_claims

KEY = Ed25519PrivateKey.generate()
names = st.from_regex(NAME_PATTERN, fullmatch=True)
free_names = names.filter(lambda name: name.lower() not in RESERVED)


def signed(**changes: Any) -> str:
    arguments: dict[str, Any] = {
        "agent_id": "claude-main",
        "agent_type": "claude",
        "scopes": ["read", "write"],
        "sessions": None,
        "lifetime_seconds": 600,
    }
    return sign_principal(KEY, **(arguments | changes))


@pytest.fixture
def verifier() -> PrincipalVerifier:
    return PrincipalVerifier(public_pem(KEY))


@hypothesis_settings(max_examples=50)
@given(
    free_names,
    free_names,
    st.sets(st.sampled_from(sorted(SCOPES)), min_size=1),
    st.none() | st.sets(names, max_size=5),
    st.integers(60, 10**10),
)
def test_what_is_signed_is_what_is_verified(
    agent_id: str, agent_type: str, scopes: set[str], sessions: set[str] | None, lifetime: int
) -> None:
    before = int(time.time())
    token = sign_principal(
        KEY,
        agent_id=agent_id,
        agent_type=agent_type,
        scopes=scopes,
        sessions=sessions,
        lifetime_seconds=lifetime,
    )
    principal = PrincipalVerifier(public_pem(KEY)).verify(token)
    assert (principal.agent_id, principal.agent_type) == (agent_id, agent_type)
    assert principal.scopes == scopes
    assert principal.sessions == (None if sessions is None else frozenset(sessions))
    assert principal.expires_at is not None
    assert before + lifetime <= principal.expires_at <= time.time() + lifetime
    assert is_name(principal.token_id)


def test_a_token_carries_exactly_the_documented_claims() -> None:
    claims = jwt.decode(signed(), options={"verify_signature": False})
    assert list(claims) == list(principal_claims())
    assert jwt.get_unverified_header(signed()) == {"alg": "EdDSA", "typ": "JWT"}


def test_two_tokens_of_one_principal_have_ids_of_their_own(verifier: PrincipalVerifier) -> None:
    first, second = verifier.verify(signed()), verifier.verify(signed())
    assert first.token_id != second.token_id
    assert first.audience == second.audience


@pytest.mark.parametrize(
    ("sessions", "entered"),
    [(None, {"demo", "other"}), (["demo"], {"demo"}), ([], set()), (iter(["other"]), {"other"})],
    ids=["all", "one", "none", "iterator"],
)
def test_the_sessions_claim_says_which_sessions_may_be_entered(
    verifier: PrincipalVerifier, sessions: Iterable[str] | None, entered: set[str]
) -> None:
    principal = verifier.verify(signed(sessions=sessions))
    assert {name for name in ("demo", "other") if principal.may_enter(name)} == entered


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"agent_id": "two words"}, "agent_id must be"),
        ({"agent_id": ""}, "agent_id must be"),
        ({"agent_type": "x" * 65}, "agent_type must be"),
        ({"agent_id": "System"}, "agent_id is a reserved name"),
        ({"agent_type": "human"}, "agent_type is a reserved name"),
        ({"scopes": []}, "scopes must be"),
        ({"scopes": ["read", "root"]}, "scopes must be"),
        ({"scopes": "read"}, "scopes must be"),
        ({"sessions": ["two words"]}, "session_id must be"),
        ({"sessions": ["*"]}, "session_id must be"),
        ({"sessions": "*"}, "session_id must be"),
        ({"toolsets": []}, "tools must be"),
        ({"toolsets": ["core", "x"]}, "tools must be"),
        ({"lifetime_seconds": 0}, "lifetime"),
        ({"lifetime_seconds": -5}, "lifetime"),
    ],
)
def test_nothing_out_of_bounds_is_signed(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        signed(**changes)


def test_a_token_that_would_be_too_long_to_verify_is_not_made(verifier: PrincipalVerifier) -> None:
    sessions = [f"session-{n:04}" for n in range(350)]
    assert len(signed(sessions=sessions)) <= MAX_TOKEN_CHARS
    assert verifier.verify(signed(sessions=sessions)).sessions == frozenset(sessions)
    with pytest.raises(InvalidInput, match="too many sessions"):
        signed(sessions=[f"session-{n:04}" for n in range(500)])


def test_an_expired_token_is_told_apart(verifier: PrincipalVerifier) -> None:
    now = int(time.time())
    with pytest.raises(Unauthenticated, match="has expired"):
        verifier.verify(eddsa(KEY, principal_claims(iat=now - 60, exp=now - 1)))


def test_a_token_expires_also_after_it_was_remembered(
    verifier: PrincipalVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed(lifetime_seconds=600)
    expires_at = verifier.verify(token).expires_at
    assert expires_at is not None
    monkeypatch.setattr(time, "time", lambda: expires_at - 0.001)
    assert verifier.verify(token).expires_at == expires_at
    for now in (expires_at, expires_at + 1, expires_at + 10**6):
        monkeypatch.setattr(time, "time", lambda now=now: float(now))
        with pytest.raises(Unauthenticated, match="has expired"):
            verifier.verify(token)


def test_a_fraction_of_a_second_never_prolongs_a_token(verifier: PrincipalVerifier) -> None:
    now = int(time.time())
    assert verifier.verify(eddsa(KEY, principal_claims(exp=now + 60.9))).expires_at == now + 60


def test_a_remembered_token_gives_the_same_principal(verifier: PrincipalVerifier) -> None:
    token = signed()
    assert verifier.verify(token) is verifier.verify(token)


def test_what_is_remembered_is_bounded_and_forgetting_does_no_harm() -> None:
    verifier = PrincipalVerifier(public_pem(KEY), remember=8)
    tokens = [signed(agent_id=f"agent-{n}") for n in range(30)]
    for _ in range(2):
        principals: list[Principal] = [verifier.verify(token) for token in tokens]
        assert [p.agent_id for p in principals] == [f"agent-{n}" for n in range(30)]
        assert len(verifier._verified) == 8


def test_refused_and_expired_tokens_are_not_remembered(
    verifier: PrincipalVerifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = signed()
    verifier.verify(token)
    for n in range(100):
        with pytest.raises(Unauthenticated):
            verifier.verify(f"{token[:-4]}{n:04}")
    assert list(verifier._verified) == [token]
    monkeypatch.setattr(time, "time", lambda: 10.0**11)
    with pytest.raises(Unauthenticated):
        verifier.verify(token)
    assert not verifier._verified


def test_a_token_may_name_the_sets_of_tools_that_its_holder_is_shown(
    verifier: PrincipalVerifier,
) -> None:
    assert verifier.verify(signed()).toolsets is None
    assert verifier.verify(signed(toolsets=["memory", "core"])).toolsets == {"core", "memory"}


@pytest.mark.parametrize("tools", [None, [], "core", ["core", "x"], [["core"]], {"core": 1}])
def test_a_malformed_tools_claim_is_refused(verifier: PrincipalVerifier, tools: object) -> None:
    with pytest.raises(Unauthenticated):
        verifier.verify(eddsa(KEY, principal_claims(tools=tools)))
