"""One tenant's names that do not resolve, through the assembled tools and the HTTP client's own resolver."""

from __future__ import annotations

import asyncio
import socket
import threading

import pytest
from aiohttp import web

from literesearcher.settings.model import Settings
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.perimeter.guard import Guard
from literesearcher.tools.port import Ask, ToolRequest

PATIENCE_SECONDS = 60.0


class NoExtractor:
    cache_key = "none"

    def page_tokens(self, profile):
        return 95_000

    async def extract(self, page, goal, *, profile, timeout_seconds):
        raise AssertionError("no page gets so far")


@pytest.mark.parametrize("provider", ["direct", "jina"])
async def test_a_tenants_slow_names_fail_nobody_elses(stub, dns, monkeypatch, provider):
    release, blocked, known = threading.Event(), set(), socket.getaddrinfo

    def getaddrinfo(host, *args, **how):
        if "tarpit" in host:
            blocked.add(host)
            release.wait(PATIENCE_SECONDS)
            raise socket.gaierror(socket.EAI_AGAIN, "again")
        return known("127.0.0.1" if host.endswith("example.com") else host, *args, **how)

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    stub.gives(lambda: web.Response(status=404))
    settings = Settings.model_validate(
        {
            "tools": {"search": ["searxng"], "pages": [provider], "cache": "off"},
            "searxng": {"base_url": stub.url},
            "jina": {"base_url": stub.url, "self_hosted": False},
        }
    )
    guard = Guard(address_allowed=dns.allowed)
    tools = assemble(settings, extractor=NoExtractor(), clock=SystemClock(), guard=guard, metrics=ToolMetrics())

    async def visit(tenant: str, *urls: str):
        request = ToolRequest("visit", {"url": list(urls), "goal": "g"}, Ask(tenant_id=tenant, timeout_seconds=30.0))
        return await tools.call(request)

    crowd = asyncio.create_task(visit("a", *(f"http://www.tarpit{number}.com/" for number in range(40))))
    try:
        async with asyncio.timeout(PATIENCE_SECONDS):
            while len(blocked) < 16:
                await asyncio.sleep(0.01)
            for number in range(20):
                result = await visit("b", f"http://good{number}.example.com:{stub.server.port}/")
                (tried,) = result.items[0].tried
                assert tried.outcome in ("page_missing", "provider_rejected"), "it was asked"
        assert len(blocked) == 16
    finally:
        release.set()
        crowd.cancel()
        await asyncio.gather(crowd, return_exceptions=True)
        await tools.aclose()
