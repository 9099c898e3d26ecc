"""Much to read: written into the log by the real store, before the nodes of a pair start."""

import asyncio
from functools import partial

from mcp_node.log.interface import Database
from mcp_node.sessions.new import NewMessage
from proto.keyfile import open_data_dir
from proto.messages import Audience
from tests.mcp_node import storing
from tests.mcp_node.making import new_message, new_session, opened
from tests.pair import Pair

AUTHOR = Audience("alice", "claude")
AT_ONCE = 500


async def seed(pair: Pair, *, rows: dict[str, int], chain: tuple[str, int]) -> dict[str, list[int]]:
    """Fill the log of a pair that has not started.

    Args:
        pair: to be entered afterwards.
        rows: how many messages, "number 0" and on, in each session.
        chain: a session, and how many messages of it each answer the one before.

    Returns:
        The ids of each session, in order.
    """
    made: dict[str, list[int]] = {}
    data_dir = open_data_dir(pair.data_dir)
    async with opened(data_dir, messages_per_minute=0) as store:
        for room, count in {**rows, chain[0]: chain[1]}.items():
            await storing.create_session(store, new_session(room, "Much to read"))
            made[room] = []
            if room in rows:
                for start in range(0, count, AT_ONCE):
                    numbers = range(start, min(start + AT_ONCE, count))
                    made[room] += await together(store, [message(room, n) for n in numbers])
            else:
                for n in range(count):
                    parent = made[room][-1] if n else None
                    made[room].append((await storing.append(store, message(room, n, parent))).id)
    return made


def message(room: str, number: int, parent: int | None = None) -> NewMessage:
    return new_message(room, f"number {number}", author=AUTHOR, parent=parent)


async def together(store: Database, messages: list[NewMessage]) -> list[int]:
    return [one.id for one in await asyncio.gather(*map(partial(storing.append, store), messages))]
