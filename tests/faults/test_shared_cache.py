"""The shared cache while Redis or a process that holds a lookup dies: every call ends as it would have without a cache.

Redis is killed, frozen and flushed while a provider is being asked; a process that holds a lookup is killed by SIGKILL
and another takes over. Nothing is timed: the provider answers when the test says so.
"""

from __future__ import annotations

import asyncio
import signal
import sys

import orjson
import pytest
import redis.asyncio
from aiohttp import web
from aiohttp.test_utils import TestServer

from literesearcher.settings.model import Settings
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.cache.claim import LOCK_SECONDS
from literesearcher.tools.cache.shared import PREFIX
from literesearcher.tools.pages.passage_extraction import PassageExtractor
from literesearcher.tools.port import Ask, ToolRequest

PATIENCE_SECONDS = 60.0
ORGANIC = orjson.dumps({"organic": [{"title": "Wombats", "link": "https://w.example/", "snippet": "dig"}]})
PROCESS = """
import asyncio, json, sys
from literesearcher.settings.model import Settings
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.passage_extraction import PassageExtractor
from literesearcher.tools.port import Ask, ToolRequest

async def main():
    settings = Settings.model_validate(json.loads(sys.argv[1]))
    tools = assemble(settings, extractor=PassageExtractor(), clock=SystemClock())
    await tools.call(ToolRequest("search", {"query": ["wombats"]}, Ask(tenant_id="t", timeout_seconds=600.0)))

asyncio.run(main())
"""


class Provider:
    """A search engine that answers when it may."""

    def __init__(self) -> None:
        self.asked = 0
        self.entered = asyncio.Event()
        self.may_answer = asyncio.Event()
        app = web.Application()
        app.router.add_post("/search", self._answer)
        self.server = TestServer(app)

    async def _answer(self, request: web.Request) -> web.Response:
        self.asked += 1
        self.entered.set()
        await self.may_answer.wait()
        return web.Response(body=ORGANIC, content_type="application/json")


@pytest.fixture
async def provider():
    provider = Provider()
    await provider.server.start_server()
    yield provider
    provider.may_answer.set()
    await provider.server.close()


@pytest.fixture
def settings(provider, redis_server) -> dict:
    return {
        "tools": {"search": ["serper"], "pages": ["direct"], "redis_url": redis_server.url, "hedge": False},
        "serper": {"api_key": "k", "base_url": f"http://127.0.0.1:{provider.server.port}"},
    }


@pytest.fixture
async def make(settings):
    made = []

    def build(metrics=None):
        tools = assemble(
            Settings.model_validate(settings), extractor=PassageExtractor(), clock=SystemClock(), metrics=metrics
        )
        made.append(tools)
        return tools

    yield build
    for tools in made:
        await tools.aclose()


async def search(tools, **options):
    async with asyncio.timeout(PATIENCE_SECONDS):
        ask = Ask(tenant_id="t", timeout_seconds=PATIENCE_SECONDS, **options)
        return (await tools.call(ToolRequest("search", {"query": ["wombats"]}, ask))).items[0]


async def entered(provider: Provider, times: int) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while provider.asked < times:
            await asyncio.sleep(0.01)


async def healthy(provider, make) -> None:
    """A new process finds nothing odd: it answers, from the cache or from the provider."""
    provider.may_answer.set()
    for tools in (make(), make()):
        item = await search(tools)
        assert (item.ok, item.results) == (True, [{"title": "Wombats", "url": "https://w.example/"}])
    assert item.cache == "hit"


