"""Whole tool proxies on one real Redis: what they share, what they keep apart, what is asked for again."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid

import pytest
import redis.asyncio
from aiohttp import web

from literesearcher.research.messages import Usage
from literesearcher.research.tool_options import SourcePolicy
from literesearcher.settings.model import Settings
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.cache.shared import PREFIX
from literesearcher.tools.pages.extraction import PAGE_TOKENS, Extraction
from literesearcher.tools.port import Ask, ToolRequest

PAGE = "Title: The page\n\n" + "Words of a page. " * 600


class Extractor:
    """Reads every page the same way and notes what it was given."""

    def __init__(self, cache_key: str) -> None:
        self.cache_key = cache_key
        self.calls: list[tuple[str, str]] = []
        self.failing = False

    def page_tokens(self, profile):
        return PAGE_TOKENS[profile]

    async def extract(self, page, goal, *, profile, timeout_seconds):
        self.calls.append((page, goal))
        if self.failing:
            return Extraction(None, Usage(5, 1))
        return Extraction({"rational": "r", "evidence": f"evidence for {goal}", "summary": "s"}, Usage(100, 10))


class Proxy:
    """A tool proxy of its own, as in a process of its own."""

    def __init__(self, settings, guard, cache_key) -> None:
        self.extractor = Extractor(cache_key)
        self.metrics = ToolMetrics()
        self.tools = assemble(
            settings, extractor=self.extractor, clock=SystemClock(), guard=guard, metrics=self.metrics
        )

    async def search(self, query, **options):
        options.setdefault("timeout_seconds", 60.0)
        return (await self.tools.call(ToolRequest("search", {"query": [query]}, Ask(**options)))).items[0]

    async def visit(self, url, goal="g", **options):
        options.setdefault("timeout_seconds", 60.0)
        return (await self.tools.call(ToolRequest("visit", {"url": url, "goal": goal}, Ask(**options)))).items[0]

    def counted(self, kind) -> dict[str, float]:
        results = ("hit", "stale", "miss", "coalesced", "bypass", "unavailable")
        counts = {result: self.metrics.cache.labels(kind, result)._value.get() for result in results}
        return {result: count for result, count in counts.items() if count}


@pytest.fixture
async def own_redis(redis_url):
    """A database that nobody else uses, empty: limits of providers live there too, and a pause outlives its test."""
    url = f"{redis_url.rpartition('/')[0]}/7"
    client = redis.asyncio.from_url(url)
    await client.flushdb()
    yield url
    await client.aclose()


@pytest.fixture
async def make(stub, other_stub, guard, own_redis):
    """Serper is `stub`, Jina is `other_stub`, each at an address of this test's own, so that no key is another's."""
    own = uuid.uuid4().hex
    made = []

    def build(**tools) -> Proxy:
        settings = Settings.model_validate(
            {
                "tools": {"search": ["serper"], "pages": ["jina"], "redis_url": own_redis, "redis_timeout_seconds": 10}
                | tools,
                "serper": {"api_key": "k", "base_url": f"{stub.url}/{own}", "cost_usd": 0.25},
                "jina": {"base_url": f"{other_stub.url}/{own}", "cost_usd": 0.5, "self_hosted": False},
            }
        )
        made.append(Proxy(settings, guard, own))
        return made[-1]

    yield build
    for proxy in made:
        await proxy.tools.aclose()


@pytest.fixture
async def keys(own_redis):
    """Names of all kept keys."""
    client = redis.asyncio.from_url(own_redis)

    async def names():
        return {key.decode() async for key in client.scan_iter(f"{PREFIX}*", count=1000)}

    names.client = client
    yield names
    await client.aclose()


def organic(*titles):
    return web.json_response({"organic": [{"title": t, "link": f"https://{t}.example/", "snippet": t} for t in titles]})


async def test_what_one_fetched_the_other_has(make, stub, other_stub):
    stub.gives(lambda: organic("x"))
    other_stub.gives(lambda: web.Response(text=PAGE))
    here, there = make(), make()
    first, second = await here.search("q", tenant_id="t"), await there.search("  q ", tenant_id="t")
    assert (first.cache, first.cost_usd, [one.outcome for one in first.tried]) == ("miss", 0.25, ["ok"])
    assert (second.cache, second.cost_usd, second.tried) == ("hit", 0, [])
    assert second.fetched_at == first.fetched_at
    assert second.text == first.text.replace("'q'", "'  q '"), "the model reads its own query"
    one, two = [await proxy.visit("https://a.example.com/", tenant_id="t") for proxy in (here, there)]
    assert (one.cache, one.cost_usd) == ("miss", 0.5)
    assert (two.cache, two.cost_usd, two.usage) == ("hit", 0, None)
    assert (two.text, two.digest, two.title, two.provider) == (one.text, one.digest, one.title, one.provider)
    assert one.fetched_at == two.fetched_at
    assert one.digest == hashlib.sha256(PAGE.encode()).hexdigest()
    assert len(stub.requests) == len(other_stub.requests) == 1
    assert there.extractor.calls == []
    assert there.counted("page") == there.counted("extraction") == {"hit": 1}


async def test_a_second_goal_for_a_page_fetches_nothing_and_reads_the_same_text(make, other_stub):
    other_stub.gives(lambda: web.Response(text=PAGE))
    here, there = make(), make()
    await here.visit("https://a.example.com/", goal="one")
    item = await there.visit("https://a.example.com/#part", goal="two")
    assert "evidence for two" in item.text
    assert (item.cache, item.cost_usd) == ("miss", 0), "the reading was made, the page was not fetched"
    assert there.extractor.calls == [(PAGE, "two")]
    assert len(other_stub.requests) == 1


async def test_a_page_that_was_read_for_the_goal_leaves_its_text_where_it_is(make, other_stub, keys):
    other_stub.gives(lambda: web.Response(text=PAGE))
    await make().visit("https://a.example.com/")
    sizes = {name: await keys.client.strlen(name) for name in await keys()}
    bodies = [name for name in sizes if (await keys.client.get(name)).startswith(b"LRK\x01z")]
    assert bodies
    for name in bodies:
        await keys.client.delete(name)  # who needed the text would have to fetch it again
    assert (await make().visit("https://a.example.com/")).cache == "hit"
    assert len(other_stub.requests) == 1


async def test_a_text_that_is_lost_or_damaged_is_fetched_again(make, other_stub, keys):
    other_stub.gives(lambda: web.Response(text=PAGE))
    await make().visit("https://a.example.com/", goal="one")
    (body,) = [name for name in await keys() if (await keys.client.get(name)).startswith(b"LRK\x01z")]
    for number, damage in enumerate((None, b"LRK\x01pa page that nobody fetched", b"\x00" * 50), start=2):
        if damage is None:
            await keys.client.delete(body)
        else:
            await keys.client.set(body, damage)
        proxy = make()
        item = await proxy.visit("https://a.example.com/", goal=f"goal {number}")
        assert item.ok
        assert proxy.extractor.calls[-1] == (PAGE, f"goal {number}")
        assert len(other_stub.requests) == number


async def test_two_proxies_ask_a_provider_once_for_the_same_thing_at_once(make, stub):
    asked, answer = asyncio.Event(), asyncio.Event()

    async def handler(request):
        asked.set()
        await answer.wait()
        return organic("x")

    stub.handler = handler
    here, there = make(), make()
    first = asyncio.create_task(here.search("q", tenant_id="t"))
    await asyncio.wait_for(asked.wait(), 30)
    others = [asyncio.create_task(there.search("q", tenant_id="t")) for _ in range(3)]
    await asyncio.sleep(0.2)
    answer.set()
    items = [await first, *await asyncio.gather(*others)]
    assert [(item.cache, item.cost_usd) for item in items] == [("miss", 0.25), *[("coalesced", 0)] * 3]
    assert len({item.text for item in items}) == 1
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("sharing", "told", "requests"),
    [("hidden", ("miss", 0.25), 1), ("shown", ("hit", 0), 1), ("off", ("miss", 0.25), 2)],
)
async def test_what_a_tenant_is_told_of_anothers_search(make, stub, keys, sharing, told, requests):
    stub.gives(lambda: organic("x"))
    await make().search("what the zebra-tenant asked", tenant_id="zebra-tenant")
    proxy = make(cache_sharing=sharing)
    if sharing == "off":
        await make(cache_sharing=sharing).search("what the zebra-tenant asked", tenant_id="zebra-tenant")
        requests += 1
    item = await proxy.search("what the zebra-tenant asked", tenant_id="other")
    assert (item.cache, item.cost_usd) == told
    assert bool(item.tried) == (told[0] == "miss"), "a miss without a request would tell"
    assert len(stub.requests) == requests
    for name in await keys():
        assert "zebra" not in name
        assert b"zebra" not in (await keys.client.get(name) or b"")


async def test_what_a_tenant_is_told_of_a_page_that_another_had_read(make, other_stub):
    other_stub.gives(lambda: web.Response(text=PAGE))
    first = await make().visit("https://a.example.com/", tenant_id="a")
    proxy = make()
    second = await proxy.visit("https://a.example.com/", tenant_id="b")
    assert (second.cache, second.cost_usd, second.usage) == ("miss", 0.5, Usage(100, 10))
    assert second.text == first.text
    assert proxy.counted("page") == {"hit": 1}
    again = await proxy.visit("https://a.example.com/", tenant_id="b")
    assert (again.cache, again.cost_usd, again.usage) == ("hit", 0, None)
    assert len(other_stub.requests) == 1


async def test_policies_that_a_provider_is_told_have_keys_of_their_own(make, stub):
    stub.gives(lambda: organic("x"))
    proxy = make()
    policies = [
        SourcePolicy(),
        SourcePolicy(allow_domains=("x.example",)),
        SourcePolicy(deny_domains=("x.example",)),
        SourcePolicy(languages=("en",)),
        SourcePolicy(published_after="2020-01-01"),
    ]
    for _ in range(2):
        for policy in policies:
            await proxy.search("q", sources=policy)
    await proxy.search("q", sources=SourcePolicy(max_pages_per_domain=3))
    assert len(stub.requests) == len(policies)


async def test_only_reads_what_is_kept_and_says_clearly_what_is_not(make, stub, other_stub):
    stub.gives(lambda: organic("x"))
    other_stub.gives(lambda: web.Response(text=PAGE))
    here, there = make(), make()
    miss = await there.search("q", cache="only")
    assert (miss.ok, miss.status, miss.cost_usd) == (False, "not_kept", 0)
    assert miss.text == "Error: nothing is kept for 'q', and this job reads from the cache only."
    page = await there.visit("https://a.example.com/", cache="only")
    assert (page.ok, page.status) == (False, "not_kept")
    assert (
        "Evidence in page: \nError: nothing is kept for 'https://a.example.com/', and this job reads from the cache "
        "only.\n\nSummary: \nThe webpage content could not be processed." in page.text
    )
    assert not stub.requests
    assert not other_stub.requests
    recorded = [await here.search("q", cache="record"), await here.visit("https://a.example.com/", cache="record")]
    replayed = [await there.search("q", cache="only"), await there.visit("https://a.example.com/", cache="only")]
    assert [item.text for item in replayed] == [item.text for item in recorded]
    assert [item.cache for item in recorded] == ["miss", "miss"]
    assert [item.cache for item in replayed] == ["hit", "hit"]
    assert len(stub.requests) == len(other_stub.requests) == 1
    assert there.extractor.calls == []


async def test_record_fetches_anew_what_is_kept(make, stub, other_stub):
    stub.gives(lambda: organic("x"), lambda: organic("y"))
    other_stub.gives(lambda: web.Response(text=PAGE), lambda: web.Response(text=PAGE + "changed"))
    proxy = make()
    await proxy.search("q")
    await proxy.visit("https://a.example.com/")
    assert "y.example" in (await proxy.search("q", cache="record")).text
    await proxy.visit("https://a.example.com/", cache="record")
    assert proxy.extractor.calls[-1][0] == PAGE + "changed"
    assert len(stub.requests) == len(other_stub.requests) == 2
    assert len(proxy.extractor.calls) == 2


async def test_bypass_leaves_nothing_behind(make, stub, other_stub, keys):
    stub.gives(lambda: organic("x"))
    other_stub.gives(lambda: web.Response(text=PAGE))
    proxy = make()
    for _ in range(2):
        assert (await proxy.search("q", cache="bypass")).cache is None
        assert (await proxy.visit("https://a.example.com/", cache="bypass")).cache is None
    assert len(stub.requests) == len(other_stub.requests) == len(proxy.extractor.calls) == 2
    assert await keys() == set()


async def test_an_empty_search_is_not_asked_for_again_but_a_failed_one_is(make, stub):
    stub.gives(
        lambda: web.json_response({"organic": []}),
        lambda: web.json_response({"message": "Not enough credits"}, status=400),
        lambda: web.Response(status=403),
        lambda: organic("x"),
    )
    proxy = make()
    empty = [await proxy.search("none") for _ in range(2)]
    assert [item.cache for item in empty] == ["miss", "hit"]
    assert empty[0].text == empty[1].text
    for _ in range(2):
        assert not (await proxy.search("q")).ok
        # What refused a key or had no credit is left alone for a while; a proxy of its own asks at once.
        proxy = make()
    assert (await proxy.search("q")).ok


@pytest.mark.parametrize(("status", "requests"), [(404, 1), (410, 1), (403, 3), (500, 3)])
async def test_a_page_that_is_not_there_is_not_asked_for_again_but_one_that_failed_is(make, stub, status, requests):
    stub.gives(lambda: web.Response(status=status, text="no"))
    url = f"http://site.example.com:{stub.server.port}/{uuid.uuid4().hex}"
    items = [await make(pages=["direct"]).visit(url, tenant_id="t") for _ in range(3)]
    assert len({item.text for item in items}) == 1
    assert "The provided webpage content could not be accessed." in items[0].text
    if requests == 1:
        assert [(item.status, item.cache) for item in items] == [
            ("missing", "miss"),
            ("missing", "hit"),
            ("missing", "hit"),
        ]
        assert [len(item.tried) for item in items] == [1, 0, 0]
    else:
        assert [(item.status, item.cache) for item in items] == [("unreachable", None)] * 3
    assert len(stub.requests) >= requests


async def test_a_failed_extraction_is_not_kept(make, other_stub):
    other_stub.gives(lambda: web.Response(text=PAGE))
    here, there = make(fidelity="published"), make(fidelity="published")
    here.extractor.failing = True
    assert (await here.visit("https://a.example.com/")).status == "extraction_failed"
    assert "evidence for g" in (await there.visit("https://a.example.com/")).text
    assert len(other_stub.requests) == 1


async def test_a_tenant_with_an_intranet_shares_no_page(make, other_stub):
    other_stub.gives(lambda: web.Response(text=PAGE))
    proxy = make(intranet={"inside": ["wiki.corp.example"]}, cache_sharing="shown")
    for tenant in ("outside", "inside", "elsewhere", "inside"):
        assert (await proxy.visit("https://a.example.com/", tenant_id=tenant)).ok
    assert len(other_stub.requests) == 2, "one for all who are outside, one for who is inside"


async def test_poisoned_entries_are_replaced_whatever_their_type(make, stub, other_stub, keys):
    stub.gives(lambda: organic("x"))
    other_stub.gives(lambda: web.Response(text=PAGE))
    proxy = make()
    good = [(await proxy.search("q")).text, (await proxy.visit("https://a.example.com/")).text]
    for poison in (b"", b"\xff" * 100, b"LRK\x01p{}", json.dumps({"value": "<script>"}).encode(), None):
        for name in await keys():
            await keys.client.delete(name)
            if poison is None:
                await keys.client.rpush(name, "a list", "where a string should be")
            else:
                await keys.client.set(name, poison)
        for _ in range(2):
            assert [(await proxy.search("q")).text, (await proxy.visit("https://a.example.com/")).text] == good
    assert len(stub.requests) == len(other_stub.requests) == 6


async def test_a_thousand_calls_at_once_take_turns_and_are_answered_from_the_cache(make, stub):
    stub.gives(lambda: organic("x"))
    proxy = make()
    await proxy.search("q")
    items = await asyncio.gather(*(proxy.search("q") for _ in range(1000)))
    assert {item.cache for item in items} == {"hit"}
    assert len(stub.requests) == 1


async def test_a_record_that_finds_no_redis_is_given_and_says_that_it_is_not_kept(make, stub, other_stub):
    stub.gives(lambda: organic("x"))
    other_stub.gives(lambda: web.Response(text=PAGE))
    sound, away = make(), make(redis_url="redis://127.0.0.1:1/0")
    for proxy, recorded in ((sound, True), (away, False)):
        items = [await proxy.search("q", cache="record"), await proxy.visit("https://a.example.com/", cache="record")]
        assert [(item.ok, item.recorded) for item in items] == [(True, recorded)] * 2
    assert away.metrics.cache_errors.labels("record")._value.get() == 3, "the search, the page, its reading"
    stub.gives(lambda: web.Response(status=500))
    assert (await sound.search("another", cache="record")).recorded is None, "a failure is not to be recorded"
    url = f"http://site.example.com:{stub.server.port}/{uuid.uuid4().hex}"
    stub.gives(lambda: web.Response(status=404))
    for redis_url, recorded in ((None, True), ("redis://127.0.0.1:1/0", False)):
        missing = await make(pages=["direct"], redis_url=redis_url).visit(url, cache="record")
        assert (missing.status, missing.recorded) == ("missing", recorded)
