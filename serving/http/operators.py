"""Routes for operators, on both nodes: /healthz, /readyz, /metrics, and the API's page at /docs.

/healthz: 200 if the process answers. /readyz: status words; 200 while the node serves, 503 while it
cannot; for callers on this machine also the node's address. /metrics: Prometheus text, for an
admin's token, or for loopback with ``PARTYLINE_METRICS_LOOPBACK``.
"""

import base64
import hashlib
import re
from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files
from typing import Final

from fastapi import FastAPI, Request
from fastapi.openapi.docs import get_swagger_ui_html
from fastapi.responses import HTMLResponse, JSONResponse, Response
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from proto.errors import Forbidden
from proto.settings import Settings
from serving.http.identity import Identity, from_loopback

Readiness = Callable[[], tuple[bool, dict[str, str]]]
Figure = tuple[str, str, float]
"""Name, help and value of a metric. A name that ends in ``_total`` is that of a counter."""

Figures = Callable[[], Mapping[int, Iterable[Figure]]]
"""The metrics of a node by worker; with one worker they have no label."""

_HEADERS: Final = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def add_operator_routes(
    app: FastAPI,
    *,
    settings: Settings,
    identity: Identity,
    readiness: Readiness,
    figures: Figures,
    address: str = "",
) -> None:
    """Add the operators' routes to a node's app.

    Args:
        app: of the node.
        settings: of the node.
        identity: authenticates callers of /metrics.
        readiness: whether the node serves, and its status words.
        figures: the metrics.
        address: URL of the node, for callers on this machine.
    """
    registry = CollectorRegistry()
    registry.register(_Figures(figures))

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> JSONResponse:
        return JSONResponse({"status": "ok"}, headers=_HEADERS)

    @app.get("/readyz", include_in_schema=False)
    async def readyz(request: Request) -> JSONResponse:
        serving, words = readiness()
        if address and from_loopback(request.scope):
            words["address"] = address
        return JSONResponse(words, 200 if serving else 503, headers=_HEADERS)

    @app.get("/metrics", include_in_schema=False)
    async def metrics(request: Request) -> Response:
        if not (settings.metrics_loopback and from_loopback(request.scope)):
            principal = identity.from_headers(request.headers.raw)
            if not principal.is_admin:
                raise Forbidden("/metrics needs a token with the scope admin.")
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)


class _Figures(Collector):
    """Reads a node's metrics at each scrape, so that they cost the hot path nothing."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterable[Metric]:
        by_worker = self._figures()
        labels = ["worker"] if len(by_worker) > 1 else []
        families: dict[str, CounterMetricFamily | GaugeMetricFamily] = {}
        for worker, figures in sorted(by_worker.items()):
            for name, text, value in figures:
                family = families.get(name)
                if family is None:
                    kind = CounterMetricFamily if name.endswith("_total") else GaugeMetricFamily
                    family = families[name] = kind(f"partyline_{name}", text, labels=labels)
                family.add_metric([str(worker)] if labels else [], value)
        return families.values()


def add_api_docs(app: FastAPI) -> None:
    """Serve the OpenAPI page at /docs, with assets of the installation and no foreign requests."""
    assets = files("fastapi_offline") / "static"
    app.mount("/docs/assets", StaticFiles(directory=str(assets)), name="docs-assets")
    page = bytes(
        get_swagger_ui_html(
            openapi_url=app.openapi_url or "/openapi.json",
            title=app.title,
            swagger_js_url="/docs/assets/swagger-ui-bundle.js",
            swagger_css_url="/docs/assets/swagger-ui.css",
            swagger_favicon_url="/docs/assets/favicon.png",
        ).body
    )
    inline = re.findall(rb"<script>(.*?)</script>", page, re.DOTALL)
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        for script in inline
    )
    policy = (
        f"default-src 'none'; script-src 'self' {hashes}; style-src 'self' 'unsafe-inline'; "
        "img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'; base-uri 'none'; "
        "form-action 'none'"
    )

    @app.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(page, headers={**_HEADERS, "Content-Security-Policy": policy})
