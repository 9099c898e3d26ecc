"""What operators and builders find on the nodes: API pages, health and figures."""

import re
from typing import Any

import pytest

from proto.frames import RESERVED_TYPES
from tests.clients import plain_client
from tests.integration.rooms import readiness
from tests.pair import Pair

NODES = pytest.mark.parametrize("node", ["mcp", "ws"])


def url_of(pair: Pair, node: str) -> str:
    return pair.mcp_url if node == "mcp" else pair.ws_url


async def fetched(url: str, **headers: str) -> Any:
    async with plain_client(headers=headers) as client:
        return await client.get(url)


async def test_openapi_documents_broadcast(pair: Pair) -> None:
    document = (await fetched(f"{pair.ws_url}/openapi.json")).json()
    post = document["paths"]["/broadcast/{session_id}"]["post"]
    body = post["requestBody"]["content"]["application/json"]["schema"]
    assert post["requestBody"]["required"] is True
    assert set(body["required"]) == {"type", "data"}
    assert body["properties"]["data"]["type"] == "object"
    for reserved in RESERVED_TYPES:
        assert reserved in body["properties"]["type"]["description"]
    example = body["properties"]["data"]["examples"][0]
    assert {"id", "sender", "sender_type", "content", "visibility"} <= set(example)
    assert [parameter["name"] for parameter in post["parameters"]] == ["session_id"]

    schemas = document["components"]["schemas"]

    def answered(status: str) -> dict[str, Any]:
        reference = post["responses"][status]["content"]["application/json"]["schema"]["$ref"]
        return schemas[reference.rsplit("/", 1)[1]]

    assert set(answered("200")["properties"]) == {"success", "session_id"}
    for status in ("401", "403", "413", "415", "422", "429", "503"):
        assert set(answered(status)["properties"]) == {"success", "error"}
        assert post["responses"][status]["description"]
    assert set(post["responses"]) == {"200", "401", "403", "413", "415", "422", "429", "503"}


@NODES
async def test_openapi_names_no_door_of_the_nodes_themselves(pair: Pair, node: str) -> None:
    paths = (await fetched(f"{url_of(pair, node)}/openapi.json")).json()["paths"]
    expected = {
        "mcp": {"/api/sessions", "/api/sessions/{session_id}/messages"},
        "ws": {"/broadcast/{session_id}"},
    }
    assert expected[node] <= set(paths)
    assert not [path for path in paths if re.match(r"/api/(heads|log)|/metrics|/readyz", path)]


@NODES
async def test_docs_need_no_other_host(pair: Pair, node: str) -> None:
    url = url_of(pair, node)
    page = await fetched(f"{url}/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert not re.search(r"(?:https?:)?//[a-z0-9.-]+\.[a-z]{2,}", page.text)
    assets = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(assets) == 3
    for asset in assets:
        assert asset.startswith("/docs/assets/")
        found = await fetched(url + asset)
        assert (found.status_code, len(found.content) > 100) == (200, True)


@NODES
async def test_metrics_are_for_admins(pair: Pair, node: str) -> None:
    url = f"{url_of(pair, node)}/metrics"
    assert (await fetched(url)).status_code == 401
    assert (await fetched(url, Authorization="Bearer not.a.token")).status_code == 401
    assert (await fetched(url, **pair.headers("alice"))).status_code == 403
    answer = await fetched(url, **pair.headers("root", scopes="admin"))
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/plain")
    figures = dict(re.findall(r"^(partyline_\w+) ([0-9.e+-]+)$", answer.text, re.MULTILINE))
    known = {"mcp": "partyline_bridge_connected", "ws": "partyline_log_reachable"}
    assert float(figures[known[node]]) == 1.0
    assert "{" not in answer.text, "labels could carry names"


async def test_metrics_for_this_machine_where_the_operator_says_so(workers: Pair) -> None:
    url = f"{workers.ws_url}/metrics"
    assert (await fetched(url)).status_code == 200
    assert (await fetched(url, **{"X-Forwarded-For": "127.0.0.1"})).status_code == 401


@NODES
async def test_health_and_readiness_are_words(pair: Pair, node: str) -> None:
    answer = await fetched(f"{url_of(pair, node)}/healthz")
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})
    code, words = await readiness(url_of(pair, node))
    assert (code, words["status"]) == (200, "ready")
    other = {"mcp": {"bridge": "connected"}, "ws": {"log": "followed"}}
    assert words == {"status": "ready"} | other[node]
