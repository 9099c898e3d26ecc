"""Trust: what an answer of mcp_node does to the revocations known, and to who is here."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from proto.messages import Principal
from proto.revocations import Revocation, Revocations
from tests.waiting import until
from tests.ws_node.log.test_client import answering, asking, http
from tests.ws_node.making import make_hub, make_settings
from ws_node.log import trust as trust_module
from ws_node.log.trust import Trust
from ws_node.rooms.disconnect import Disconnect
from ws_node.rooms.hub import Hub

FIRST = {"epoch": "e1", "opened_at": 1.5, "auth": "off", "revocations": 2}


class Answerer:
    """A mcp_node that says what it is told to say.

    Attributes:
        standing: its answer to /api/standing.
        revocations: its list.
        asked: how often each was asked for.
    """

    def __init__(self) -> None:
        self.standing: dict[str, Any] = dict(FIRST)
        self.revocations: list[Revocation] = []
        self.asked = {"standing": 0, "revocations": 0}

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        kind = "standing" if b" /api/standing" in head else "revocations"
        self.asked[kind] += 1
        body = self.standing if kind == "standing" else {"revocations": self.revocations}
        fed = asyncio.StreamReader()
        fed.feed_data(head)
        await http("200 OK", msgspec.json.encode(body))(fed, writer)


@contextlib.asynccontextmanager
async def trusting(
    directory: Path, answerer: Answerer, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[tuple[Trust, Hub, Revocations]]:
    monkeypatch.setattr(trust_module, "POLL_SECONDS", 0.02)
    async with answering(directory, answerer.answer) as settings, asking(settings) as history:
        known = Revocations()
        hub = make_hub(settings, known)
        trust = Trust(settings, hub, history, known)
        running = asyncio.create_task(trust.run())
        try:
            await until(lambda: trust.compared)
            yield trust, hub, known
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)


def holder(agent: str) -> Principal:
    return Principal(agent, "claude", frozenset({"read"}), token_id="t", issued_at=10)


@pytest.mark.parametrize(
    "change", [{"revocations": 1}, {"revocations": 3}, {"epoch": "e2"}, {"opened_at": 2.5}], ids=str
)
async def test_any_other_answer_replaces_the_list(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any]
) -> None:
    """Also one with a lower number, as after a restore."""
    answerer = Answerer()
    answerer.revocations = [Revocation(2, None, "alice", 100)]
    async with trusting(tmp_path, answerer, monkeypatch) as (_, _, known):
        assert (known.complete, known.number) == (True, 2)
        answerer.revocations = [Revocation(1, None, "bob", 100)]
        answerer.standing |= change
        await until(lambda: known.cover(holder("bob")))
        assert not known.cover(holder("alice"))
        assert known.complete


async def test_the_list_is_read_only_when_the_answer_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answerer = Answerer()
    async with trusting(tmp_path, answerer, monkeypatch):
        await until(lambda: answerer.asked["standing"] > 5)
    assert answerer.asked["revocations"] == 1


async def test_another_auth_closes_everybody_until_it_is_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answerer = Answerer()
    async with trusting(tmp_path, answerer, monkeypatch) as (trust, hub, _):
        sent_away: list[Disconnect] = []
        monkeypatch.setattr(hub, "disconnect_all", sent_away.append)
        assert await trust.admits()
        answerer.standing["auth"] = "token"
        await until(lambda: trust.mismatch)
        assert (hub.closed, await trust.admits()) == (Disconnect.AUTH_DIFFERS, False)
        await until(lambda: len(sent_away) > 1)  # and again whoever slipped in meanwhile
        assert set(sent_away) == {Disconnect.AUTH_DIFFERS}
        answerer.standing["auth"] = "off"
        await until(lambda: not trust.mismatch)
        assert (hub.closed, await trust.admits()) == (None, True)


@pytest.mark.parametrize(("auth", "admitted"), [("off", False), ("token", True)])
async def test_before_the_first_answer_auth_off_admits_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, auth: str, admitted: bool
) -> None:
    monkeypatch.setattr(trust_module, "FIRST_SECONDS", 0.05)
    settings = make_settings(tmp_path).model_copy(update={"auth": auth})
    async with asking(settings) as history:
        known = Revocations()
        hub = make_hub(settings, known)
        trust = Trust(settings, hub, history, known)
        assert await trust.admits() is admitted
        assert not known.complete
