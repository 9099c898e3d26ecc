"""StrictBodies: the cap holds while streaming, what is behind sees the same bytes, and the end."""

from typing import Any

import pytest

from proto.errors import InvalidInput, PartylineError, TooLarge, Unauthenticated
from serving.http.bodies import StrictBodies, read_body
from tests.serving.making import Message, Sent, receiving, scope

JSON = ("Content-Type", "application/json")
CAP = 1_000


def part(body: bytes, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


class Behind:
    """An app that reads its whole body and the message after it."""

    def __init__(self) -> None:
        self.seen: list[Message] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.seen = [await receive(), await receive()]


class Case:
    def __init__(self, **options: Any) -> None:
        self.behind = Behind()
        self.refused: list[PartylineError] = []
        self.app = StrictBodies(self.behind, max_bytes=CAP, refuse=self.refuse, **options)

    async def refuse(self, scope: Any, send: Any, error: PartylineError) -> None:
        self.refused.append(error)

    async def run(self, *parts: Message, pairs: tuple[tuple[str, str], ...] = (JSON,)) -> None:
        await self.app(scope(*pairs), receiving(parts), Sent())

    @property
    def code(self) -> str:
        assert not self.behind.seen
        return self.refused[0].code


async def test_the_app_gets_the_same_bytes_and_then_the_disconnect() -> None:
    case = Case()
    await case.run(part(b'{"a":'), part(b""), part(b" 1}", more=False))
    assert case.behind.seen == [part(b'{"a": 1}', more=False), {"type": "http.disconnect"}]
    assert case.refused == []


async def test_the_cap_holds_while_the_body_streams() -> None:
    taken = 0

    async def endless() -> Message:
        nonlocal taken
        taken += 1
        return part(b"[" * 300)

    case = Case()
    await case.app(scope(JSON), endless, Sent())
    assert case.code == "TOO_LARGE"
    assert taken == 4


async def test_a_body_of_exactly_the_cap_enters() -> None:
    case = Case()
    await case.run(part(b'"' + b"x" * (CAP - 2) + b'"', more=False))
    assert case.refused == []
    await case.run(part(b'"' + b"x" * (CAP - 1) + b'"', more=False))
    assert isinstance(case.refused[0], TooLarge)


@pytest.mark.parametrize("length", ["1001", "0001001", "9" * 5_000, "18446744073709551616"])
async def test_an_announced_length_is_refused_unread(length: str) -> None:
    async def unread() -> Message:
        raise AssertionError

    with pytest.raises(TooLarge):
        await read_body(scope(("Content-Length", length)), unread, max_bytes=CAP)


@pytest.mark.parametrize("length", ["1000", "000000000000000000000000007", "", "x", "²", "-1"])
async def test_an_announced_length_that_tells_nothing_is_only_counted(length: str) -> None:
    receive = receiving([part(b"{}", more=False)])
    assert await read_body(scope(("Content-Length", length)), receive, max_bytes=CAP) == b"{}"


@pytest.mark.parametrize("parts", [[], [part(b"{}")], [part(b'{"a"'), part(b":1")]])
async def test_a_client_that_leaves_mid_body(parts: list[Message]) -> None:
    with pytest.raises(InvalidInput, match="incomplete"):
        await read_body(scope(), receiving(parts), max_bytes=CAP)
    case = Case()
    await case.run(*parts)
    assert case.code == "INVALID_INPUT"


@pytest.mark.parametrize("body", [b"", b"{", b"NaN", b'{"a":1,"a":2}', b'"\\ud800"', b"\xff"])
async def test_a_body_that_is_not_strict_json(body: bytes) -> None:
    case = Case()
    await case.run(part(body, more=False))
    assert case.code == "INVALID_INPUT"


@pytest.mark.parametrize(
    "kinds",
    [[], ["text/plain"], ["application/jsonp"], ["application/json", "application/json"], [""]],
)
async def test_a_media_type_that_is_not_json(kinds: list[str]) -> None:
    case = Case()
    pairs = tuple(("Content-Type", kind) for kind in kinds)
    await case.run(part(b"{}", more=False), pairs=pairs)
    assert case.code == "WRONG_MEDIA_TYPE"


@pytest.mark.parametrize("kind", ["Application/JSON", "application/json; charset=utf-8"])
async def test_json_in_its_other_spellings(kind: str) -> None:
    case = Case()
    await case.run(part(b"{}", more=False), pairs=(("Content-Type", kind),))
    assert case.refused == []


@pytest.mark.parametrize("method", ["GET", "DELETE", "HEAD"])
async def test_a_request_without_a_body_is_passed_on(method: str) -> None:
    case = Case()
    receive = receiving([part(b"", more=False)])
    await case.app(scope(method=method), receive, Sent())
    assert case.behind.seen[0] == part(b"", more=False)


async def test_who_is_not_admitted_has_no_byte_read() -> None:
    def admit(scope: Any) -> None:
        raise Unauthenticated("no")

    async def unread() -> Message:
        raise AssertionError

    case = Case(admit=admit)
    await case.app(scope(JSON), unread, Sent())
    assert case.code == "UNAUTHENTICATED"


async def test_the_parsed_body_can_be_checked() -> None:
    def check(scope: Any, value: Any) -> None:
        if value != {"a": 1}:
            raise InvalidInput("no")

    case = Case(check=check)
    await case.run(part(b'{"a":1}', more=False))
    assert case.refused == []
    case = Case(check=check)
    await case.run(part(b"{}", more=False))
    assert case.code == "INVALID_INPUT"
