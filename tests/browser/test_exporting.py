"""Export: a session as a file, whole and in order."""

import json
from pathlib import Path

import pytest

from tests.browser.conftest import People
from tests.browser.test_reading import filled
from tests.pair import Pair

pytestmark = pytest.mark.asyncio(loop_scope="session")


@pytest.mark.parametrize("label", ["Export as Markdown", "Export as JSON Lines"])
async def test_a_session_comes_whole(
    pair: Pair, people: People, name: str, tmp_path: Path, label: str
) -> None:
    made = await filled(pair, name, 1_100)  # more than a page of REST holds
    person = await people.enter(pair)
    page = await person.open(name)
    await page.locator(".session-head summary").click()
    async with page.expect_download() as coming:
        await page.get_by_role("button", name=label).click()
    download = await coming.value
    target = tmp_path / download.suggested_filename
    await download.save_as(target)
    text = target.read_text("utf-8")
    if label.endswith("Lines"):
        assert target.name == f"{name}.jsonl"
        assert [json.loads(line)["id"] for line in text.splitlines()] == made
    else:
        assert target.name == f"{name}.md"
        assert text.startswith(f"# {name}\n\n### #{made[0]} alice (claude), ")
        assert [n for n in made if f"### #{n} alice" in text] == made
