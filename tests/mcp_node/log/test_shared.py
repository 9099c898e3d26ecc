"""One log, several nodes: what each of them commits, sees and announces. Needs PostgreSQL."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psycopg
import pytest

from mcp_node.links.revocations import RevocationWatch, Revoke
from mcp_node.log.interface import Database
from mcp_node.log.transaction import Transaction
from mcp_node.services import Services, make_services
from mcp_node.storage import POSTGRES_VERSIONS, open_store
from proto.errors import LoopGuard, SessionClosed, Unavailable
from proto.messages import Message, Principal
from proto.revocations import Revocations
from proto.settings import Settings
from tests.mcp_node import storing
from tests.mcp_node.making import everything, new_message, new_session
from tests.postgres import PostgresServer, own_server
from tests.waiting import until

SCHEMA = "partyline"
BOTH = frozenset({"read", "write"})
ALICE = Principal("alice", "claude", BOTH, token_id="a", issued_at=1)
BOB = Principal("bob", "claude", BOTH, token_id="b", issued_at=1)


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_server() as server:
        yield server


@pytest.fixture(autouse=True)
def empty(server: PostgresServer) -> None:
    """Every test begins without a log."""
    server.drop()


class OneNode:
    """A node's database and services, and the ids that it announced."""

    def __init__(self, store: Database, settings: Settings) -> None:
        self.store = store
        self.announced: list[int] = []
        self.services: Services = make_services(store, settings)
        store.on_commit(self._heard)

    def _heard(self, messages: "list[Message]") -> None:
        self.announced += [message.id for message in messages]


@asynccontextmanager
async def nodes(
    directory: Path, address: str, count: int = 2, **settings: Any
) -> AsyncIterator[list[OneNode]]:
    async with AsyncExitStack() as stack:
        made = []
        for number in range(count):
            data_dir = directory / str(number)
            data_dir.mkdir(exist_ok=True)
            chosen = Settings(data_dir=data_dir, store=address, writes_per_second=0, **settings)
            store = await open_store(data_dir, chosen)
            stack.push_async_callback(store.close)
            node = OneNode(store, chosen)
            node.services.session_watch.begin(0)
            made.append(node)
            saving = asyncio.create_task(node.services.readers.save_for_ever())
            stack.callback(saving.cancel)
        await storing.create_session(made[0].store, new_session())
        yield made


async def say(node: OneNode, text: str = "hello", who: Principal = ALICE) -> int:
    return (await node.services.sessions.add_message(who, "room", text)).id


async def test_two_nodes_write_one_session_without_holes_and_announce_all_of_it(server, tmp_path):
    async with nodes(tmp_path, server.address) as both:
        said = await asyncio.gather(*(say(both[n % 2], f"{n}") for n in range(100)))
        assert sorted(said) == list(range(1, 101))
        page = await storing.log_page(both[1].store, "room", after=0, limit=1_000, audience=None)
        assert [m.prev for m in page.messages] == list(range(100))
        for node in both:
            await until(lambda node=node: len(node.announced) >= 100)
            assert node.announced == list(range(1, 101))


async def test_connections_cut_while_two_nodes_write_are_settled(server, tmp_path):
    kill = (
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'partyline' AND pid <> pg_backend_pid()"
        " ORDER BY random() LIMIT 1"
    )
    async with nodes(tmp_path, server.address) as both:
        done = asyncio.Event()

        async def cutting() -> None:
            connection = await psycopg.AsyncConnection.connect(server.address, autocommit=True)
            async with connection:
                while not done.is_set():
                    await connection.execute(kill)
                    await asyncio.sleep(0.05)

        async def write(node: OneNode, name: str) -> list[Message]:
            # On a busy machine all attempts may be cut: then nothing was stored.
            return [
                await again(partial(storing.append, node.store, new_message(content=f"{name}{n}")))
                for n in range(40)
            ]

        cutter = asyncio.create_task(cutting())
        writers = [write(both[n % 2], f"{n}/") for n in range(4)]
        said = [each for part in await asyncio.gather(*writers) for each in part]
        done.set()
        await cutter
        page = await storing.log_page(both[0].store, "room", after=0, limit=1_000, audience=None)
        assert [(m.id, m.content) for m in page.messages] == sorted((m.id, m.content) for m in said)
        await until(lambda: len(both[0].announced) == len(both[1].announced) == 160)
        assert both[0].announced == both[1].announced == list(range(1, 161))


