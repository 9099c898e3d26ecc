"""Full-text search of messages, in the sessions that a token covers."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, Final

from mcp_node.log.interface import Database
from mcp_node.search.finding import Hit, find
from mcp_node.search.query import parse
from mcp_node.search.rows import Criteria
from mcp_node.search.vocabulary import Vocabulary
from mcp_node.sessions import checks, reads
from mcp_node.sessions.authorization import entered, need
from proto.errors import InvalidInput, RateLimited
from proto.hidden import hidden_characters
from proto.messages import Principal
from proto.settings import Settings
from serving.quota import Quota

MAX_HITS: Final = 100


class Search:
    """Full-text search, with a limit on concurrent searches of each principal."""

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
        thread: Any = None,
        metadata: Any = None,
    ) -> dict[str, Any]:
        """Find messages that contain every word of a query, newest first, with snippets.

        Messages that the principal may not see do not affect the result. Cancelling is safe.

        Args:
            principal: the caller.
            query: at most 200 characters and 8 words; see `mcp_node.search.query`.
            session_id: search this session; None for all that the token covers.
            sender: only messages of this sender. A name without ``/`` includes its sub-agents.
            since: the earliest time, ISO 8601.
            until: the latest time, ISO 8601.
            limit: 1 to `MAX_HITS`.
            thread: only messages under this one, of ``session_id``.
            metadata: only messages whose metadata has these fields.

        Raises:
            Forbidden: the caller lacks the scope ``read``.
            InvalidInput: an argument is out of bounds, or the query has no word.
            TooLarge: the query is too long.
            SessionNotFound: there is no such session, or the token does not cover it.
            MessageNotFound: the session has no such message as ``thread`` that the caller may see.
            RateLimited: too many searches of this principal are running.
            Unavailable: the database failed, or the index is too far behind the log.
        """
        need(principal, "read")
        name = None if session_id is None else entered(principal, session_id, "read")
        criteria = Criteria(
            audience=principal.audience,
            within=principal.sessions if name is None else frozenset({name}),
            terms=parse(query),
            sender=checks.check_sender(sender),
            since=checks.check_moment(since, "since"),
            until=checks.check_moment(until, "until"),
            limit=checks.check_limit(limit, MAX_HITS),
            thread=checks.check_id(thread, "thread", least=1),
            fields=checks.check_fields(metadata),
        )
        if criteria.thread is not None and name is None:
            raise InvalidInput("thread needs session_id.", "Add the session of that message.")
        with self._counted(principal):
            if name is not None:
                await self._database.read(partial(reads.session, session_id=name))
            search = partial(find, vocabulary=self._vocabulary, criteria=criteria)
            found = await self._database.read_long(search)
        result = {
            "results": [_shown(hit) for hit in found.hits],
            "has_more": found.has_more,
        }
        return {**result, "corrected": found.corrected} if found.corrected else result

    @contextmanager
    def _counted(self, principal: Principal) -> Iterator[None]:
        """Count a running search.

        Raises:
            RateLimited: too many searches of this principal are running.
        """
        who = principal.verified_id
        if not self._running.acquire(who):
            raise RateLimited(
                "Too many of your searches are running.",
                "Wait for their results, then search again.",
            )
        try:
            yield
        finally:
            self._running.release(who)


def _shown(hit: Hit) -> dict[str, Any]:
    """A hit as JSON; ``hidden_characters`` is present only if the snippet has any."""
    hidden = hidden_characters(hit.snippet)
    return hit._asdict() | ({"hidden_characters": hidden} if hidden else {})
