"""The agents: they write over REST or MCP, and ask again with the same key until they know."""

import asyncio
import json
import random
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from tests.chaos.judge import Acknowledged
from tests.clients import UNANSWERED, plain_client
from tests.pair import Pair

TYPES: Final = ("claude", "codex", "gemini")
VISIBILITIES: Final = ("public", "private", "agent_only", "admin_only")
PROTOCOL: Final = "2026-07-28"
RETRY_CODES: Final = ("UNAVAILABLE", "OVERLOADED", "RATE_LIMITED")
BURST: Final = 30


def checksum(sender: str, sender_type: str, visibility: str, content: str) -> int:
    """What is compared of a message wherever it is seen; good within one process."""
    return hash((sender, sender_type, visibility, content))


@dataclass(slots=True)
class Write:
    """One message an agent wants written, and what became of it."""

    key: str
    session_id: str
    content: str
    visibility: str
    sum: int
    begun: float = 0.0
    acknowledged: float = 0.0
    id: int = 0


class Unsure(Exception):
    """It may be written or not: ask again with the same key."""


class Agent:
    """One principal that writes.

    Attributes:
        writes: everything begun, in order.
        answers: every id it was told, again for writes asked twice.
        retries: how often it had to ask again.
        refused: answers that should not have come.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        number: int,
        rooms: list[str],
        rng: random.Random,
        pause: float,
    ) -> None:
        self.name = f"agent-{number:02}"
        self.kind = TYPES[number % len(TYPES)]
        self.is_admin = number % 5 == 4
        self.writes: list[Write] = []
        self.answers: list[Acknowledged] = []
        self.retries = 0
        self.refused: list[str] = []
        self._rooms = rooms
        self._rng = rng
        self._pause = pause
        self._send = self._over_mcp if number % 2 else self._over_rest
        scopes = "read,write,admin" if self.is_admin else "read,write"
        self._pairs = pairs
        headers = pairs[0].headers(self.name, kind=self.kind, scopes=scopes)
        self._client = plain_client(headers=headers, timeout=5.0)

    async def write_until(self, enough: asyncio.Event) -> None:
        """Write until told to stop; returns when the last outcome is known."""
        rng = self._rng
        while not enough.is_set():
            await asyncio.sleep(rng.expovariate(1 / self._pause))
            count = BURST if rng.random() < 0.01 else 1
            await asyncio.gather(*(self._write(self._new()) for _ in range(count)))
        await self._client.aclose()

    def _new(self) -> Write:
        rng = self._rng
        key = f"{self.name}/{len(self.writes)}"
        [size] = rng.choices((40, 400, 2_500, 20_000), weights=(50, 30, 16, 4))
        content = f"{key} ".ljust(rng.randrange(20, size), "…")
        [visibility] = rng.choices(VISIBILITIES, weights=(60, 14, 18, 8 if self.is_admin else 0))
        write = Write(
            key,
            rng.choice(self._rooms),
            content,
            visibility,
            checksum(self.name, self.kind, visibility, content),
        )
        self.writes.append(write)
        return write

    async def _write(self, write: Write) -> None:
        write.begun = time.monotonic()
        write.id = await self._known(write)
        write.acknowledged = time.monotonic()
        if self._rng.random() < 0.02:
            await self._known(write)

    async def _known(self, write: Write) -> int:
        """Ask until the answer is known; the message's id."""
        while True:
            try:
                id_ = await self._send(write)
            except (Unsure, ValueError, *UNANSWERED):
                self.retries += 1
                await asyncio.sleep(self._rng.uniform(0.02, 0.3))
                continue
            self.answers.append(Acknowledged(id_, write.sum, write.key))
            return id_

    def _somewhere(self) -> str:
        """The URL of any mcp_node."""
        return self._rng.choice(self._pairs).mcp_url

    async def _over_rest(self, write: Write) -> int:
        answer = await self._client.post(
            f"{self._somewhere()}/api/sessions/{write.session_id}/messages",
            json={
                "content": write.content,
                "visibility": write.visibility,
                "idempotency_key": write.key,
            },
        )
        if answer.status_code != 201:
            raise self._complaint(answer.status_code, answer.text)
        return int(answer.json()["message_id"])

    async def _over_mcp(self, write: Write) -> int:
        """Call the tool as protocol 2026-07-28 does: every request stands alone."""
        prefix = "io.modelcontextprotocol"
        arguments = {
            "session_id": write.session_id,
            "content": write.content,
            "visibility": write.visibility,
            "idempotency_key": write.key,
        }
        meta = {f"{prefix}/protocolVersion": PROTOCOL, f"{prefix}/clientCapabilities": {}}
        params = {"name": "add_message", "arguments": arguments, "_meta": meta}
        answer = await self._client.post(
            f"{self._somewhere()}/mcp",
            content=json.dumps(
                {"jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params}
            ),
            headers={
                "Content-Type": "application/json",
                "Accept": "application/json, text/event-stream",
                "MCP-Protocol-Version": PROTOCOL,
                "Mcp-Method": "tools/call",
                "Mcp-Name": "add_message",
            },
        )
        if answer.status_code != 200:
            raise self._complaint(answer.status_code, answer.text)
        result: dict[str, Any] = answer.json().get("result", {})
        if "structuredContent" not in result or result.get("isError"):
            raise self._complaint(200, answer.text)
        return int(result["structuredContent"]["message_id"])

    def _complaint(self, status: int, text: str) -> Unsure:
        """Write down what is not a plain "not now"; the write is asked again all the same."""
        if not any(code in text for code in RETRY_CODES):
            self.refused.append(f"{self.name}: {status} {text[:300]}")
        return Unsure()


async def make_rooms(pair: Pair, count: int) -> list[str]:
    """The sessions of a run."""
    rooms = [f"chaos-{number}" for number in range(count)]
    async with pair.rest("founder") as rest:
        for room in rooms:
            made = await rest.post("/api/sessions", json={"purpose": "chaos", "session_id": room})
            made.raise_for_status()
    return rooms


def first_begun_after(writes: Iterable[Write], session_id: str, moment: float) -> int | None:
    """The lowest id of a session among writes that began after a moment; None without any."""
    return min(
        (
            write.id
            for write in writes
            if write.session_id == session_id and write.begun > moment and write.id
        ),
        default=None,
    )
