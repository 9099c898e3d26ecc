"""The log as ws_node follows it: heads, session heads and stretches."""

import asyncio

from mcp_node.log.interface import Database
from mcp_node.sessions import reads
from proto.messages import Visibility
from tests.mcp_node import storing
from tests.mcp_node.making import CLAUDE, CODEX, NOBODY, new_message, new_session


async def fill(store: Database) -> None:
    """Ids 1, 2, 5, 6 in ``room`` (2 and 6 private to claude-main), 3 and 4 in ``other``."""
    await storing.create_session(store, new_session("other"))
    for room in ("room", "other", "room"):
        await storing.append(store, new_message(room))
        await storing.append(store, new_message(room, visibility=Visibility.PRIVATE))


async def test_heads_name_the_sessions_that_moved(store: Database):
    empty = await storing.heads(store, 0)
    assert (empty.head, empty.changed, empty.through) == (0, {}, 0)
    await fill(store)
    assert (await storing.heads(store, 0)).changed == {"room": 6, "other": 4}
    assert (await storing.heads(store, 3)).changed == {"room": 6, "other": 4}
    last = await storing.heads(store, 4)
    assert (last.head, last.changed, last.through) == (6, {"room": 6}, 6)
    for after in (6, 7, 2**70):
        last = await storing.heads(store, after)
        assert (last.head, last.changed, last.through) == (6, {}, 6)


async def test_heads_look_so_far_and_no_further(store: Database):
    await storing.create_session(store, new_session("other"))
    await asyncio.gather(*(storing.append(store, new_message()) for _ in range(reads.HEADS_ROWS)))
    await storing.append(store, new_message("other"))
    first = await storing.heads(store, 0)
    assert first.changed == {"room": reads.HEADS_ROWS}
    assert (first.head, first.through) == (reads.HEADS_ROWS + 1, reads.HEADS_ROWS)
    second = await storing.heads(store, first.through)
    assert second.changed == {"other": reads.HEADS_ROWS + 1}
    assert second.through == second.head == reads.HEADS_ROWS + 1


async def test_a_session_head_counts_what_nobody_sees(store: Database):
    assert await storing.session_head(store, "room") == 0
    await fill(store)
    assert await storing.session_head(store, "room") == 6
    assert await storing.session_head(store, "other") == 4
    assert await storing.session_head(store, "nowhere") == 0


async def stretch(store: Database, after: int, limit: int, audience=None):
    page = await storing.log_page(store, "room", after=after, limit=limit, audience=audience)
    return [m.id for m in page.messages], page.through, page.head


async def test_a_stretch_of_the_log_says_how_far_it_goes(store: Database):
    assert await stretch(store, 0, 10) == ([], 0, 0)
    assert await stretch(store, 5, 10) == ([], 5, 0)
    await fill(store)
    assert await stretch(store, 0, 10) == ([1, 2, 5, 6], 6, 6)
    assert await stretch(store, 0, 3) == ([1, 2, 5], 5, 6)
    assert await stretch(store, 2, 2) == ([5, 6], 6, 6)
    assert await stretch(store, 6, 2) == ([], 6, 6)
    assert await stretch(store, 9, 2) == ([], 9, 6)


async def test_a_filtered_stretch_goes_as_far_as_it_read(store: Database):
    await fill(store)
    assert await stretch(store, 0, 10, CLAUDE) == ([1, 2, 5, 6], 6, 6)
    assert await stretch(store, 0, 10, CODEX) == ([1, 5], 6, 6)
    assert await stretch(store, 0, 2, NOBODY) == ([1, 5], 5, 6)
    assert await stretch(store, 5, 2, NOBODY) == ([], 6, 6)


async def test_following_by_through_misses_and_repeats_nothing(store: Database):
    await fill(store)
    for audience, expected in ((None, [1, 2, 5, 6]), (NOBODY, [1, 5])):
        seen: list[int] = []
        through = 0
        while through < await storing.session_head(store, "room"):
            ids, through, _ = await stretch(store, through, 1, audience)
            seen += ids
        assert seen == expected
