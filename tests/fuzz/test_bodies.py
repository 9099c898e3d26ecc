"""REST, the routes between the nodes, and /broadcast: addresses, queries and bodies."""

import json
from typing import Any, Final

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.fuzz.fuzzing import (
    NUMBERS,
    SEGMENTS,
    TEXTS,
    VALUES,
    Watch,
    altered,
    attack,
    bodies,
    bounded,
    client,
    decoded,
    escaped,
    judged,
    watched,
)
from tests.pair import Pair
from tests.security.asking import JSON
from tests.security.unharmed import MARK

MESSAGE: Final[dict[str, Any]] = {
    "content": MARK,
    "visibility": "public",
    "metadata": {"a": {"b": [1]}},
    "parent_message_id": None,
    "idempotency_key": None,
}
SESSION: Final[dict[str, Any]] = {"purpose": MARK, "session_id": None, "metadata": {"a": 1}}
EVENT: Final[dict[str, Any]] = {
    "type": "note",
    "data": {"visibility": "public", "sender": "a", "sender_type": "b", "x": MARK},
}
STRETCH: Final[dict[str, Any]] = {
    "session_id": "a",
    "after": 0,
    "limit": 10,
    "audience": {"agent_id": "a", "agent_type": "b", "is_admin": False},
}
QUERY_KEYS: Final = ("after", "before", "limit", "sender", "visibility", "active_since", "since")
QUERIES: Final = st.lists(
    st.tuples(
        st.sampled_from(QUERY_KEYS) | st.just(MARK),
        st.one_of(
            st.binary(max_size=6).map(escaped),
            NUMBERS.map(str),
            st.sampled_from([MARK, "9" * 5_000, "2026-11-23", "0001-01-01T00:00:00+14:00"]),
        ),
    ),
    max_size=4,
).map(lambda pairs: "&".join(f"{key}={value}" for key, value in pairs))


@pytest.mark.parametrize("what", ["messages", "sessions"])
async def test_generated_rest_bodies_do_no_harm(pair: Pair, what: str) -> None:
    valid = MESSAGE if what == "messages" else SESSION

    async with watched(pair) as watch:
        path = f"/api/sessions/{watch.room}/messages" if what == "messages" else "/api/sessions"
        with client(pair.mcp_url) as rest:
            headers = pair.headers("fuzzer") | JSON

            @bounded(50)
            @given(bodies(valid))
            def work(body: bytes) -> None:
                answer = judged(rest.post(path, content=body, headers=headers))
                if answer.status_code == 201:
                    note(watch, decoded(answer))

            await attack(work)


def note(watch: Watch, made: dict[str, Any]) -> None:
    """Something was written, as it may be."""
    if "message_id" in made:
        watch.messages.add(made["message_id"])
    else:
        watch.rooms.add(made["session_id"])


