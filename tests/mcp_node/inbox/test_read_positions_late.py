"""Unread counts and positions, whatever is announced late and whatever answers late."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mcp_node.log.interface import CommitListener, Database
from mcp_node.log.pruning import PruneMessages, find_prunable
from mcp_node.services import Services, make_services
from proto.messages import Message, Principal, Visibility
from proto.settings import load_settings
from proto.visibility import may_see
from tests.mcp_node import storing
from tests.mcp_node.making import opened
from tests.waiting import until

BOTH = frozenset({"read", "write"})
ALICE = Principal("alice", "claude", BOTH, token_id="a", issued_at=1)
BOB = Principal("bob", "claude", BOTH, token_id="b", issued_at=1)
EVE = Principal("eve", "codex", BOTH, token_id="e", issued_at=1)
ROOT = Principal("root", "ops", BOTH | {"admin"}, token_id="r", issued_at=1)
CHIEF_BOB = Principal("bob", "claude", BOTH | {"admin"}, token_id="c", issued_at=1)
EVERYBODY = (ALICE, BOB, EVE, ROOT)

T = TypeVar("T")


class Late:
    """A store whose commits are announced, and whose reads answer, when the test says so.

    Both happen on their own whenever the writer's thread is faster than the loop, or slower.
    """

    def __init__(self, store: Database) -> None:
        self.store = store
        self._listeners: list[CommitListener] = []
        self._held: list[list[Message]] = []
        self._open = asyncio.Event()
        self._open.set()
        self.reads = 0
        self.holding = False
        store.on_commit(self._committed)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.store, name)

    def on_commit(self, listener: CommitListener) -> None:
        self._listeners.append(listener)

    async def read(self, work: Callable[[Any], T]) -> T:
        answer = await self.store.read(work)
        self.reads += 1
        await self._open.wait()
        return answer

    def hold_reads(self) -> None:
        self._open.clear()

    def answer_reads(self) -> None:
        self._open.set()

    def announce(self) -> None:
        """Tell of everything that was held back, in order."""
        held, self._held, self.holding = self._held, [], False
        for messages in held:
            for listener in self._listeners:
                listener(messages)

    def _committed(self, messages: Sequence[Message]) -> None:
        self._held.append(list(messages))
        if not self.holding:
            self.announce()


@asynccontextmanager
async def late(data_dir: Path) -> AsyncIterator[tuple[Services, Late]]:
    async with opened(data_dir) as store:
        slow = Late(store)
        chosen = load_settings(
            data_dir=data_dir,
            writes_per_second=0,
            session_messages_per_minute=0,
            session_agent_messages=0,
        )
        able = make_services(slow, chosen)  # type: ignore[arg-type]
        await able.sessions.create_session(ALICE, "to talk", "room")
        yield able, slow


async def say(able: Services, who: Principal, content: str, visibility: str = "public") -> int:
    return (await able.sessions.add_message(who, "room", content, visibility)).id


async def unread_page(able: Services, who: Principal, limit: int = 1000) -> list[int]:
    page = await able.inbox.get_unread(who, "room", limit)
    return [message["id"] for message in page["messages"]]


async def check_unread(able: Services, who: Principal) -> int:
    """The count that is kept is what counting anew gives."""
    kept = await able.inbox.unread(who, "room")
    able.readers.recount()
    assert kept == await able.inbox.unread(who, "room")
    return kept


async def prune(slow: Late) -> None:
    """Everything there is, but for what of a last message stays."""
    found = await slow.read(lambda connection: find_prunable(connection, before="9999", after=0))
    await slow.write(PruneMessages(found.ids))


async def test_a_deletion_between_a_count_and_its_answer(tmp_path: Path) -> None:
    async with late(tmp_path) as (able, slow):
        await unread_page(able, BOB)
        first = await say(able, ALICE, "one")
        slow.hold_reads()
        before = slow.reads
        counting = asyncio.create_task(able.inbox.unread(BOB, "room"))
        able.readers.recount()
        await until(lambda: slow.reads > before)
        await able.deletion.delete_message(ALICE, "room", first)
        slow.answer_reads()
        await counting
        assert await check_unread(able, BOB) == 0


@pytest.mark.parametrize("unread_only", [True, False])
async def test_a_page_that_knows_of_a_deletion_before_it_is_announced(
    tmp_path: Path, unread_only: bool
) -> None:
    async with late(tmp_path) as (able, slow):
        await say(able, ALICE, "zero")
        await unread_page(able, BOB)
        first = await say(able, ALICE, "one")
        await say(able, ALICE, "two")
        assert await able.inbox.unread(BOB, "room") == 2
        slow.holding = True
        await able.deletion.delete_message(ALICE, "room", first)
        await (unread_page(able, BOB) if unread_only else storing.read(able, BOB))
        slow.announce()
        assert await check_unread(able, BOB) == 0


async def test_a_count_for_other_rights_is_not_kept(tmp_path: Path) -> None:
    async with late(tmp_path) as (able, slow):
        await unread_page(able, BOB)
        await say(able, ROOT, "for admins", "admin_only")
        slow.hold_reads()
        before = slow.reads
        counting = asyncio.create_task(able.inbox.unread(CHIEF_BOB, "room"))
        await until(lambda: slow.reads > before)
        asking = asyncio.create_task(able.inbox.unread(BOB, "room"))
        await asyncio.sleep(0)
        slow.answer_reads()
        await asyncio.gather(counting, asking)
        assert await able.inbox.unread(BOB, "room") == 0
        assert asking.result() == 0


async def test_what_was_pruned_is_not_unread(tmp_path: Path) -> None:
    async with late(tmp_path) as (able, slow):
        await say(able, ALICE, "zero")
        await unread_page(able, BOB)
        await say(able, ALICE, "one")
        assert await able.inbox.unread(BOB, "room") == 1
        slow.hold_reads()
        able.readers.recount()
        before = slow.reads
        counting = asyncio.create_task(able.inbox.unread(BOB, "room"))
        await until(lambda: slow.reads > before)
        slow.answer_reads()
        await prune(slow)
        able.readers.recount()
        await counting
        assert await check_unread(able, BOB) == 0


async def test_mentions_further_on_leave_the_others_to_be_given(tmp_path: Path) -> None:
    async with late(tmp_path) as (able, _):
        first = await say(able, ALICE, "@bob one")
        second = await say(able, ALICE, "@bob two")
        heard = await able.waits.wait(BOB, "room", after=first, wanted="calls")
        assert [message["id"] for message in heard["messages"]] == [second]
        heard = await able.waits.wait(BOB, "room", wanted="calls")
        assert [message["id"] for message in heard["messages"]] == [first]


STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "say",
                "say",
                "say",
                "delete",
                "page",
                "wait",
                "call",
                "newest",
                "sender",
                "unread",
                "hold",
                "slow",
                "loose",
                "forget",
                "prune",
                "together",
            ]
        ),
        st.sampled_from(EVERYBODY),
        st.sampled_from(["public", "public", "private", "agent_only", "admin_only"]),
        st.integers(1, 4),
    ),
    max_size=40,
)
"""Who does what; ``hold`` holds announcements back, ``slow`` answers, ``loose`` lets both go."""


class Play:
    """A session in which anything happens; remembers what everybody was given."""

    def __init__(self, able: Services, slow: Late) -> None:
        self.able, self.slow = able, slow
        self.said: dict[int, tuple[Principal, str]] = {}
        self.gone: set[int] = set()
        self.pruned = False
        self.deletions: dict[int, tuple[int, Principal]] = {}
        self.given: dict[str, set[int]] = {who.agent_id: set() for who in EVERYBODY}
        self.told: dict[str, set[int]] = {who.agent_id: set() for who in EVERYBODY}
        self.in_place: dict[str, set[int]] = {who.agent_id: set() for who in EVERYBODY}
        self.tasks: list[asyncio.Task[None]] = []

    async def step(self, what: str, who: Principal, visibility: str, number: int) -> None:
        if what == "say":
            if visibility != "admin_only" or who.is_admin:
                id_ = await self.through(say(self.able, who, "@bob and @eve", visibility))
                self.said[id_] = (who, visibility)
        elif what == "delete":
            there = sorted(set(self.said) - self.gone)
            own = [id_ for id_ in there if self.may_delete(who, id_)]
            for id_ in own[-number:][:1]:
                await self.through(self.able.deletion.delete_message(who, "room", id_))
                self.gone.add(id_)
                self.deletions[await storing.session_head(self.slow.store, "room")] = (id_, who)
        elif what == "together":
            self.tasks += [
                asyncio.create_task(self.give("page", BOB, 1)),
                asyncio.create_task(self.count(BOB)),
                asyncio.create_task(self.give("wait", EVE, 1)),
            ]
            await asyncio.gather(*(self.step("say", who, visibility, 1) for _ in range(number)))
        elif what in ("page", "wait", "call", "newest", "sender"):
            self.tasks.append(asyncio.create_task(self.give(what, who, number)))
            await asyncio.sleep(0)
        elif what == "unread":
            self.tasks.append(asyncio.create_task(self.count(who)))
            await asyncio.sleep(0)
        else:
            await self.disrupt(what, who)

    async def disrupt(self, what: str, who: Principal) -> None:
        if what == "hold":
            self.slow.holding = True
        elif what == "slow":
            self.slow.hold_reads()
        elif what == "loose":
            self.slow.announce()
            await self.settle()
        elif what == "forget":
            await self.settle()
            await self.able.readers.save()
            self.able.readers._readers.pop(("room", who.agent_id), None)
            self.able.readers._by_session.get("room", {}).pop(who.agent_id, None)
        elif what == "prune":
            await self.settle()
            await prune(self.slow)
            self.able.readers.recount()
            self.gone |= set(self.said)
            self.pruned = True

    async def through(self, doing: Coroutine[Any, Any, T]) -> T:
        """What it returns; reads are answered if it waits for one of them."""
        task = asyncio.create_task(doing)
        while not (await asyncio.wait({task}, timeout=0.05))[0]:
            self.slow.answer_reads()
        return task.result()

    async def count(self, who: Principal) -> None:
        await self.able.inbox.unread(who, "room")

    async def give(self, how: str, who: Principal, limit: int) -> None:
        inbox = self.able.inbox
        if how == "page":
            page = await inbox.get_unread(who, "room", limit)
        elif how == "newest":
            page = await storing.read(self.able, who, limit=limit)
        elif how == "sender":
            page = await storing.read(self.able, who, limit=limit, sender="alice")
        else:
            page = await self.able.waits.wait(
                who, "room", timeout_seconds=0, wanted="calls" if how == "call" else "all"
            )
        self.took(who, page)

    def took(self, who: Principal, page: dict[str, Any]) -> None:
        for entry in page["messages"]:
            if "deletes" in entry:
                self.told[who.agent_id].add(entry["deletes"])
            elif "deleted" in entry:
                self.in_place[who.agent_id].add(entry["id"])
            elif entry["sender"] != who.agent_id:
                self.given[who.agent_id].add(entry["id"])

    def may_delete(self, who: Principal, id_: int) -> bool:
        author, level = self.said[id_]
        return author is who or (who.is_admin and level != "private")

    async def settle(self) -> None:
        self.slow.answer_reads()
        tasks, self.tasks = self.tasks, []
        await asyncio.gather(*tasks)

    def visible(self, who: Principal) -> set[int]:
        """Others' messages it may see, so counted from what was said alone."""
        return {
            id_
            for id_, (author, level) in self.said.items()
            if author is not who
            and may_see(who.audience, Visibility(level), author.agent_id, author.agent_type)
        }

    async def judge(self) -> None:
        self.slow.announce()
        await self.settle()
        for who in EVERYBODY:
            await check_unread(self.able, who)
            while True:
                page = await self.able.inbox.get_unread(who, "room")
                if not page["messages"]:
                    break
                self.took(who, page)
            assert await check_unread(self.able, who) == 0
            given = self.given[who.agent_id]
            assert given <= self.visible(who)
            assert self.visible(who) - self.gone <= given
            if not self.pruned:
                self.judge_deletions(who, given)

    def judge_deletions(self, who: Principal, given: set[int]) -> None:
        """Who has a text, or said it, is told that it was deleted, and nobody else is."""
        told, in_place = self.told[who.agent_id], self.in_place[who.agent_id]
        own = {id_ for id_, (author, _) in self.said.items() if author is who}
        assert told <= given | own | in_place
        by_others = {target for target, deleter in self.deletions.values() if deleter is not who}
        assert by_others & (given | own) <= told | in_place


@settings(max_examples=60, deadline=None)
@given(steps=STEPS)
def test_everything_visible_is_given_and_counted_right(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, Principal, str, int]]
) -> None:
    async def run() -> None:
        async with late(tmp_path_factory.mktemp("play")) as (able, slow), asyncio.timeout(60):
            play = Play(able, slow)
            for who in EVERYBODY:  # everybody joined at the beginning
                host = ROOT if who is not ROOT else ALICE
                play.said[await say(able, host, "welcome")] = (host, "public")
                play.took(who, await able.inbox.get_unread(who, "room"))
            for step in steps:
                await play.step(*step)
            await play.judge()

    asyncio.run(run())
