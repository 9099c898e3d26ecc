"""/healthz, /readyz, /metrics and /docs: words for everybody, figures for admins."""

from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from fastapi import FastAPI

from proto.keyfile import public_pem
from proto.settings import load_settings
from proto.tokens import PrincipalVerifier
from serving.http import problems
from serving.http.identity import Identity
from serving.http.operators import add_api_docs, add_operator_routes
from tests.proto.forged import eddsa, principal_claims

KEY = Ed25519PrivateKey.generate()
NEVER = 2**40
"""An expiry beyond any run of the tests: these tokens are made when the file is imported."""

ADMIN = {"Authorization": f"Bearer {eddsa(KEY, principal_claims(scope='admin', exp=NEVER))}"}
PLAIN = {"Authorization": f"Bearer {eddsa(KEY, principal_claims(exp=NEVER))}"}


def app(
    *, serving: bool = True, auth_off: bool = False, workers: int = 1, **settings: Any
) -> FastAPI:
    made = FastAPI(docs_url=None, redoc_url=None)
    problems.install(made)
    add_api_docs(made)
    add_operator_routes(
        made,
        settings=load_settings(**settings),
        identity=Identity(PrincipalVerifier(public_pem(KEY)), auth_off=auth_off),
        readiness=lambda: (serving, {"status": "ready" if serving else "away"}),
        figures=lambda: {
            number: [("seen_total", "Seen.", 3.0 + number), ("waiting", "Waiting.", 2.0)]
            for number in range(workers)
        },
    )
    return made


async def get(made: FastAPI, path: str, headers: Any = None, peer: str = "127.0.0.1") -> Any:
    transport = httpx.ASGITransport(made, client=(peer, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        return await client.get(path, headers=headers)


async def test_health_and_readiness_are_words() -> None:
    answer = await get(app(), "/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    assert answer.headers["cache-control"] == "no-store"
    assert (await get(app(), "/readyz")).json() == {"status": "ready"}
    assert (await get(app(serving=False), "/readyz")).status_code == 503


@pytest.mark.parametrize("auth_off", [False, True])
async def test_metrics_want_an_admin_by_default(auth_off: bool) -> None:
    made = app(auth_off=auth_off)
    assert (await get(made, "/metrics")).status_code == (403 if auth_off else 401)
    assert (await get(made, "/metrics", PLAIN)).status_code == 403
    answer = await get(made, "/metrics", ADMIN)
    assert answer.status_code == 200
    assert "partyline_seen_total 3.0" in answer.text
    assert "partyline_waiting 2.0" in answer.text
    assert "# TYPE partyline_seen_total counter" in answer.text


async def test_the_figures_of_several_workers_have_their_number() -> None:
    text = (await get(app(workers=2), "/metrics", ADMIN)).text
    assert 'partyline_seen_total{worker="0"} 3.0' in text
    assert 'partyline_seen_total{worker="1"} 4.0' in text
    assert text.count("# TYPE partyline_seen_total counter") == 1


async def test_loopback_reads_metrics_where_the_setting_says_so() -> None:
    made = app(metrics_loopback=True)
    assert (await get(made, "/metrics")).status_code == 200
    assert (await get(made, "/metrics", peer="10.0.0.1")).status_code == 401
    assert (await get(made, "/metrics", {"X-Forwarded-For": "127.0.0.1"})).status_code == 401


async def test_the_api_page_needs_nothing_from_elsewhere() -> None:
    made = app()
    page = await get(made, "/docs")
    assert page.status_code == 200
    assert "http://" not in page.text and "https://" not in page.text
    policy = page.headers["content-security-policy"]
    assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy
    assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
    assert page.headers["x-content-type-options"] == "nosniff"
    assert (await get(made, "/docs/assets/swagger-ui-bundle.js")).status_code == 200
    for path in ("/docs/assets/../../x", "/docs/assets/%2e%2e/__init__.py"):
        assert (await get(made, path)).status_code == 404
