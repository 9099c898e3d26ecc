"""Schemathesis: each route keeps to what its OpenAPI document says, whatever is asked of it."""

from typing import Any

import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.clients import plain_client
from tests.fuzz.fuzzing import Watch, attack, bounded, watched
from tests.pair import Pair
from tests.security.unharmed import Answer, clean

CHECKS = [
    not_a_server_error,
    response_schema_conformance,
    content_type_conformance,
    status_code_conformance,
]
ROUTES = {
    "mcp": [
        ("GET", "/api/sessions"),
        ("POST", "/api/sessions"),
        ("GET", "/api/sessions/{session_id}"),
        ("PATCH", "/api/sessions/{session_id}"),
        ("POST", "/api/sessions/{session_id}/close"),
        ("GET", "/api/sessions/{session_id}/messages"),
        ("POST", "/api/sessions/{session_id}/messages"),
        ("POST", "/api/sessions/{session_id}/messages/batch"),
        ("PATCH", "/api/sessions/{session_id}/messages/{message_id}"),
        ("DELETE", "/api/sessions/{session_id}/messages/{message_id}"),
        ("GET", "/api/sessions/{session_id}/messages/{message_id}/revisions"),
        ("PUT", "/api/sessions/{session_id}/messages/{message_id}/reactions/{reaction}"),
        ("DELETE", "/api/sessions/{session_id}/messages/{message_id}/reactions/{reaction}"),
        ("GET", "/api/sessions/{session_id}/agents"),
        ("GET", "/api/sessions/{session_id}/claims"),
        ("POST", "/api/sessions/{session_id}/claims"),
        ("POST", "/api/sessions/{session_id}/claims/release"),
        ("GET", "/api/sessions/{session_id}/notes"),
        ("GET", "/api/sessions/{session_id}/notes/{key}"),
        ("PUT", "/api/sessions/{session_id}/notes/{key}"),
        ("PUT", "/api/sessions/{session_id}/status"),
        ("POST", "/api/sessions/{session_id}/leave"),
        ("GET", "/api/search"),
        ("POST", "/api/sessions/{session_id}/read"),
        ("POST", "/api/redeem"),
    ],
    "ws": [("POST", "/broadcast/{session_id}")],
}
CASES = [(node, *route) for node, routes in ROUTES.items() for route in routes]


async def document(url: str) -> dict[str, Any]:
    async with plain_client() as client:
        answer: dict[str, Any] = (await client.get(f"{url}/openapi.json")).json()
        return answer


def note(watch: Watch, path: str, answer: Any) -> None:
    """What was taken, as it may be; of a refusal, that it tells nothing of the inside."""
    if answer.status_code == 201:
        made = answer.json()
        if "message_id" in made:
            watch.messages.add(made["message_id"])
        elif "message_ids" in made:
            watch.messages.update(made["message_ids"])
        else:
            watch.rooms.add(made["session_id"])
    elif answer.status_code < 300:
        watch.events += path.startswith("/broadcast/") and answer.json()["session_id"] == watch.room
    else:
        clean(Answer(answer.status_code, None, answer.content.decode(), dict(answer.headers)))


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize(("node", "method", "path"), CASES, ids=lambda part: part)
async def test_generated_requests_of_a_documented_route_do_no_harm(
    pair: Pair, node: str, method: str, path: str, mode: GenerationMode
) -> None:
    url = pair.mcp_url if node == "mcp" else pair.ws_url
    schema = schemathesis.openapi.from_dict(await document(url))
    headers = pair.headers("fuzzer") if node == "mcp" else {}

    async with watched(pair) as watch:
        cases = schema[path][method].as_strategy(generation_mode=mode)

        @bounded(20)
        @given(cases, st.booleans())
        def work(case: schemathesis.Case, in_the_room: bool) -> None:
            if in_the_room and "{session_id}" in path:
                case.path_parameters["session_id"] = watch.room
            answer = case.call(base_url=url, headers=headers)
            note(watch, path, answer)
            case.validate_response(answer, checks=CHECKS)

        await attack(work)


@pytest.mark.parametrize("node", ["mcp", "ws"])
async def test_every_route_of_the_document_is_attacked(pair: Pair, node: str) -> None:
    paths = (await document(pair.mcp_url if node == "mcp" else pair.ws_url))["paths"]
    found = {(method.upper(), path) for path, methods in paths.items() for method in methods}
    assert found == set(ROUTES[node])
