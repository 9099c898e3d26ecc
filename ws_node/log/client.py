"""The client of mcp_node's log, and the only way history is read.

At most 8 requests are under way at once, half of them reserved for the node's own, so that viewers
which catch up never delay a room. The requests for heads, agents and revocations are at most one
each and wait for no other. Viewers with equal requests share the answer.
"""

import asyncio
from collections.abc import Sequence
from typing import Final, TypeVar

import httpx
import msgspec

from proto import internal_api
from proto.frames import AgentHere
from proto.internal_api import (
    AgentsAnswer,
    AgentsRequest,
    Heads,
    LogPage,
    LogRequest,
    RevocationsAnswer,
    SessionHead,
    Standing,
)
from proto.messages import Audience
from proto.revocations import Revocation
from proto.settings import Settings
from serving.peers.clients import mcp_client
from serving.peers.local import UnsafePeer

AT_ONCE: Final = 8
ANSWER_SECONDS: Final = 5.0
PAGE_MESSAGES: Final = 500
Answer = TypeVar("Answer")

_TIMEOUT: Final = httpx.Timeout(ANSWER_SECONDS, connect=1.0)


class HistoryUnavailable(Exception):
    """mcp_node gave no usable answer.

    Args:
        why: for the log; nothing of what was received.
        refused: nothing listened, so mcp_node was not running.
    """

    def __init__(self, why: str, *, refused: bool = False) -> None:
        super().__init__(why)
        self.refused = refused


class History:
    """A client of mcp_node's log.

    Every request raises `HistoryUnavailable`, and nothing else, if it gets no usable answer within
    5 seconds. Requests that share an answer may be cancelled one by one.
    """

    def __init__(self, settings: Settings) -> None:
        self.requests = 0
        self._for_viewers = asyncio.Semaphore(AT_ONCE // 2)
        self._for_rooms = asyncio.Semaphore(AT_ONCE // 2)
        self._shared: dict[bytes, asyncio.Task[LogPage]] = {}
        self._client = mcp_client(
            settings,
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=AT_ONCE + 3, keepalive_expiry=30),
        )

    async def heads(self, after: int) -> Heads:
        """Which sessions moved after an id."""
        return await self._ask(Heads, "GET", f"{internal_api.HEADS}?after={after}")

    async def standing(self) -> Standing:
        """What decides who may be here, as of now; see `Standing`."""
        return await self._ask(Standing, "GET", internal_api.STANDING)

    async def revocations(self) -> list[Revocation]:
        """Every revocation."""
        return (await self._ask(RevocationsAnswer, "GET", internal_api.REVOCATIONS)).revocations

    async def agents(self, session_ids: Sequence[str]) -> dict[str, tuple[AgentHere, ...]]:
        """The agents at work in sessions, at most `MAX_AGENTS_SESSIONS`; see `AgentsAnswer`."""
        question = msgspec.json.encode(AgentsRequest(list(session_ids)))
        return (await self._ask(AgentsAnswer, "POST", internal_api.AGENTS, question)).agents

    async def session_head(self, session_id: str) -> SessionHead:
        """The session's head, read after this call; never shared with an earlier request."""
        async with self._for_rooms:
            path = internal_api.SESSION_HEAD.format(session_id=session_id)
            return await self._ask(SessionHead, "GET", path)

    async def log(self, session_id: str, after: int) -> LogPage:
        """The next page of a session after an id, for all audiences, read after this call."""
        async with self._for_rooms:
            question = _question(session_id, after, None)
            return await self._ask(LogPage, "POST", internal_api.LOG, question)

    async def visible_log(self, session_id: str, after: int, audience: Audience | None) -> LogPage:
        """The next page of a session after an id, perhaps read a moment ago for another viewer.

        Args:
            session_id: the session.
            after: an id.
            audience: whose view to return; None: all messages.
        """
        question = _question(session_id, after, audience)
        task = self._shared.get(question)
        if task is None:
            task = asyncio.create_task(self._visible_log(question))
            self._shared[question] = task
            task.add_done_callback(lambda done: self._answered(question, done))
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Cancel requests under way and close the connections."""
        tasks = list(self._shared.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.aclose()

    async def _visible_log(self, question: bytes) -> LogPage:
        async with self._for_viewers:
            return await self._ask(LogPage, "POST", internal_api.LOG, question)

    def _answered(self, question: bytes, task: asyncio.Task[LogPage]) -> None:
        self._shared.pop(question, None)
        if not task.cancelled():
            task.exception()  # retrieved, because every caller may have been cancelled

    async def _ask(
        self, kind: type[Answer], method: str, path: str, body: bytes | None = None
    ) -> Answer:
        headers = {} if body is None else {"Content-Type": "application/json"}
        self.requests += 1
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await self._client.request(method, path, content=body, headers=headers)
        except httpx.ConnectError:
            raise HistoryUnavailable("it is not running", refused=True) from None
        except UnsafePeer as error:
            raise HistoryUnavailable(str(error)) from None
        except (httpx.HTTPError, TimeoutError):
            raise HistoryUnavailable("it does not answer") from None
        except Exception as error:  # httpx also raises others: of its pool, sockets and parsers
            raise HistoryUnavailable(f"the connection failed: {type(error).__name__}") from None
        if answer.status_code != 200:
            raise HistoryUnavailable(f"it answers with status {answer.status_code}")
        try:
            return msgspec.json.decode(answer.content, type=kind)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            raise HistoryUnavailable("its answers are not of this version") from None


def _question(session_id: str, after: int, audience: Audience | None) -> bytes:
    return msgspec.json.encode(LogRequest(session_id, after, PAGE_MESSAGES, audience))
