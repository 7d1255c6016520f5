"""Every form of the tools keeps the port's contract: the scripted twin, the proxy in process, and over real HTTP."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

import pytest
import uvicorn
from pydantic import SecretStr

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_items import ToolItem
from literesearcher.research.tool_options import SourcePolicy
from literesearcher.settings.model import Settings
from literesearcher.testing.contracts.tools import WORLD, ToolsContract, called
from literesearcher.testing.scripted_tools import ScriptedTools
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.extraction import PAGE_TOKENS, Extraction
from literesearcher.tools.port import Ask, ToolRequest, Tools
from literesearcher.tools.proxy import ToolProxy
from literesearcher.tools.service.app import create_app
from literesearcher.tools.service.http_client import HttpTools


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


TOKEN = "service token"
EVERY_TERM = Ask(
    job_id="job_7",
    tenant_id="谁",
    profile="training",
    timeout_seconds=12.5,
    cache="record",
    sources=SourcePolicy(
        allow_domains=("example.com", ".gov"),
        deny_domains=("bad.example.com",),
        published_after="2020-02-29",
        published_before="2026-01-01",
        languages=("en", "zh"),
        max_pages_per_domain=3,
    ),
    fidelity="published",
    pages_read={"example.com": 2, "例え.jp": 0},
)


def timeless(item: ToolItem) -> ToolItem:
    """The item without the times that two calls cannot share."""
    tried = [replace(one, elapsed_seconds=0.0) for one in item.tried]
    at = None if item.fetched_at is None else 0.0
    return replace(item, elapsed_seconds=0.0, fetched_at=at, tried=tried)


@asynccontextmanager
async def over_http(tools: Tools) -> AsyncIterator[tuple[str, Callable[[], Awaitable[None]]]]:
    """The real server on a real socket: its URL, and what stops it."""
    app = create_app(tools, token=SecretStr(TOKEN))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", lifespan="off", proxy_headers=False))
    task = asyncio.create_task(server.serve(sockets=[listening]))
    async with asyncio.timeout(60):
        while not server.started:
            await asyncio.sleep(0.01)

    async def stop() -> None:
        server.should_exit = True
        await task

    yield f"http://127.0.0.1:{listening.getsockname()[1]}", stop
    await stop()


@pytest.fixture
async def served() -> AsyncIterator[tuple[str, ToolProxy]]:
    """The proxy behind the real server."""
    tools = proxy()
    async with over_http(tools) as (url, _):
        yield url, tools
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
        for request in (
            ToolRequest("visit", {"url": ["pydoc:heapq.merge", "x:y"], "goal": "g"}, Ask(tenant_id="t")),
            ToolRequest("search", {"query": ["merge", "nothing"]}, Ask(cache="bypass", fidelity="published")),
        ):
            here, there = await served[1].call(request), await tools.call(request)
            assert there.text == here.text
            assert [timeless(item) for item in there.items] == [timeless(item) for item in here.items]
            assert there.cost_usd == here.cost_usd
            assert [len(item.tried) for item in here.items] == [1, 1]
        assert here.items[0].fetched_at

    async def test_every_term_arrives_as_it_was_sent(self) -> None:
        tools = ScriptedTools(world=WORLD)
        async with over_http(tools) as (url, _):
            client = HttpTools(url, TOKEN)
            await client.call(ToolRequest("search", {"query": ["merge"]}, EVERY_TERM))
            await client.aclose()
        assert tools.calls == [ToolRequest("search", {"query": ["merge"]}, EVERY_TERM)]

    async def test_prices_come_from_the_proxy_and_are_remembered(self, served, tools) -> None:
        assert await tools.prices() == await served[1].prices()
        scripted = ScriptedTools()
        scripted.price_list = {"search": 0.001, "visit": 0.0125}
        async with over_http(scripted) as (url, stop):
            client = HttpTools(url, TOKEN)
            assert await client.prices() == {"search": 0.001, "visit": 0.0125}
            await stop()
            assert await client.prices() == {"search": 0.001, "visit": 0.0125}
            with pytest.raises(BoundaryError) as caught:
                await client.call(ToolRequest("search", {"query": ["merge"]}))
            assert (caught.value.code, caught.value.transient) == ("tools_unreachable", True)
            with pytest.raises(BoundaryError):
                await client.prices()  # another one may come back with other prices
            await client.aclose()
