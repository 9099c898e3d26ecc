"""Signed requests: taken once, by whom they were meant for, as they were sent; answers likewise."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proto import signing
from proto.errors import Unauthenticated
from proto.signing import (
    UNKNOWN_INSTANCE,
    WINDOW_SECONDS,
    Answer,
    Request,
    Signature,
    Signer,
    Verifier,
    WrongInstance,
    body_digest,
)

KEY = b"0123456789abcdef" * 4
OTHER_KEY = b"fedcba9876543210" * 4
NOW = 1_795_000_000
ASKED = Request("POST", b"/api/log?after=7", (b"Bearer a", b"", b"x"))
ANSWERED = Answer(200, b"application/json")

requests = st.builds(
    Request,
    st.sampled_from(["GET", "POST", "PATCH", "DELETE"]),
    st.binary(max_size=40),
    st.tuples(st.binary(max_size=9), st.binary(max_size=9)),
)
answers = st.builds(Answer, st.integers(100, 599), st.binary(max_size=20))


class Pair:
    """Both sides, and a clock."""

    def __init__(self, key: bytes = KEY) -> None:
        self.signer = Signer(key, "mcp_node")
        self.verifier = Verifier(KEY, "mcp_node")

    def signed(self, request: Request = ASKED, body: bytes = b"{}", at: int = NOW) -> str:
        return self.signer.sign(request, body, at=at, instance=self.verifier.instance)[0]

    def verified(self, header: str, request: Request = ASKED, now: float = NOW) -> Signature:
        return self.verifier.verify(header, request, now=now)

    def refused(self, header: str, request: Request = ASKED, now: float = NOW) -> None:
        with pytest.raises(Unauthenticated):
            self.verified(header, request, now)


@given(requests, st.binary(max_size=60), answers, st.binary(max_size=60))
def test_what_is_asked_and_answered_arrives(
    request: Request, body: bytes, answer: Answer, answer_body: bytes
) -> None:
    pair = Pair()
    header, nonce = pair.signer.sign(request, body, at=NOW, instance=pair.verifier.instance)
    signature = pair.verified(header, request)
    assert (signature.nonce, signature.body_digest) == (nonce, body_digest(body))
    back = pair.verifier.sign(signature, answer, answer_body)
    verified = pair.signer.verify(back, nonce, answer, answer_body)
    assert verified == (True, pair.verifier.instance)


@given(requests, requests)
def test_another_request_under_the_signature_is_refused(one: Request, other: Request) -> None:
    pair = Pair()
    if one != other:
        pair.refused(pair.signed(one), other)


@given(st.binary(max_size=6), st.binary(max_size=6), st.integers(0, 12))
def test_bytes_that_move_from_part_to_part_are_another_request(
    target: bytes, header: bytes, cut: int
) -> None:
    whole = target + header
    moved = Request("GET", whole[:cut], (whole[cut:],))
    signed = Request("GET", target, (header,))
    pair = Pair()
    if moved != signed:
        pair.refused(pair.signed(signed), moved)


@given(st.integers(0, 400), st.sampled_from("0123456789abcdefv "))
def test_no_letter_of_a_signature_can_be_changed(place: int, letter: str) -> None:
    pair = Pair()
    header = pair.signed()
    changed = header[: place % len(header)] + letter + header[place % len(header) + 1 :]
    if changed != header:
        pair.refused(changed)
    pair.verified(header)


@given(st.text(max_size=300))
def test_arbitrary_text_is_refused_on_both_sides(text: str) -> None:
    pair = Pair()
    pair.refused(text)
    with pytest.raises(Unauthenticated):
        pair.signer.verify(text, "0" * 32, ANSWERED, b"")


def test_another_key_is_refused() -> None:
    header = Signer(OTHER_KEY, "mcp_node").sign(ASKED, b"", at=NOW)[0]
    Pair().refused(header)


def test_a_request_to_one_node_means_nothing_to_the_other() -> None:
    pair = Pair()
    pair.signer = Signer(KEY, "ws_node")
    pair.refused(pair.signed())


@pytest.mark.parametrize(
    ("seconds", "good"),
    [
        (0, True),
        (WINDOW_SECONDS, True),
        (-WINDOW_SECONDS, True),
        (WINDOW_SECONDS + 1, False),
        (-WINDOW_SECONDS - 1, False),
        (86_400, False),
    ],
)
def test_a_signed_request_is_accepted_within_the_window(seconds: int, good: bool) -> None:
    pair = Pair()
    header = pair.signed(at=NOW - seconds)
    if good:
        pair.verified(header)
    else:
        pair.refused(header)


def test_a_signed_request_is_accepted_once() -> None:
    pair = Pair()
    header = pair.signed()
    pair.verified(header)
    for later in (0, 1, WINDOW_SECONDS, WINDOW_SECONDS + 1, 3_600):
        pair.refused(header, now=NOW + later)


def test_what_was_signed_for_another_instance_can_be_signed_again() -> None:
    """After a restart, at another worker, and the first time."""
    pair = Pair()
    unaware, nonce = pair.signer.sign(ASKED, b"", at=NOW)
    with pytest.raises(WrongInstance) as again:
        pair.verified(unaware)
    assert again.value.signature.instance == UNKNOWN_INSTANCE
    answer = Answer(401, b"")
    back = pair.verifier.sign(again.value.signature, answer, b"", accepted=False)
    taken, instance = pair.signer.verify(back, nonce, answer, b"")
    assert (taken, instance) == (False, pair.verifier.instance)
    pair.verified(pair.signer.sign(ASKED, b"", at=NOW, instance=instance)[0])
    with pytest.raises(Unauthenticated):  # a refusal is no answer
        pair.signer.verify(back.replace("again", "taken"), nonce, answer, b"")


def test_a_clock_set_back_makes_everything_signed_before_worthless() -> None:
    pair = Pair()
    header = pair.signed()
    pair.verified(header)
    pair.verified(pair.signed(at=NOW + 3_600), now=NOW + 3_600)
    with pytest.raises(WrongInstance):
        pair.verified(header)


def test_memory_is_bounded_and_still_nothing_is_taken_twice(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(signing, "MOST_NONCES", 10)
    pair = Pair()
    headers = []
    for _ in range(100):
        headers.append(pair.signed())
        try:
            pair.verified(headers[-1])
        except WrongInstance:
            pair.verified(pair.signed())
    assert len(pair.verifier._nonces) <= 10
    for header in headers:
        with pytest.raises((Unauthenticated, WrongInstance)):
            pair.verified(header)


@given(
    st.lists(
        st.tuples(st.sampled_from(["new", "again", "restart"]), st.integers(-90, 90)), max_size=40
    ),
    st.randoms(use_true_random=False),
)
def test_no_signed_request_is_ever_accepted_twice(
    steps: list[tuple[str, int]], chance: object
) -> None:
    """Whatever the clock does, and however often the node starts anew."""
    pair, now = Pair(), float(NOW)
    seen: list[str] = []
    taken: set[str] = set()
    for step, seconds in steps:
        now += seconds
        if step == "restart":
            pair.verifier = Verifier(KEY, "mcp_node")
            continue
        if step == "new" or not seen:
            seen.append(pair.signed(at=int(now)))
        header = seen[-1] if step == "new" else chance.choice(seen)  # type: ignore[attr-defined]
        try:
            pair.verified(header, now=now)
        except (Unauthenticated, WrongInstance):
            continue
        assert header not in taken
        taken.add(header)


@pytest.mark.parametrize(
    "change",
    [
        {"nonce": "0" * 32},
        {"answer": Answer(201, b"application/json")},
        {"answer": Answer(200, b"text/html")},
        {"body": b"{} "},
        {"key": OTHER_KEY},
    ],
    ids=lambda change: next(iter(change)),
)
def test_an_answer_to_another_question_is_not_believed(change: dict[str, object]) -> None:
    pair = Pair()
    header, nonce = pair.signer.sign(ASKED, b"", at=NOW, instance=pair.verifier.instance)
    back = pair.verifier.sign(pair.verified(header), ANSWERED, b"{}")
    pair.signer.verify(back, nonce, ANSWERED, b"{}")
    got = {"nonce": nonce, "answer": ANSWERED, "body": b"{}", "key": KEY} | change
    with pytest.raises(Unauthenticated):
        Signer(got["key"], "mcp_node").verify(back, got["nonce"], got["answer"], got["body"])  # type: ignore[arg-type]


def test_a_request_is_no_answer_and_an_answer_no_request() -> None:
    pair = Pair()
    header = pair.signed()
    with pytest.raises(Unauthenticated):
        pair.signer.verify(header, "0" * 32, ANSWERED, b"")
    pair.refused(pair.verifier.sign(pair.verified(header), ANSWERED, b""))
