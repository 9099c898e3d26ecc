"""Errors over HTTP: one form for ours, the framework's and crashes; none tells or echoes."""

from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from pydantic import BaseModel, ConfigDict

from proto.errors import Forbidden, Overloaded, TooLarge, Unauthenticated
from serving.http import problems

MARK = "xYzzY"


class Body(BaseModel):
    model_config = ConfigDict(extra="forbid")
    number: int


def app() -> FastAPI:
    made = FastAPI()
    problems.install(made)
    errors: dict[str, Exception] = {
        "forbidden": Forbidden("No."),
        "token": Unauthenticated("Who?"),
        "full": Overloaded("Full."),
        "large": TooLarge("Too much."),
        "crash": RuntimeError(f"password={MARK}"),
    }

    @made.get("/raise/{name}")
    async def raises(name: str) -> None:
        raise errors[name]

    @made.post("/body")
    async def body(body: Body, limit: int = 1) -> None: ...

    return made


async def ask(method: str, path: str, **options: Any) -> httpx.Response:
    transport = httpx.ASGITransport(app(), raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        answer = await client.request(method, path, **options)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["cache-control"] == "no-store"
    assert set(answer.json()) == {"error"}
    assert set(answer.json()["error"]) == {"code", "message", "next_step"}
    assert MARK not in answer.text
    return answer


@pytest.mark.parametrize(
    ("name", "status", "code"),
    [
        ("forbidden", 403, "FORBIDDEN"),
        ("token", 401, "UNAUTHENTICATED"),
        ("full", 503, "OVERLOADED"),
        ("large", 413, "TOO_LARGE"),
        ("crash", 500, "INTERNAL_ERROR"),
    ],
)
async def test_what_a_route_raises_becomes_a_problem(name: str, status: int, code: str) -> None:
    answer = await ask("GET", f"/raise/{name}")
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)
    assert ("www-authenticate" in answer.headers) == (status == 401)
    assert ("retry-after" in answer.headers) == (status == 503)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", f"/{MARK}", 404, "NOT_FOUND"),
        ("PUT", "/body", 405, "METHOD_NOT_ALLOWED"),
        ("POST", f"/body?limit={MARK}", 422, "INVALID_INPUT"),
    ],
)
async def test_what_the_framework_raises_becomes_a_problem(
    method: str, path: str, status: int, code: str
) -> None:
    answer = await ask(method, path, json={"number": 1})
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code)


@pytest.mark.parametrize(
    "body", [{"number": MARK}, {MARK: 1}, {"number": 1, MARK: 1}, [MARK], MARK, None]
)
async def test_a_body_that_the_framework_refuses_is_invalid_input(body: object) -> None:
    answer = await ask("POST", "/body", json=body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "INVALID_INPUT")


def test_the_field_is_named_unless_the_caller_named_it() -> None:
    missing = {"loc": ("body", "number"), "msg": "Field required", "type": "missing"}
    assert problems.field_problem([missing]).message == "number: Field required."
    for kind in ("extra_forbidden", "unexpected_keyword_argument"):
        found = problems.field_problem([{"loc": (MARK,), "msg": MARK, "type": kind}])
        assert MARK not in str(found)
    assert problems.field_problem([]).message == "The body: not valid."
