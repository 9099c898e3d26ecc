from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mcp_node.store.sqlite import SqliteStore
from tests.mcp_node.store.making import new_session, opened


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    """An open store with the session ``room``."""
    async with opened(tmp_path) as store:
        await store.create_session(new_session())
        yield store
