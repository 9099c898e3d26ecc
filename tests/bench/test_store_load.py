"""The processes that write to the database: every message that they count is in the log."""

import asyncio
import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path

import psycopg
from psycopg import sql

from bench.batch_times import BatchTimes
from bench.child import Child
from bench.measurements.store import block_of
from mcp_node.log.sqlite.schema import DATABASE
from tests import postgres


async def test_one_process_on_sqlite(tmp_path: Path) -> None:
    async with Child("bench.store_load", tmp_path) as process:
        block = await block_of([process], callers=5, seconds=0.1)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection:
        (count,) = connection.execute("SELECT count(*) FROM messages").fetchone()
    assert count == block.messages >= 5
    assert block.spent == BatchTimes()


async def test_two_processes_write_one_log_on_postgresql(tmp_path: Path) -> None:
    address, schema = postgres.store_settings(tmp_path).values()
    async with AsyncExitStack() as stack:
        processes = []
        for name in ("one", "two"):
            (tmp_path / name).mkdir()
            child = Child("bench.store_load", tmp_path / name, address, schema)
            processes.append(await stack.enter_async_context(child))
        block = await block_of(processes, callers=10, seconds=0.3)
    spent = block.spent
    assert 2 <= spent.batches <= block.messages
    assert 0 < spent.commit < spent.waiting < spent.thread < block.seconds
    ids = await asyncio.to_thread(_ids, address, schema)
    assert ids == list(range(1, block.messages + 1))


def _ids(address: str, schema: str) -> list[int]:
    read = sql.SQL("SELECT id FROM {}.messages ORDER BY id").format(sql.Identifier(schema))
    with psycopg.connect(address) as connection:
        return [id_ for (id_,) in connection.execute(read)]
