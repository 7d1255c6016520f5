"""The settings of limits, breakers, pauses and hedges reach the providers that the assembled proxy asks."""

from __future__ import annotations

import asyncio
import json
import uuid

import pytest
from aiohttp import web

from literesearcher.settings.model import Settings
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.port import Ask, ToolRequest

PATIENCE_SECONDS = 60.0


@pytest.fixture
async def make(stub, other_stub, guard):
    """Serper is `stub`, SearXNG is `other_stub`, pages come from the web itself."""
    made = []

    def build(**sections):
        tools = {"search": ["serper", "searxng"], "pages": ["direct"], "cache": "off", **sections.pop("tools", {})}
        settings = Settings.model_validate(
            {
                "tools": tools,
                "serper": {"api_key": "k", "base_url": stub.url, "cost_usd": 0.25, **sections.pop("serper", {})},
                "searxng": {"base_url": other_stub.url},
                **sections,
            }
        )
        proxy = assemble(settings, extractor=NoExtractor(), clock=SystemClock(), guard=guard, metrics=ToolMetrics())
        made.append(proxy)
        return proxy

    yield build
    for proxy in made:
        await proxy.aclose()


class NoExtractor:
    cache_key = "none"

    def page_tokens(self, profile):
        return 95_000

    async def extract(self, page, goal, *, profile, timeout_seconds):
        raise AssertionError("no page gets so far")


def google() -> web.Response:
    return web.json_response({"organic": [{"title": "Google", "link": "https://g.example/", "snippet": "s"}]})


def searx() -> web.Response:
    return web.json_response({"results": [{"title": "Searx", "url": "https://s.example/", "content": "s"}]})


async def search(tools, *queries: str, tenant: str = "t"):
    request = ToolRequest("search", {"query": list(queries)}, Ask(tenant_id=tenant, timeout_seconds=PATIENCE_SECONDS))
    async with asyncio.timeout(PATIENCE_SECONDS):
        return await tools.call(request)


class Crowd:
    """Holds every request until so many are there, and counts how many ever were."""

    def __init__(self, answer) -> None:
        self.answer = answer
        self.inside = self.most = 0
        self.go = asyncio.Event()

    async def __call__(self, request: web.Request) -> web.Response:
        self.inside += 1
        self.most = max(self.most, self.inside)
        await self.go.wait()
        self.inside -= 1
        return self.answer()


async def test_no_more_at_once_than_the_provider_takes(make, stub):
    stub.handler = crowd = Crowd(google)
    task = asyncio.create_task(search(make(serper={"concurrency": 3}), *(f"q{number}" for number in range(12))))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while crowd.inside < 3:
            await asyncio.sleep(0.01)
    crowd.go.set()
    assert [item.ok for item in (await task).items] == [True] * 12
    assert crowd.most == 3


async def test_no_more_at_once_than_a_site_takes(make, stub, dns):
    stub.handler = crowd = Crowd(lambda: web.Response(status=404))
    dns.names = {"a.example.com": [["127.0.0.1"]], "b.example.com": [["127.0.0.1"]]}
    tools = make(tools={"host_concurrency": 2, "host_per_second": 1000})
    urls = [f"http://{name}.example.com:{stub.server.port}/{number}" for number in range(4) for name in "ab"]
    request = ToolRequest("visit", {"url": urls, "goal": "g"}, Ask(timeout_seconds=PATIENCE_SECONDS))
    task = asyncio.create_task(tools.call(request))
    async with asyncio.timeout(PATIENCE_SECONDS):
        while crowd.inside < 2:
            await asyncio.sleep(0.01)
        crowd.go.set()
        result = await task
    assert crowd.most == 2
    assert len(stub.requests) == 8
    assert not any(item.ok for item in result.items)


async def test_a_provider_that_fails_is_left_alone_and_the_next_one_answers(make, stub, other_stub):
    stub.gives(lambda: web.Response(status=500))
    other_stub.gives(searx)
    tools = make(tools={"breaker_failures": 1, "breaker_seconds": 3600})
    first = (await search(tools, "one")).items[0]
    assert first.tried[0].outcome == "provider_error"
    assert [one.outcome for one in first.tried][-2:] == ["provider_open", "ok"]
    second = (await search(tools, "two")).items[0]
    assert [(one.provider, one.outcome) for one in second.tried] == [("serper", "provider_open"), ("searxng", "ok")]
    assert (first.provider, second.provider) == ("searxng", "searxng")
    assert len(stub.requests) == 1


async def test_a_pause_past_the_deadline_sends_everybody_on_to_the_next_provider(make, stub, other_stub):
    stub.gives(lambda: web.Response(status=429, headers={"Retry-After": "500"}))
    other_stub.gives(searx)
    tools = make(serper={"concurrency": 1})
    result = await search(tools, *(f"q{number}" for number in range(30)))
    assert [item.provider for item in result.items] == ["searxng"] * 30
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    "headers",
    [
        {"Retry-After": "500"},
        {"Date": "Wed, 01 Jan 2025 00:00:00 GMT", "Retry-After": "Wed, 01 Jan 2025 00:09:00 GMT"},
    ],
    ids=["seconds", "date"],
)
async def test_a_busy_site_is_left_alone_and_other_sites_are_not(make, stub, dns, headers):
    dns.names = {name: [["127.0.0.1"]] for name in ("busy.example.com", "other.example.net")}

    async def answer(request: web.Request) -> web.Response:
        return web.Response(status=429, headers=headers) if request.url.host == "busy.example.com" else web.Response()

    stub.handler = answer
    tools = make()
    async with asyncio.timeout(PATIENCE_SECONDS):
        for name in ("busy.example.com", "busy.example.com", "other.example.net", "busy.example.com"):
            url = f"http://{name}:{stub.server.port}/"
            await tools.call(ToolRequest("visit", {"url": url, "goal": "g"}, Ask(timeout_seconds=30.0)))
    assert [request.url.host for request in stub.requests] == ["busy.example.com", "other.example.net"]


