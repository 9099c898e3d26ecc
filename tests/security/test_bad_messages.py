"""What may not be added is refused over every path alike, and leaves no trace."""

import pytest

from tests.pair import Pair
from tests.security.asking import say
from tests.security.bad_messages import BAD_MESSAGES
from tests.security.unharmed import MARK, add, clean, make_room, unharmed

PATHS = ["modern", "legacy", "rest"]
STATUS = {
    "INVALID_INPUT": 422,
    "TOO_LARGE": 413,
    "FORBIDDEN": 403,
    "PARENT_NOT_FOUND": 404,
    "SESSION_NOT_FOUND": 404,
}


@pytest.fixture(scope="module")
def mallory(pair: Pair) -> dict[str, str]:
    return pair.headers("mallory")


@pytest.mark.parametrize("path", PATHS)
async def test_a_bad_message_is_refused_on_every_path(
    pair: Pair, mallory: dict[str, str], path: str
) -> None:
    async with unharmed(pair) as room:
        for bad, (members, code) in BAD_MESSAGES.items():
            answer = clean(await say(path, pair, room, members, mallory))
            assert answer.code == code, (bad, answer)
            if path == "rest":
                assert answer.status == STATUS[code], bad


@pytest.mark.parametrize("path", PATHS)
async def test_a_parent_in_another_session_is_refused(
    pair: Pair, mallory: dict[str, str], path: str
) -> None:
    parent = await add(pair, await make_room(pair), content="elsewhere")
    async with unharmed(pair) as room:
        members = b'"content":"a","parent_message_id":%d' % parent
        assert clean(await say(path, pair, room, members, mallory)).code == "PARENT_NOT_FOUND"


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("visibility", ["private", "agent_only", "admin_only"])
async def test_a_parent_one_may_not_see_answers_like_one_that_does_not_exist(
    pair: Pair, mallory: dict[str, str], visibility: str, path: str
) -> None:
    room = await make_room(pair)
    parent = await add(
        pair,
        room,
        content="hidden",
        visibility=visibility,
        agent="owner",
        kind="codex",
        scopes="read,write,admin",
    )
    async with unharmed(pair, room):
        hidden = await say(
            path, pair, room, b'"content":"a","parent_message_id":%d' % parent, mallory
        )
        absent = await say(
            path, pair, room, b'"content":"a","parent_message_id":%d' % 2**53, mallory
        )
        assert clean(hidden).code == "PARENT_NOT_FOUND"
        assert (hidden.status, hidden.text) == (absent.status, absent.text)


@pytest.mark.parametrize("path", PATHS)
async def test_an_unknown_session_is_not_found(
    pair: Pair, mallory: dict[str, str], path: str
) -> None:
    async with unharmed(pair):
        answer = clean(await say(path, pair, f"no-{MARK}", b'"content":"a"', mallory))
        assert answer.code == "SESSION_NOT_FOUND"


MALFORMED_IDS = [
    *("%20", "a%20b", "a%0Ab", "a%00b", "..%2Fa", "-a", ".a", "_a", "a" * 65, "%C3%A9"),
    *("a%2Fb", "a:b", "a%E2%80%A8", "session%3Fid", "%ff", "%25"),
]
IN_JSON = {
    "%20": " ",
    "%0A": r"\n",
    "%00": r"\u0001",
    "%2F": "/",
    "%C3%A9": r"\u00e9",
    "%E2%80%A8": r"\u2028",
    "%3F": "?",
    "%ff": r"\u00ff",
    "%25": "%",
}


@pytest.mark.parametrize("path", PATHS)
async def test_a_malformed_session_id_is_refused(
    pair: Pair, mallory: dict[str, str], path: str
) -> None:
    async with unharmed(pair):
        for name in MALFORMED_IDS:
            written = name
            if path != "rest":
                for code, text in IN_JSON.items():
                    written = written.replace(code, text)
            answer = clean(await say(path, pair, written, b'"content":"a"', mallory))
            expected = "NOT_FOUND" if "%2F" in written else "INVALID_INPUT"
            assert answer.code == expected, (name, answer)