@pytest.mark.parametrize("fault", ["killed", "frozen", "flushed"])
async def test_redis_fails_while_a_provider_is_asked(make, provider, redis_server, fault):
    metrics = ToolMetrics()
    tools = make(metrics)
    calls = [asyncio.create_task(search(tools)) for _ in range(3)]
    await entered(provider, 1)
    if fault == "killed":
        redis_server.stop()
    elif fault == "frozen":
        redis_server.freeze()
    else:
        client = redis.asyncio.from_url(redis_server.url)
        await client.flushall()
        await client.aclose()
    provider.may_answer.set()
    items = await asyncio.gather(*calls)
    assert [item.ok for item in items] == [True] * 3
    assert sorted(item.cache for item in items) == ["coalesced", "coalesced", "miss"]
    assert provider.asked == 1
    if fault == "killed":
        redis_server.start()
    elif fault == "frozen":
        assert metrics.cache_errors.labels("put")._value.get() == 1
        redis_server.thaw()
    await healthy(provider, make)


@pytest.mark.parametrize("fault", ["killed", "frozen"])
async def test_a_call_without_redis_goes_on_and_is_counted(make, provider, redis_server, fault):
    provider.may_answer.set()
    metrics = ToolMetrics()
    tools = make(metrics)
    assert (await search(tools)).cache == "miss"
    if fault == "killed":
        redis_server.stop()
    else:
        redis_server.freeze()
    items = [await search(tools) for _ in range(3)]
    assert [(item.ok, item.cache) for item in items] == [(True, "miss")] * 3
    assert metrics.cache.labels("search", "unavailable")._value.get() == 3
    assert metrics.cache_errors.labels("get")._value.get() >= 1
    offline = await search(tools, cache="only")
    assert (offline.ok, offline.status) == (False, "cache_unavailable")
    assert offline.text == ("Error: the cache cannot be reached for 'wombats', and this job reads from the cache only.")
    if fault == "frozen":
        redis_server.thaw()
    else:
        redis_server.start()


async def test_another_process_that_waits_goes_on_alone_when_redis_dies(make, provider, redis_server):
    here, there = make(), make()
    first = asyncio.create_task(search(here))
    await entered(provider, 1)
    second = asyncio.create_task(search(there))
    await asyncio.sleep(0.1)
    assert provider.asked == 1
    redis_server.stop()
    await entered(provider, 2)
    provider.may_answer.set()
    assert [(await call).ok for call in (first, second)] == [True, True]


async def test_a_killed_process_frees_its_lookup_and_another_takes_over(make, provider, redis_server, settings):
    holder = await asyncio.create_subprocess_exec(sys.executable, "-c", PROCESS, orjson.dumps(settings).decode())
    client = redis.asyncio.from_url(redis_server.url)
    try:
        await entered(provider, 1)
        waiting = asyncio.create_task(search(make()))
        (lock,) = [key async for key in client.scan_iter(f"{PREFIX}*:lock")]
        holder.send_signal(signal.SIGKILL)
        await holder.wait()
        assert 0 < await client.pttl(lock) <= LOCK_SECONDS * 1000, "nobody renews it, so it runs out by itself"
        await asyncio.sleep(0.1)
        assert not waiting.done()
        assert provider.asked == 1
        await client.pexpire(lock, 1)
        await entered(provider, 2)
        provider.may_answer.set()
        item = await waiting
        assert (item.ok, item.cache) == (True, "miss")
        await healthy(provider, make)
    finally:
        if holder.returncode is None:
            holder.kill()
            await holder.wait()
        await client.aclose()


async def test_a_lock_that_was_lost_in_a_flush_does_not_free_its_successors(make, provider, redis_server):
    """Both fetch, as they would without a cache; the first one's end leaves the second one's lock alone."""
    here, there = make(), make()
    first = asyncio.create_task(search(here))
    await entered(provider, 1)
    client = redis.asyncio.from_url(redis_server.url)
    await client.flushall()
    second = asyncio.create_task(search(there))
    await entered(provider, 2)
    (lock,) = [key async for key in client.scan_iter(f"{PREFIX}*:lock")]
    token = await client.get(lock)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    assert await client.get(lock) == token
    provider.may_answer.set()
    assert (await second).ok
    assert await client.get(lock) is None
    await client.aclose()
