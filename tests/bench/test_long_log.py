"""The long logs of the benches: written straight to the tables, and read by the node."""

from functools import partial
from pathlib import Path

from bench.long_log import LARGE, write_log
from mcp_node.log.sqlite.schema import DATABASE
from mcp_node.sessions import reads
from mcp_node.sessions.reads import PageQuery
from proto.messages import ANONYMOUS, Audience
from tests.mcp_node.making import opened


async def test_a_node_reads_a_long_log(tmp_path: Path) -> None:
    write_log(tmp_path / DATABASE, 2_000)
    newest = PageQuery(LARGE, None, None, 50, descending=True)
    async with opened(tmp_path) as store:
        look = partial(reads.page, audience=Audience(ANONYMOUS, ANONYMOUS), query=newest)
        page = await store.read(look)
    assert len(page.messages) == 50
    assert page.has_more
    assert all(message.about is None for message in page.messages)
