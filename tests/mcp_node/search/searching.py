"""Searches of a store, for the tests."""

from typing import Any

from mcp_node.log.interface import Database
from mcp_node.log.transaction import Transaction
from mcp_node.search.finding import Found
from mcp_node.search.index import index_everything
from mcp_node.search.query import parse
from mcp_node.search.rows import Criteria
from proto.messages import Audience
from tests.mcp_node import storing
from tests.mcp_node.making import CLAUDE


class Statement:
    """A write: one statement, as the operations of other features have them."""

    size = 0

    def __init__(self, sql: str, *parameters: object) -> None:
        self._sql = sql
        self._parameters = parameters

    def apply(self, transaction: Transaction) -> None:
        transaction.write(self._sql, self._parameters)


class IndexNow:
    """A write: the index catches up, however few messages wait."""

    size = 0

    def apply(self, transaction: Transaction) -> None:
        transaction.flush()
        index_everything(transaction._connection)


async def search(store: Database, query: str, audience: Audience = CLAUDE, **wishes: Any) -> Found:
    defaults = {"within": None, "sender": None, "since": None, "until": None, "limit": 20}
    return await storing.search(
        store, Criteria(audience=audience, terms=parse(query), **defaults | wishes)
    )


async def found(store: Database, query: str, **wishes: Any) -> list[int]:
    return [hit.message_id for hit in (await search(store, query, **wishes)).hits]