async def visit(tools, url: str, *, tenant: str):
    request = ToolRequest("visit", {"url": url, "goal": "g"}, Ask(tenant_id=tenant, timeout_seconds=30.0))
    async with asyncio.timeout(PATIENCE_SECONDS):
        return (await tools.call(request)).items[0].tried


async def test_a_redirect_to_a_busy_site_keeps_nobody_from_the_one_that_redirects(make, stub, other_stub, dns):
    dns.names = {name: [["127.0.0.1"]] for name in ("doi.example.org", "evil.example.net")}

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/go":
            raise web.HTTPFound(f"http://evil.example.net:{other_stub.server.port}/")
        return web.Response(status=404)

    stub.handler = answer
    other_stub.gives(lambda: web.Response(status=429, headers={"Retry-After": "600"}))
    tools = make()
    base = f"http://doi.example.org:{stub.server.port}"
    for tenant in ("a", "b"):
        assert [one.outcome for one in await visit(tools, f"{base}/go", tenant=tenant)] == ["page_status"]
        assert [one.outcome for one in await visit(tools, f"{base}/1", tenant=tenant)] == ["page_missing"]
    assert len(other_stub.requests) == 2
    await visit(tools, f"{base}/go?again", tenant="a")
    assert len(other_stub.requests) == 2, "who was told to wait is not led there again"


async def test_a_redirect_takes_its_turn_at_the_site_it_leads_to(make, stub, other_stub, dns):
    names = [f"a.evil{number}.example" for number in range(4)]
    dns.names = {name: [["127.0.0.1"]] for name in (*names, "victim.example.net")}
    stub.gives(
        lambda: web.Response(status=302, headers={"Location": f"http://victim.example.net:{other_stub.server.port}/"})
    )
    other_stub.gives(lambda: web.Response(status=404))
    tools = make(tools={"host_per_second": 0.01})
    ends = [(await visit(tools, f"http://{name}:{stub.server.port}/", tenant="a"))[0].outcome for name in names]
    assert ends == ["page_missing"] + ["page_timeout"] * 3
    assert len(other_stub.requests) == 1


@pytest.mark.parametrize("said", ["", "soon", "-5", "Wed, 99 Foo", "9" * 400])
async def test_nonsense_of_a_site_harms_nobody(make, stub, said):
    stub.gives(lambda: web.Response(status=503, headers={"Retry-After": said, "Date": "no date"}))
    tools = make()
    url = f"http://site.example.com:{stub.server.port}/"
    async with asyncio.timeout(PATIENCE_SECONDS):
        request = ToolRequest("visit", {"url": url, "goal": "g"}, Ask(timeout_seconds=PATIENCE_SECONDS))
        item = (await tools.call(request)).items[0]
    assert (item.ok, item.tried[0].outcome) == (False, "page_status")


async def test_a_spent_quota_is_asked_once_and_the_next_provider_answers(make, stub, other_stub):
    stub.gives(lambda: web.json_response({"message": "Not enough credits"}, status=400))
    other_stub.gives(searx)
    tools = make(serper={"concurrency": 1})
    result = await search(tools, *(f"q{number}" for number in range(10)))
    assert [item.provider for item in result.items] == ["searxng"] * 10
    assert {item.tried[0].outcome for item in result.items} == {"provider_quota"}
    assert sum(item.cost_usd for item in result.items) == 0
    assert len(stub.requests) == 1


async def test_a_stalled_search_is_asked_a_second_time_and_both_are_paid(make, stub):
    stalled = asyncio.Event()
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        query = json.loads(stub.bodies[-1])["q"]
        asked.append(query)
        if query == "stalls" and asked.count(query) == 1:
            await stalled.wait()
        return google()

    stub.handler = answer
    tools = make()
    for number in range(40):
        await search(tools, f"q{number}")
    item = (await search(tools, "stalls")).items[0]
    stalled.set()
    assert item.ok
    assert asked.count("stalls") == 2
    assert sorted(one.outcome for one in item.tried) == ["cancelled", "ok"]
    assert item.cost_usd == 0.5


async def test_rates_are_kept_in_redis_where_there_is_one(make, stub, redis_server):
    from redis.asyncio import Redis

    stub.gives(google)
    tools = make(tools={"redis_url": redis_server.url, "redis_timeout_seconds": 10.0})
    tenant = uuid.uuid4().hex
    assert (await search(tools, "q", tenant=tenant)).items[0].ok
    async with Redis.from_url(redis_server.url) as client:
        keys = {key.decode() async for key in client.scan_iter("literesearcher:rate:*")}
    assert "literesearcher:rate:{provider:serper}:state" in keys
