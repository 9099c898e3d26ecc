"""Links for people: a live link to one session, and the operator's login link.

A link's address ends in ``#code=…``, 256 bits that are kept nowhere. Redeeming the code gives a
token: a guest's, who is ``guest:<link id>`` in one session, or the operator's, who is ``human``.
"""

import re
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from mcp_node.links.rows import (
    LIVE,
    LOGIN,
    EndLink,
    Link,
    MintLink,
    NewLink,
    RedeemLink,
    hashed,
    newest_links,
    working_link,
)
from mcp_node.log.interface import Database
from mcp_node.sessions import reads
from mcp_node.sessions.authorization import entered, need, no_guest
from mcp_node.sessions.durations import duration_seconds
from proto.errors import Forbidden, InvalidInput, Unauthenticated, Unavailable
from proto.messages import Principal
from proto.revocations import Revocation
from proto.settings import Settings
from proto.tokens import new_token_id
from serving.process.address import with_ports

SHORTEST_SECONDS: Final = 60
LONGEST_SECONDS: Final = 30 * 86_400
"""How long a live link may work."""

LOGIN_SECONDS: Final = 600
LOGIN_TOKEN_SECONDS: Final = 30 * 86_400
"""How long a login link works, and the token it gives."""

OPERATOR: Final = "partyline"
"""Who mints login links: a reserved name."""

_CODE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class Minted(NamedTuple):
    """A link, and the address that is given out; it is not to be had again."""

    link: Link
    url: str


class Redeemed(NamedTuple):
    """A link whose code was redeemed, and what the token for it is to say."""

    link: Link
    token_id: str
    issued_at: int
    expires_at: int


class Links:
    """Mints, redeems and revokes links.

    Writes may raise `Overloaded` and `Unavailable`; cancelling one leaves open whether it was
    stored.

    Args:
        store: where they are kept.
        settings: where the page is, and how many links one principal may have.
        clock: seconds of Unix time.
    """

    def __init__(
        self, database: Database, settings: Settings, *, clock: Callable[[], float] = time.time
    ) -> None:
        self._clock = clock
        self._database = database
        self._settings = settings
        self._most = settings.max_links_per_principal

    async def mint_live(
        self, principal: Principal, session_id: Any, expires_in: Any = "24h", write: Any = False
    ) -> Minted:
        """A link by which people watch a session, and write in it if asked for.

        Never more than the principal's own rights: neither in what its guests may do nor in how
        long (the link ends with the principal's token).

        Args:
            principal: who mints it.
            session_id: the session; it must exist.
            expires_in: from a minute to 30 days, such as ``90m``, ``24h`` or seconds.
            write: whether guests may write public messages.

        Raises:
            Forbidden: a guest, or somebody without a token, or without the scope it would give.
            InvalidInput: an argument is out of its bounds.
            SessionNotFound: there is none that the principal may enter.
            RateLimited: it has as many links that work as one may.
        """
        no_guest(principal, "links to give out")
        if not principal.token_id:
            raise Forbidden("Links are made with a token.", "Connect with one.")
        name = entered(principal, session_id, "read")
        if not isinstance(write, bool):
            raise InvalidInput("write must be true or false.")
        if write:
            need(principal, "write")
        seconds = duration_seconds(expires_in, "expires_in")
        if not SHORTEST_SECONDS <= seconds <= LONGEST_SECONDS:
            raise InvalidInput("expires_in must be from a minute to 30 days, such as 24h.")
        await self._database.read(partial(reads.session, session_id=name))
        now = self._clock()
        expires_at = int(now) + seconds
        if principal.expires_at is not None:
            expires_at = min(expires_at, principal.expires_at)
        new = NewLink(
            kind=LIVE,
            session_id=name,
            may_write=write,
            minted_by=principal.agent_id,
            minted_with=principal.token_id,
            minted_with_at=principal.issued_at,
            created_at=now,
            expires_at=expires_at,
        )
        return await self._mint(new, self._most)

    async def mint_login(self) -> Minted:
        """A link that gives the operator's token once, within ten minutes.

        Only processes of the operator's may get to this.
        """
        now = self._clock()
        new = NewLink(
            kind=LOGIN,
            session_id=None,
            may_write=True,
            minted_by=OPERATOR,
            minted_with="",
            minted_with_at=0,
            created_at=now,
            expires_at=now + LOGIN_SECONDS,
        )
        return await self._mint(new, None)

    async def redeem(self, code: Any) -> Redeemed:
        """What a code is good for; a login link's code is good for it once.

        Raises:
            Unauthenticated: it is wrong, used, expired or revoked; which is not said.
        """
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise Unauthenticated("That is no code of a link.", "Ask for a new link.")
        code_hash, now, token_id = hashed(code), self._clock(), new_token_id()
        # A wrong code costs a read, not a place among the writes.
        await self._database.read(lambda connection: working_link(connection, code_hash, now))
        link = await self._database.write(RedeemLink(code_hash, now, token_id))
        issued_at = int(now)
        until = issued_at + LOGIN_TOKEN_SECONDS if link.kind == LOGIN else int(link.expires_at)
        return Redeemed(link, token_id, issued_at, until)

    async def revoke(self, link_id: str) -> list[Revocation]:
        """End a link; the revocations of the tokens it gave.

        Raises:
            LinkNotFound: there is none of that id.
        """
        return await self._database.write(EndLink(link_id, self._clock()))

    async def newest(self) -> list[Link]:
        """The newest links, those that ended lately included."""
        return await self._database.read(newest_links)

    async def _mint(self, new: NewLink, most: int | None) -> Minted:
        page = self._page()
        code = secrets.token_urlsafe(32)
        link = await self._database.write(MintLink(new, hashed(code), most))
        return Minted(link, f"{page}#code={code}")

    def _page(self) -> str:
        """The page's address, which depends on ws_node where that takes any port.

        Raises:
            Unavailable: it does, and does not run.
        """
        settings = with_ports(self._settings)
        if not (settings.ws_port or settings.page_url):
            raise Unavailable("ws_node does not run, so the page has no address.")
        return settings.page
