"""The metrics as Prometheus scrapes them: `GET /metrics` and nothing else, as an ASGI application.

Owns: the registry of a process (its memory, CPU and files beside what its rooms declare) and the answer in the format
that the scraper asks for. Refuses to know: sockets; whoever runs the application gives it a port of its own, never the
one that the public reaches.
"""

from __future__ import annotations

from prometheus_client import CollectorRegistry, GCCollector, PlatformCollector, ProcessCollector, make_asgi_app
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

PATH = "/metrics"


def process_registry() -> CollectorRegistry:
    """A registry that already tells of the process itself (`process_*`, `python_*`)."""
    registry = CollectorRegistry()
    for collector in (ProcessCollector, PlatformCollector, GCCollector):
        collector(registry=registry)
    return registry


class Exposition:
    """The application."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._metrics: ASGIApp = make_asgi_app(registry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer as an ASGI application."""
        if scope["type"] != "http":
            return
        if scope["path"] != PATH:
            await PlainTextResponse(f"there is only {PATH} here\n", 404)(scope, receive, send)
        elif scope["method"] not in ("GET", "HEAD"):
            await PlainTextResponse("GET\n", 405, {"Allow": "GET, HEAD"})(scope, receive, send)
        else:
            await self._metrics(scope, receive, send)