class Stuck:
    """An operation that holds the log's lock until it is released."""

    size = 1

    def __init__(self) -> None:
        self.begun = threading.Event()
        self.release = threading.Event()
        self.runs = 0

    def apply(self, transaction: Transaction) -> None:
        transaction.write("UPDATE meta SET value = value WHERE name = 'epoch'")
        self.runs += 1
        self.begun.set()
        self.release.wait()


async def test_a_node_that_stops_in_a_transaction_holds_up_nobody(server, tmp_path):
    async with nodes(tmp_path, server.address) as both:
        stuck = Stuck()
        writing = asyncio.create_task(both[0].store.write(stuck))
        await until(stuck.begun.is_set)
        assert await say(both[1]) == 1  # the server has ended the other's transaction
        assert not writing.done()
        stuck.release.set()
        await writing
        assert stuck.runs == 2  # it was run again
        assert await say(both[0]) == 2


async def test_what_one_node_closes_is_closed_on_the_other(server, tmp_path):
    async with nodes(tmp_path, server.address) as both:
        await say(both[0])
        await both[0].services.inbox.get_unread(BOB, "room")
        waiting = asyncio.create_task(both[0].services.waits.wait(BOB, "room"))
        await until(lambda: len(both[0].services.waiting))
        await both[1].services.moderation.close_session(
            Principal("claude-main", "claude", BOTH, token_id="m"), "room"
        )
        assert (await waiting)["outcome"] == "closed"
        with pytest.raises(SessionClosed):
            await say(both[0])


async def test_the_guard_counts_what_agents_said_on_every_node(server, tmp_path):
    async with nodes(tmp_path, server.address, agent_messages_without_human=4) as both:
        for n in range(4):
            await say(both[n % 2])
        for node in both:
            with pytest.raises(LoopGuard):
                await say(node)
        human = Principal("paul", "human", BOTH, token_id="h")
        await say(both[0], who=human)
        await say(both[1])


