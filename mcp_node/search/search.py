"""Searching messages, in the sessions a token may enter."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from mcp_node.log.interface import Database
from mcp_node.search.finding import Hit, find
from mcp_node.search.query import parse
from mcp_node.search.rows import Wish
from mcp_node.search.vocabulary import Vocabulary
from mcp_node.sessions import checks, reads
from mcp_node.sessions.authorization import entered, need
from proto.errors import RateLimited
from proto.hidden import hidden_characters
from proto.messages import Principal
from proto.settings import Settings
from serving.quota import Quota

MAX_HITS: Final = 100


class Search:
    """Full text search, for whoever asks."""

    def __init__(self, database: Database, settings: Settings) -> None:
        self._database = database
        self._vocabulary = Vocabulary()
        self._running = Quota(settings.max_searches_per_principal)

    async def search_messages(
        self,
        principal: Principal,
        query: Any,
        session_id: Any = None,
        sender: Any = None,
        since: Any = None,
        until: Any = None,
        limit: Any = 20,
    ) -> dict[str, Any]:
        """Messages that hold every word of a query, newest first, each with a piece of its text.

        What the principal may not see changes nothing of the answer. Cancelling is safe.

        Args:
            principal: who asks.
            query: at most 200 characters and 8 words; see `mcp_node.search.query`.
            session_id: look in this session; None for all that the token covers.
            sender: only messages of this sender; a name without ``/`` has its sub-agents too.
            since: ISO 8601, the earliest moment.
            until: ISO 8601, the latest moment.
            limit: 1 to `MAX_HITS`.

        Raises:
            Forbidden: it may not read.
            InvalidInput: an argument is out of bounds, or the query has no word.
            SessionNotFound: no such session, or the token does not cover it.
            RateLimited: too many searches of this principal are under way.
            Unavailable: the database failed.
        """
        need(principal, "read")
        name = None if session_id is None else entered(principal, session_id, "read")
        wish = Wish(
            audience=principal.audience,
            within=principal.sessions if name is None else frozenset({name}),
            terms=parse(query),
            sender=checks.check_sender(sender),
            since=checks.check_moment(since, "since"),
            until=checks.check_moment(until, "until"),
            limit=checks.check_limit(limit, MAX_HITS),
        )
        with self._counted(principal):
            if name is not None:
                await self._database.read(partial(reads.session, session_id=name))
            search = partial(find, vocabulary=self._vocabulary, wish=wish)
            found = await self._database.read_long(search)
        result = {
            "results": [_shown(hit) for hit in found.hits],
            "has_more": found.has_more,
        }
        return {**result, "corrected": found.corrected} if found.corrected else result

    @contextmanager
    def _counted(self, principal: Principal) -> Iterator[None]:
        """One of the searches that a principal may have under way.

        Raises:
            RateLimited: it has as many already.
        """
        who = principal.verified_id
        if not self._running.acquire(who):
            raise RateLimited(
                "Too many of your searches are under way.",
                "Wait for their answers, then search again.",
            )
        try:
            yield
        finally:
            self._running.release(who)


def _shown(hit: Hit) -> dict[str, Any]:
    """A hit; ``hidden_characters``, of its snippet, is there only if that has any."""
    hidden = hidden_characters(hit.snippet)
    return hit._asdict() | ({"hidden_characters": hidden} if hidden else {})
