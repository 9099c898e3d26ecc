"""Links for people: live links to one session, and login links of the operator.

The URL of a link ends in ``#code=…``, a random code of 256 bits that is not stored. Redeeming the
code gives a token: a live link's is for the principal ``guest:<link id>`` in one session, a login
link's is for the principal ``human``.
"""

import re
import secrets
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, NamedTuple

from mcp_node.links.revocations import RevokeLink
from mcp_node.links.rows import (
    LIVE,
    LOGIN,
    Link,
    MintLink,
    NewLink,
    RedeemLink,
    hash_code,
    link_of_code,
    newest_links,
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
"""Bounds on the lifetime of a live link."""

LOGIN_SECONDS: Final = 600
LOGIN_TOKEN_SECONDS: Final = 30 * 86_400
"""Lifetimes of a login link, and of the token it gives."""

OPERATOR: Final = "partyline"
"""The minter of login links; a reserved name."""

_CODE: Final = re.compile(r"[A-Za-z0-9_-]{43}")


class Minted(NamedTuple):
    """A new link and its URL. The URL cannot be retrieved later."""

    link: Link
    url: str


class Redeemed(NamedTuple):
    """A link whose code was redeemed, and the claims of the token to sign for it."""

    link: Link
    token_id: str
    issued_at: int
    expires_at: int


class Links:
    """Mints, redeems and revokes links.

    Writes may raise `Overloaded` and `Unavailable`; a cancelled write may or may not have been
    stored.

    Args:
        database: where links are stored.
        settings: the page's address, and the limit on links per principal.
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
        """Mint a link by which people can watch a session, and optionally write in it.

        A link never grants more than its minter has: guests get no scope that the minter lacks,
        and the link expires no later than the minter's token.

        Args:
            principal: the minter.
            session_id: the session; it must exist.
            expires_in: its lifetime, such as ``90m``, ``24h`` or a number of seconds; a minute to
                30 days.
            write: whether guests may write public messages.

        Raises:
            Forbidden: the minter is a guest, or has no token, or lacks a scope the link would
                grant.
            InvalidInput: an argument is out of bounds.
            SessionNotFound: the session does not exist, or the minter's token does not cover it.
            RateLimited: the minter has too many valid links.
        """
        no_guest(principal, "links to give out")
        if not principal.token_id:
            raise Forbidden("Only a principal with a token can make links.", "Connect with one.")
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
        """Mint a link that gives the operator's token, once, within ten minutes.

        Only the operator's own processes may call this.
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
        """Redeem a code. A login link's code can be redeemed once.

        Raises:
            Unauthenticated: the code is wrong, used, expired or revoked. The error does not say
                which.
        """
        if not isinstance(code, str) or not _CODE.fullmatch(code):
            raise Unauthenticated("That is not the code of a link.", "Ask for a new link.")
        code_hash, now, token_id = hash_code(code), self._clock(), new_token_id()
        # Check with a read first, so that guessed codes do not fill the queue of writes.
        await self._database.read(lambda connection: link_of_code(connection, code_hash, now))
        link = await self._database.write(RedeemLink(code_hash, now, token_id))
        issued_at = int(now)
        until = issued_at + LOGIN_TOKEN_SECONDS if link.kind == LOGIN else int(link.expires_at)
        return Redeemed(link, token_id, issued_at, until)

    async def revoke(self, link_id: str) -> list[Revocation]:
        """Revoke a link; return the revocations of the tokens it gave.

        Raises:
            LinkNotFound: there is no link with that id.
        """
        return await self._database.write(RevokeLink(link_id, self._clock()))

    async def newest(self) -> list[Link]:
        """The newest links, including those that expired recently."""
        return await self._database.read(newest_links)

    async def _mint(self, new: NewLink, most: int | None) -> Minted:
        page = self._page()
        code = secrets.token_urlsafe(32)
        link = await self._database.write(MintLink(new, hash_code(code), most))
        return Minted(link, f"{page}#code={code}")

    def _page(self) -> str:
        """The page's address. With PARTYLINE_WS_PORT=0 it is the port ws_node has taken.

        Raises:
            Unavailable: ws_node has not taken a port yet.
        """
        settings = with_ports(self._settings)
        if not (settings.ws_port or settings.page_url):
            raise Unavailable("ws_node is not running, so the page has no address.")
        return settings.page