async def test_who_reads_on_one_node_has_read_on_the_other(server, tmp_path):
    async with nodes(tmp_path, server.address) as both:
        one, two = (node.services.inbox for node in both)
        await say(both[0], "first")
        assert len((await one.get_unread(BOB, "room"))["messages"]) == 1
        assert await two.unread(BOB, "room") == 0
        for n in range(6):  # alternately, as a balancer would have it
            await say(both[n % 2], f"{n}")
            reading = (one, two)[n // 2 % 2]
            assert await two.unread(BOB, "room") == await one.unread(BOB, "room") == 1
            page = await reading.get_unread(BOB, "room")
            assert [message["content"] for message in page["messages"]] == [f"{n}"]
        listed = await one.list_sessions(BOB)
        assert [each["unread"] for each in listed] == [0]
        assert await two.read_through(BOB, "room", 100) == 0


async def test_a_wait_ends_with_what_another_node_committed(server, tmp_path):
    async with nodes(tmp_path, server.address) as both:
        waiting = asyncio.create_task(both[0].services.waits.wait(BOB, "room"))
        await until(lambda: len(both[0].services.waiting))
        roster = both[1].services.roster

        async def shown() -> list[bool]:
            return [each["waiting"] for each in await roster.agents(ALICE, "room")]

        await until(lambda: shown_is(shown, [False, True]))
        here = await both[1].services.presence.at_work(["room"])
        assert {each.name for each in here["room"] if each.waiting} == {"bob"}
        await say(both[1], "over here")
        page = await waiting
        assert [message["content"] for message in page["messages"]] == ["over here"]
        assert await both[1].services.inbox.unread(BOB, "room") == 0
        await until(lambda: shown_is(shown, [False, False]))


async def shown_is(shown: Any, wanted: list[bool]) -> bool:
    return sorted(await shown()) == wanted


async def test_a_revocation_made_on_one_node_holds_on_the_other(server, tmp_path):
    async with nodes(tmp_path, server.address) as both:
        known = Revocations()
        both[1].store.watch(RevocationWatch(known))
        await both[0].store.write(Revoke("a", None, 1))
        await until(lambda: known.cover(ALICE))


async def test_tables_one_version_newer_serve_a_node_that_was_not_upgraded(
    server, tmp_path, monkeypatch
):
    async with nodes(tmp_path, server.address) as both:
        monkeypatch.setattr(
            "mcp_node.storage.POSTGRES_VERSIONS",
            (*POSTGRES_VERSIONS, ("ALTER TABLE sessions ADD COLUMN added TEXT",)),
        )
        (tmp_path / "new").mkdir()
        settings = Settings(data_dir=tmp_path / "new", store=server.address)
        newer = await open_store(tmp_path / "new", settings)
        monkeypatch.undo()
        try:
            await storing.append(newer, new_message())
            assert await say(both[0]) == 2
            await storing.create_session(both[1].store, new_session("other"))
        finally:
            await newer.close()
        again = await open_store(tmp_path / "new", settings)  # an older one that starts again
        assert await everything(again) == [1, 2]
        await again.close()


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often a node asked to be stopped."""
    stops: list[int] = []
    monkeypatch.setattr("mcp_node.log.postgres.identity.stop_node", lambda: stops.append(1))
    return stops


@asynccontextmanager
async def a_standby(synchronous: bool) -> AsyncIterator[tuple[PostgresServer, PostgresServer]]:
    """A server and its standby."""
    with own_server() as primary:
        standby = await asyncio.to_thread(PostgresServer, standby_of=primary)
        try:
            await asyncio.to_thread(standby.start)
            await asyncio.to_thread(primary.follows, required=synchronous)
            yield primary, standby
        finally:
            await asyncio.to_thread(standby.remove)


async def test_a_synchronous_standby_that_is_promoted_serves_the_same_log(tmp_path, stopped):
    async with a_standby(synchronous=True) as (primary, standby):
        async with nodes(tmp_path, primary.address_with(standby)) as both:
            epoch = both[0].store.epoch
            said = [await say(both[n % 2]) for n in range(10)]
            await asyncio.to_thread(primary.stop)
            promoting = asyncio.create_task(asyncio.to_thread(standby.promote))
            more = [await again(lambda n=n: say(both[n % 2])) for n in range(4)]
            await promoting
            assert await again(lambda: everything(both[0].store)) == said + more
            assert not stopped
        async with nodes(tmp_path, standby.address, count=1) as (after,):
            assert after.store.epoch == epoch


async def test_an_asynchronous_standby_that_is_promoted_has_another_log(tmp_path, stopped):
    async with a_standby(synchronous=False) as (primary, standby):
        async with nodes(tmp_path, primary.address_with(standby)) as both:
            epoch = both[0].store.epoch
            await say(both[0])
            await asyncio.to_thread(primary.stop)
            await asyncio.to_thread(standby.promote)
            for node in both:  # whatever they ask, nothing is shown as the former log's
                with pytest.raises(Unavailable):
                    await everything(node.store)
                with pytest.raises(Unavailable):
                    await say(node)
            await until(lambda: len(stopped) == 2)
        async with nodes(tmp_path, standby.address, count=2) as after:
            assert after[0].store.epoch == after[1].store.epoch != epoch


async def again(work: Any) -> Any:
    """What it returns once the database answers."""
    result: list[Any] = []

    async def answered() -> bool:
        try:
            result.append(await work())
        except Unavailable:
            return False
        return True

    await until(answered)
    return result[0]
