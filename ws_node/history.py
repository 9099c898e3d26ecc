"""Asks mcp_node's log: where sessions stand, and what was said. The only way history is read.

At most 8 requests are under way at once; the same question asked twice meanwhile is asked once.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final, TypeVar

import httpx
import msgspec

from proto.messages import Audience, Message
from proto.settings import Settings
from proto.tokens import TO_MCP_NODE, ServiceToken

AT_ONCE: Final = 8
PAGE_MESSAGES: Final = 500
Answer = TypeVar("Answer")

_TIMEOUT: Final = httpx.Timeout(5.0, connect=1.0)


class HistoryAway(Exception):
    """mcp_node did not answer; ``refused``: it is not even running."""

    def __init__(self, *, refused: bool) -> None:
        super().__init__("mcp_node refused" if refused else "mcp_node did not answer")
        self.refused = refused


class Heads(msgspec.Struct, frozen=True):
    """Which sessions moved after an id; see ``mcp_node.log_api``."""

    epoch: str
    head: int
    changed: dict[str, int]
    through: int
    boot: int
    auth: str


class SessionHead(msgspec.Struct, frozen=True):
    """Where a session stands."""

    epoch: str
    id: int
    boot: int


class LogPage(msgspec.Struct, frozen=True):
    """A stretch of a session's log."""

    epoch: str
    head: int
    through: int
    messages: list[Message]


class History:
    """A client of mcp_node's log.

    Every question raises `HistoryAway` when it gets no answer within 5 seconds. Cancelling one
    asker does not disturb others who share the question.
    """

    def __init__(self, settings: Settings, *, bridge_key: bytes) -> None:
        self.requests = 0
        self._token = ServiceToken(bridge_key, TO_MCP_NODE)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._asked: dict[Any, asyncio.Task[bytes]] = {}
        self._client = httpx.AsyncClient(
            base_url=settings.mcp_url,
            timeout=_TIMEOUT,
            trust_env=False,
            limits=httpx.Limits(max_connections=AT_ONCE + 1, keepalive_expiry=30),
        )

    async def heads(self, after: int) -> Heads:
        """Which sessions moved after an id."""
        raw = await self._ask("GET", f"/api/heads?after={after}")
        return _decoded(raw, Heads)

    async def session_head(self, session_id: str) -> SessionHead:
        """Where a session stands."""
        path = f"/api/heads/{session_id}"
        raw = await self._share(path, lambda: self._ask("GET", path))
        return _decoded(raw, SessionHead)

    async def log(self, session_id: str, after: int, audience: Audience | None = None) -> LogPage:
        """The next stretch of a session after an id, filtered for an audience if one is given."""
        body = msgspec.json.encode(
            {
                "session_id": session_id,
                "after": after,
                "limit": PAGE_MESSAGES,
                "audience": audience,
            }
        )
        raw = await self._share(body, lambda: self._ask("POST", "/api/log", body))
        return _decoded(raw, LogPage)

    async def close(self) -> None:
        """Drop what is under way and close the connections."""
        for task in list(self._asked.values()):
            task.cancel()
        await self._client.aclose()

    async def _share(self, question: Any, ask: Callable[[], Coroutine[Any, Any, bytes]]) -> bytes:
        task = self._asked.get(question)
        if task is None:
            task = asyncio.ensure_future(ask())
            self._asked[question] = task
            task.add_done_callback(lambda done: self._answered(question, done))
        return await asyncio.shield(task)

    def _answered(self, question: Any, task: asyncio.Task[bytes]) -> None:
        self._asked.pop(question, None)
        if not task.cancelled():
            task.exception()  # seen: every asker may have gone

    async def _ask(self, method: str, path: str, body: bytes | None = None) -> bytes:
        headers = {"Authorization": f"Bearer {self._token.current()}"}
        if body is not None:
            headers["Content-Type"] = "application/json"
        async with self._places:
            self.requests += 1
            try:
                answer = await self._client.request(method, path, content=body, headers=headers)
            except httpx.ConnectError:
                raise HistoryAway(refused=True) from None
            except httpx.HTTPError:
                raise HistoryAway(refused=False) from None
        if answer.status_code != 200:
            raise HistoryAway(refused=False)
        return answer.content


def _decoded(raw: bytes, kind: type[Answer]) -> Answer:
    try:
        return msgspec.json.decode(raw, type=kind)
    except msgspec.MsgspecError:
        raise HistoryAway(refused=False) from None