async def test_generated_addresses_and_queries_do_no_harm(pair: Pair) -> None:
    async with watched(pair) as watch:
        paths = st.one_of(
            st.sampled_from(
                [
                    *("/api/sessions", f"/api/sessions/{watch.room}", "/api/heads"),
                    *(f"/api/sessions/{watch.room}/messages", f"/api/heads/{watch.room}"),
                    *(
                        "/api/log",
                        "/api/prune",
                        "/api/revocations",
                        "/mcp",
                        "/healthz",
                        "/metrics",
                        "/ws",
                    ),
                    *(f"/events/{MARK}", "/docs", "/openapi.json"),
                ]
            ),
            st.tuples(
                st.sampled_from(
                    ["/api/sessions/", "/api/heads/", "/docs/assets/", "/broadcast/", "/"]
                ),
                SEGMENTS,
                st.sampled_from(["", "/", "/messages", f"/{MARK}"]),
            ).map("".join),
        )
        methods = st.sampled_from(["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
        tokens = [pair.headers("fuzzer"), {}]

        with client(pair.mcp_url) as mcp, client(pair.ws_url) as ws:

            @bounded(80)
            @given(st.sampled_from([mcp, ws]), methods, paths, QUERIES, st.sampled_from(tokens))
            def work(
                node: httpx.Client, method: str, path: str, query: str, token: dict[str, str]
            ) -> None:
                url = f"{node.base_url}{path}?{query}".replace("//", "/").replace(":/", "://")
                with node.stream(method, url, headers=token) as answer:
                    if "event-stream" not in answer.headers.get("content-type", ""):
                        answer.read()
                        judged(answer)

            await attack(work)


@pytest.mark.parametrize(
    "path",
    ["/api/agents", "/api/log", "/api/prune", "/api/revocations", "/api/links", "/api/redeem"],
)
async def test_generated_bodies_between_the_nodes_do_no_harm(pair: Pair, path: str) -> None:
    valid = {
        "/api/agents": {"session_ids": [MARK]},
        "/api/log": STRETCH,
        "/api/prune": {"before": "2026-01-01", "after": 0, "dry_run": True},
        "/api/revocations": {"token_id": MARK, "agent_id": None},
        "/api/links": {"kind": "login"},
        "/api/redeem": {"code": "A" * 43},
    }[path]

    async with watched(pair):
        with client(pair.mcp_socket) as rest:

            @bounded(40)
            @given(bodies(valid))
            def work(body: bytes) -> None:
                judged(rest.post(path, content=body, headers=JSON))

            await attack(work)


async def test_generated_broadcasts_do_no_harm(pair: Pair) -> None:
    async with watched(pair) as watch:
        url = f"/broadcast/{watch.room}"
        with client(pair.ws_url) as rest:

            @bounded(60)
            @given(bodies(EVENT))
            def work(body: bytes) -> None:
                answer = judged(rest.post(url, content=body, headers=JSON))
                if answer.is_success:
                    assert decoded(answer) == {"success": True, "session_id": watch.room}
                    watch.events += 1
                else:
                    assert set(decoded(answer)) == {"success", "error"}

            await attack(work)


async def test_broadcasts_that_claim_to_be_the_bridge_do_no_harm(pair: Pair) -> None:
    names = st.sampled_from(
        [
            *("X-Partyline-Epoch", "X-Partyline-Prev", "X-Partyline-Principal", "Origin"),
            *("Sec-Fetch-Site", "X-Forwarded-For", "Forwarded", "Content-Type", "Authorization"),
            *("Host", "Content-Encoding", "Expect", "Cookie", "X-HTTP-Method-Override"),
        ]
    )
    texts = st.one_of(
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=10),
        st.sampled_from([MARK, "null", "cross-site", "http://evil.example", "Bearer x", "9" * 20]),
        st.binary(max_size=4).map(lambda raw: raw.decode("latin-1")),
    )
    frames = altered({**EVENT, "type": "new_message", "session_id": "a", "position": 1})

    async with watched(pair) as watch:
        with client(pair.ws_url) as rest:

            @bounded(40)
            @given(st.lists(st.tuples(names, texts), min_size=1, max_size=4), frames)
            def work(headers: list[tuple[str, str]], body: dict[str, Any]) -> None:
                raw = [(key.encode(), value.encode("latin-1")) for key, value in headers]
                content = json.dumps(body).encode()
                try:
                    answer = rest.post(
                        f"/broadcast/{watch.room}",
                        content=content,
                        headers=[(b"Content-Type", b"application/json"), *raw],
                    )
                except (httpx.LocalProtocolError, httpx.RemoteProtocolError):
                    return  # the client itself refuses to send that
                watch.events += judged(answer).is_success

            await attack(work)


async def test_generated_positions_of_an_event_stream_do_no_harm(pair: Pair) -> None:
    async with watched(pair) as watch:
        with client(pair.ws_url) as rest:
            token = pair.headers("fuzzer")

            @bounded(30)
            @given(QUERIES, st.one_of(NUMBERS.map(str), st.just(MARK), st.none()))
            def work(query: str, last: str | None) -> None:
                headers = token | ({} if last is None else {"Last-Event-ID": last})
                with rest.stream("GET", f"/events/{watch.room}?{query}", headers=headers) as answer:
                    if answer.is_success:
                        first = next(answer.iter_text())
                        assert MARK not in first
                    else:
                        answer.read()
                        judged(answer)

            await attack(work)


def test_generated_bodies_can_be_encoded() -> None:
    """What the bodies are made of can be sent at all."""

    @bounded(20)
    @given(VALUES, TEXTS)
    def work(value: Any, text: str) -> None:
        assert json.dumps([value, text]).encode()

    work()
