"""Every form of the tools keeps the port's contract: the scripted twin, the proxy in process, and over real HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import uvicorn
from pydantic import SecretStr

from literesearcher.settings.model import Settings
from literesearcher.testing.contracts.tools import WORLD, ToolsContract, called
from literesearcher.testing.scripted_tools import ScriptedTools
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.extraction import PAGE_TOKENS, Extraction
from literesearcher.tools.http_client import HttpTools
from literesearcher.tools.port import Ask, ToolRequest, Tools
from literesearcher.tools.proxy import ToolProxy
from literesearcher.tools.server import create_app


@dataclass(frozen=True)
class Thing:
    """A hit or a page of the library."""

    url: str
    title: str
    snippet: str = ""
    text: str = ""


class WorldLibrary:
    """A corpus that holds the contract's world."""

    async def search(self, query: str, *, limit: int = 10, tenant_id: str | None = None) -> list[Thing]:
        return [Thing(r.link, r.title, r.snippet or "") for r in WORLD.searches.get(query, ())][:limit]

    async def page(self, url: str, *, tenant_id: str | None = None) -> Thing | None:
        return Thing(url, url, text=url) if url in WORLD.pages else None


class WorldExtractor:
    """Knows what each page of the world says."""

    cache_key = "world"

    def page_tokens(self, profile):
        return PAGE_TOKENS[profile]

    async def extract(self, page, goal, *, profile, timeout_seconds):
        evidence, summary = WORLD.pages[page]
        return Extraction({"rational": "", "evidence": evidence, "summary": summary})


def proxy(cache: str = "on") -> ToolProxy:
    settings = Settings.model_validate({"tools": {"search": ["local"], "pages": ["local"], "cache": cache}})
    return assemble(settings, extractor=WorldExtractor(), clock=SystemClock(), corpus=WorldLibrary())


class TestScriptedTools(ToolsContract):
    """The in-memory twin."""

    @pytest.fixture
    def tools(self) -> Tools:
        return ScriptedTools(world=WORLD)


class TestToolProxy(ToolsContract):
    """The proxy itself."""

    @pytest.fixture(params=["on", "off"])
    async def tools(self, request) -> AsyncIterator[Tools]:
        tools = proxy(request.param)
        yield tools
        await tools.aclose()


@pytest.fixture
async def served() -> AsyncIterator[tuple[str, ToolProxy]]:
    """The real server on a real socket."""
    tools = proxy()
    app = create_app(tools, token=SecretStr("service token"))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", proxy_headers=False))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.01)
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", tools
    server.should_exit = True
    await task
    await tools.aclose()


class TestHttpTools(ToolsContract):
    """The same over HTTP."""

    @pytest.fixture
    async def tools(self, served) -> AsyncIterator[Tools]:
        client = HttpTools(served[0] + "/", "service token")
        yield client
        await client.aclose()

    async def test_every_fact_arrives_as_it_was_sent(self, served, tools) -> None:
        await called(served[1], "visit", url=["pydoc:heapq.merge"], goal="g")
        request = ToolRequest("visit", {"url": ["pydoc:heapq.merge", "x:y"], "goal": "g"}, Ask(tenant_id="t"))
        here, there = await served[1].call(request), await tools.call(request)
        assert there.text == here.text
        for ours, theirs in zip(here.items, there.items, strict=True):
            assert theirs.digest == ours.digest
            assert (theirs.kind, theirs.provider, theirs.status, theirs.extracted, theirs.cache, theirs.text) == (
                ours.kind,
                ours.provider,
                ours.status,
                ours.extracted,
                ours.cache,
                ours.text,
            )
        assert here.items[0].digest
        assert here.items[0].fetched_at
