"""A page from PostgreSQL beside SQLite: the same rows in both, and a row for each figure."""

import asyncio
from pathlib import Path

from bench.measurements.page_on_postgres import ASKED, pages
from tests import postgres


async def test_pages_of_a_short_log(tmp_path: Path) -> None:
    address, schema = await asyncio.to_thread(lambda: postgres.store_settings(tmp_path).values())
    rows = await pages(address, schema, count=2_000, calls=3)  # raises if the pages differ
    assert [row.name for row in rows] == [
        f"page of 2,000, {how}: {name}, {share}"
        for how in ("read alone", "REST")
        for name in ASKED
        for share in ("p50", "p99")
    ]
    assert all(0 < row.ours < 10_000 and row.reference for row in rows)
