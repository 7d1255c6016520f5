"""Values under our own keys that somebody else wrote: whatever is not exactly right is a miss, never an error."""

from __future__ import annotations

import uuid

import orjson
import pytest
import redis.asyncio
from aiohttp import web

from literesearcher.research.messages import Usage
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.settings.model import Settings
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.cache import entry as entries
from literesearcher.tools.cache.shared import PREFIX
from literesearcher.tools.pages.extraction import PAGE_TOKENS, Extraction
from literesearcher.tools.port import Ask, ToolRequest

URL = "https://a.example.com/"
POLICY = SourcePolicy(published_after="2020-01-01", languages=("en",))


class Extractor:
    """Reads every page the same way."""

    cache_key = "hostile"
    calls = 0

    def page_tokens(self, profile):
        return PAGE_TOKENS[profile]

    async def extract(self, page, goal, *, profile, timeout_seconds):
        self.calls += 1
        return Extraction({"rational": "r", "evidence": "e", "summary": "s"}, Usage(100, 10))


class Bench:
    """A proxy over a Redis whose entries a test rewrites."""

    def __init__(self, url, client, guard, stub, other_stub) -> None:
        own = uuid.uuid4().hex
        settings = Settings.model_validate(
            {
                "tools": {"search": ["serper"], "pages": ["jina"], "redis_url": url, "redis_timeout_seconds": 10},
                "serper": {"api_key": "k", "base_url": f"{stub.url}/{own}", "cost_usd": 0.25},
                "jina": {"base_url": f"{other_stub.url}/{own}", "cost_usd": 0.5, "self_hosted": False},
            }
        )
        self.redis = client
        self.metrics = ToolMetrics()
        self.extractor = Extractor()
        self.tools = assemble(
            settings, extractor=self.extractor, clock=SystemClock(), guard=guard, metrics=self.metrics
        )

    async def call(self, name, *, goal="g", **terms):
        arguments = {"query": ["q"]} if name == "search" else {"url": [URL], "goal": goal}
        terms.setdefault("tenant_id", "a")
        result = await self.tools.call(ToolRequest(name, arguments, Ask(timeout_seconds=60.0, **terms)))
        return result.items[0]

    async def rewrite(self, marker, change) -> int:
        """Change every entry whose value holds the field `marker`."""
        changed = 0
        async for key in self.redis.scan_iter(f"{PREFIX}*"):
            plain = entries._unpacked(await self.redis.get(key) or b"")
            if plain is None or not plain.startswith(b"{"):
                continue
            fields = orjson.loads(plain)
            if isinstance(fields["value"], dict) and marker in fields["value"]:
                change(fields)
                await self.redis.set(key, entries._packed(orjson.dumps(fields)), ex=600)
                changed += 1
        return changed


@pytest.fixture
async def bench(redis_url, guard, stub, other_stub):
    url = f"{redis_url.rpartition('/')[0]}/8"
    client = redis.asyncio.from_url(url)
    await client.flushdb()
    stub.gives(lambda: web.json_response({"organic": [{"title": "t", "link": "https://x.example/", "snippet": "s"}]}))
    other_stub.gives(lambda: web.Response(text="Title: The page\n\n" + "Words of a page. " * 600))
    made = Bench(url, client, guard, stub, other_stub)
    yield made
    await made.tools.aclose()
    await client.aclose()


def value(**changes):
    return lambda fields: fields["value"].update(changes)


def field(**changes):
    return lambda fields: fields.update(changes)


PAGES = [
    value(kind="evil"), value(kind=None), value(url=5), value(title=7), value(cut_characters="x"),
    value(cut_characters=-(10**9)), value(cut_characters=10**18), value(cut_characters=True), value(published=5),
    value(published="a day"), value(language=5), value(provider=5), value(provider="no provider\n"), value(whole=1),
    value(private=None), value(whole="no"), value(surprise=1), value(text="another page"), field(status="none"),
    field(status="missing"), field(value=None), field(value=[]), field(digest=7), field(digest="x y"),
]  # fmt: skip


