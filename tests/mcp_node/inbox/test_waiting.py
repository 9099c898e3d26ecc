"""Waiters as values: what wakes them, what they hold, and what comes late."""

import pytest
from msgspec import structs

from mcp_node.inbox.waiting import HELD, REMEMBERED, Waiting, Wish
from proto.messages import Message, Principal, Visibility, encode_metadata, utc_now

BOB = Principal("bob", "claude", frozenset({"read"}), token_id="b")
ALL = Wish()
HELLO = Message(
    5,
    0,
    "room",
    "alice",
    "alice",
    "claude",
    "hello",
    Visibility.PUBLIC,
    utc_now(),
    encode_metadata(None),
    None,
)


async def test_what_was_read_already_wakes_nobody_when_it_is_announced() -> None:
    waiting = Waiting(10)
    with waiting.wait("room", BOB, own=False, wish=ALL) as waiter:
        waiting.committed([HELLO])  # the page that is being read has it
        waiter.only_after(5)
        assert not waiter.heard
        assert not await waiter.woken(0)
        waiting.committed([HELLO, structs.replace(HELLO, id=6)])
        assert await waiter.woken(0)
        assert [message.id for message in waiter.heard] == [6]


async def test_what_came_while_the_page_was_read_is_kept() -> None:
    waiting = Waiting(10)
    with waiting.wait("room", BOB, own=False, wish=ALL) as waiter:
        waiting.committed([HELLO])
        waiter.only_after(4)
        assert await waiter.woken(0)
        assert waiter.heard == [HELLO]


async def test_a_waiter_holds_so_many_and_says_that_there_were_more() -> None:
    waiting = Waiting(10)
    with waiting.wait("room", BOB, own=False, wish=ALL) as waiter:
        waiting.committed([structs.replace(HELLO, id=id_) for id_ in range(1, HELD + 1)])
        assert (len(waiter.heard), waiter.more) == (HELD, False)
        waiting.committed([structs.replace(HELLO, id=HELD + 1)])
        assert (len(waiter.heard), waiter.more) == (HELD, True)


async def test_the_end_wakes_and_is_known_to_who_comes_later() -> None:
    waiting = Waiting(10)
    with waiting.wait("room", BOB, own=False, wish=ALL) as waiter:
        waiting.end()
        assert await waiter.woken(0)
        assert waiting.ended


async def test_a_closing_wakes_those_of_its_session() -> None:
    waiting = Waiting(10)
    with (
        waiting.wait("room", BOB, own=False, wish=ALL) as waiter,
        waiting.wait("other", BOB, own=False, wish=ALL) as elsewhere,
    ):
        assert len(waiting) == 2
        waiting.close("room")
        assert await waiter.woken(0)
        assert not await elsewhere.woken(0)
        assert (waiter.closed, elsewhere.closed) == (True, False)
    assert len(waiting) == 0


@pytest.mark.parametrize("wish", [ALL, Wish(calls=True)])
async def test_a_deletion_is_looked_up_and_everything_after_an_id_has_it(
    wish: Wish,
) -> None:
    entry = structs.replace(HELLO, id=6, about=5, sender="root", content="")
    waiting = Waiting(10)
    with (
        waiting.wait("room", BOB, own=False, wish=wish) as waiter,
        waiting.wait("room", BOB, own=True, wish=ALL) as all_of_it,
    ):
        waiting.committed([entry])
        assert await waiter.woken(0)
        assert (waiter.look_again, waiter.heard) == (True, [])
        assert (all_of_it.look_again, all_of_it.heard) == (False, [entry])
        waiting.committed([structs.replace(entry, id=7, sender="bob")])  # deleted by himself
        assert not await waiter.woken(0)
        assert len(all_of_it.heard) == 2


async def test_a_reply_to_one_of_the_latest_messages_needs_no_reading() -> None:
    waiting = Waiting(10)
    eve = structs.replace(BOB, agent_id="eve", token_id="e")
    asked = structs.replace(HELLO, principal="bob", sender="bob")
    answer = structs.replace(HELLO, id=6, parent_message_id=5)
    with (
        waiting.wait("room", BOB, own=False, wish=Wish(calls=True)) as waiter,
        waiting.wait("room", eve, own=False, wish=Wish(calls=True)) as other,
    ):
        waiting.committed([asked, answer, structs.replace(asked, id=7, parent_message_id=5)])
        assert [message.id for message in waiter.heard] == [6]
        assert not other.heard
        assert not waiter.look_again and not other.look_again
        waiting.committed([structs.replace(answer, id=8, parent_message_id=4)])  # whose is 4?
        assert waiter.look_again and other.look_again


async def test_the_authors_of_the_latest_messages_alone_are_remembered() -> None:
    waiting = Waiting(10)
    asked = structs.replace(HELLO, principal="bob", sender="bob")
    waiting.committed([asked, *(structs.replace(HELLO, id=5 + n) for n in range(1, REMEMBERED))])
    with waiting.wait("room", BOB, own=False, wish=Wish(calls=True)) as waiter:
        waiting.committed([structs.replace(HELLO, id=REMEMBERED + 5)])
        waiting.committed([structs.replace(HELLO, id=REMEMBERED + 6, parent_message_id=5)])
        assert waiter.look_again