@pytest.mark.parametrize("change", PAGES, ids=range(len(PAGES)))
@pytest.mark.parametrize("sources", [ANY_SOURCE, POLICY], ids=["any", "policy"])
async def test_the_facts_of_a_page_are_right_or_it_is_fetched_again(bench, other_stub, change, sources):
    await bench.call("visit")
    assert await bench.rewrite("kind", change) == 1
    item = await bench.call("visit", goal="another", sources=sources)
    assert item.cache in ("miss", None)
    assert item.status == ("found" if sources is ANY_SOURCE or item.ok else "policy")
    assert len(other_stub.requests) == 2


READINGS = [
    value(status=5), value(status="hostile-" + "z" * 50), value(status="too_short"), value(note=["e"]),
    value(note=["e", 5]), value(note="es"), value(extracted=None), value(extracted={"evidence": "e", "summary": 5}),
    value(extracted={"evidence": "e", "summary": "s", "z": "z"}), value(usage={"prompt_tokens": "x"}),
    value(usage={"prompt_tokens": -1}), value(usage={"prompt_tokens": 1.5}), value(usage={"prompt_tokens": True}),
    value(usage={"prompt_tokens": 10**12}), value(usage={"cached_tokens": []}), value(usage={"z": 1}), value(usage=[]),
]  # fmt: skip


@pytest.mark.parametrize("change", READINGS, ids=range(len(READINGS)))
async def test_a_reading_is_right_or_it_is_made_again(bench, change):
    await bench.call("visit")
    assert await bench.rewrite("note", change) == 1
    # The extraction beside it is kept for a while too, so a reading may be made again of that.
    await bench.rewrite("fields", field(value=None))
    item = await bench.call("visit")
    assert (item.status, item.ok, item.cache, item.usage) == ("found", True, "miss", Usage(100, 10))
    assert bench.extractor.calls == 2
    labels = {sample.labels["status"] for metric in bench.metrics.items.collect() for sample in metric.samples}
    assert labels == {"found"}


SEARCHES = [
    field(tries=[["serper", "ok", 0.1, -1000.0]]), field(tries=[["serper", "ok", 0.1, 1e300]]),
    field(tries=[["serper", "ok", -1, 0.25]]), field(tries=[["serper", "ok", "0.1", 0.25]]),
    field(tries=[["serper", "ok\nfine", 0.1, 0.25]]), field(tries=[["serper", "ok", 0.1, True]]), field(tries={}),
    field(tries=[["serper", "ok", 0.1, 0.25]] * 2_000), field(fetched_at=1e300), field(fetched_at=-1e12),
    field(fetched_at="1767323045"), field(fetched_at=True), field(payer="x" * 1_000), field(payer=5),
    field(status=[]), field(provider="x" * 1_000), value(results={"a": 1}), value(results=["ab"]),
    value(results=[[5, "l"]]), value(results=[["t", "l", 5]]), value(results=[["t"]]), value(results=[]),
    value(listed="yes"),
]  # fmt: skip


@pytest.mark.parametrize("change", SEARCHES, ids=range(len(SEARCHES)))
@pytest.mark.parametrize("tenant", ["a", "b"])
async def test_a_search_is_right_or_it_is_made_again(bench, stub, change, tenant):
    await bench.call("search")
    assert await bench.rewrite("results", change) == 1
    item = await bench.call("search", tenant_id=tenant)
    assert (item.ok, item.cache, item.cost_usd, item.provider) == (True, "miss", 0.25, "serper")
    assert len(stub.requests) == 2


@pytest.mark.parametrize("change", SEARCHES, ids=range(len(SEARCHES)))
async def test_a_recording_is_right_or_is_not_there(bench, change):
    await bench.call("search", cache="record")
    assert await bench.rewrite("results", change) == 2
    assert (await bench.call("search", cache="only")).status == "not_kept"
    await bench.call("search", cache="record")
    assert (await bench.call("search", cache="only")).ok
