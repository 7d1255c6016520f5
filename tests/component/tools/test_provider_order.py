"""Order and fall-back through the whole proxy: every provider by name, and no failure of one hidden by another."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from aiohttp import web

from literesearcher.errors import ConfigurationError
from literesearcher.research.tool_options import SourcePolicy
from literesearcher.settings.model import Settings
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.passage_extraction import PassageExtractor
from literesearcher.tools.port import Ask, ToolRequest

FAILED = "Google search timeout for query: 'wombats'"
WORDS = "The wombat digs a long burrow. " * 40
REFUSALS = {
    "serper": (400, {"message": "Not enough credits", "statusCode": 400}),
    "brave": (429, {"type": "ErrorResponse", "error": {"code": "QUOTA_LIMITED", "status": 429}}),
    "tavily": (432, {"detail": {"error": "This request exceeds your plan's set usage limit."}}),
    "searxng": (402, {}),
    "jina": (402, {"code": 402, "name": "InsufficientBalanceError"}),
    "scrapedo": (401, {"Message": "You have no credits"}),
    "firecrawl": (402, {"success": False, "error": "Payment Required: Insufficient credits"}),
}


class World:
    """All providers at one server, told apart by the first part of the path."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.asked: list[str] = []
        self.spent: set[str] = set()
        self.nothing: set[str] = set()
        self.down: set[str] = set()
        self.busy: set[str] = set()

    def base(self, name: str) -> str:
        return f"{self.url}/{name}"

    async def answer(self, request: web.Request) -> web.StreamResponse:
        name = request.path.split("/")[1]
        self.asked.append(name)
        if name in self.down:
            return web.Response(status=404)
        if name in self.busy:
            return web.Response(status=429, headers={"Retry-After": "50"})
        if name in self.spent:
            status, body = REFUSALS[name]
            return web.json_response(body, status=status)
        if name in ("jina", "scrapedo"):
            return web.Response(text=WORDS, content_type="text/plain")
        if name == "firecrawl":
            return web.json_response({"success": True, "data": {"markdown": WORDS, "metadata": {"statusCode": 200}}})
        found = [{"title": name, "link": "https://w.example/", "url": "https://w.example/", "content": "dig"}]
        results = [] if name in self.nothing else found
        body = {"serper": {"organic": results}, "brave": {"type": "search", "web": {"results": results}}}
        return web.json_response(body.get(name, {"results": results}))


@pytest.fixture
def world(stub) -> World:
    world = World(stub.url)
    stub.handler = world.answer
    return world


@pytest.fixture
async def make(world, guard):
    made = []

    def build(*, search=("serper",), pages=("jina",), corpus=None, **tools):
        keyed = ("serper", "brave", "tavily", "jina", "scrapedo", "firecrawl")
        sections = {
            name: {"base_url": world.base(name), "api_key": "k", "cost_usd": 0.25}
            | ({"self_hosted": False} if name in ("jina", "scrapedo", "firecrawl") else {})
            for name in keyed
        }
        sections["brave"] |= {"per_second": 100, "burst": 100}
        settings = Settings.model_validate(
            {
                "tools": {"search": list(search), "pages": list(pages), **tools},
                "searxng": {"base_url": world.base("searxng")},
                **sections,
            }
        )
        proxy = assemble(settings, extractor=PassageExtractor(), clock=SystemClock(), guard=guard, corpus=corpus)
        made.append(proxy)
        return proxy

    yield build
    for proxy in made:
        await proxy.aclose()


async def search(proxy, **terms):
    result = await proxy.call(ToolRequest("search", {"query": ["wombats"]}, Ask(timeout_seconds=60, **terms)))
    return result.items[0]


@dataclass(frozen=True)
class StoredPage:
    """A page of a shelf."""

    text: str
    title: str = "Stored"


class Shelf:
    """A local corpus of some pages by tenant and URL."""

    def __init__(self, pages=None) -> None:
        self._pages = pages or {}

    async def search(self, query, *, limit=10, tenant_id=None):
        return []

    async def page(self, url, *, tenant_id=None):
        text = self._pages.get((tenant_id, url))
        return StoredPage(text) if text is not None else None


async def visit(proxy, url="https://site.example.com/", **terms):
    arguments = {"url": [url], "goal": "wombat burrow quokka"}
    result = await proxy.call(ToolRequest("visit", arguments, Ask(timeout_seconds=60, **terms)))
    return result.items[0]


@pytest.mark.parametrize("name", ["serper", "searxng", "brave", "tavily"])
async def test_each_search_provider_by_its_name(make, world, name):
    item = await search(make(search=(name,)))
    assert (item.ok, item.status, item.provider) == (True, "found", name)
    assert item.results == [{"title": name, "url": "https://w.example/"}]
    assert world.asked == [name]
    assert item.cost_usd == (0.0 if name == "searxng" else 0.25)


@pytest.mark.parametrize("name", ["jina", "scrapedo", "firecrawl"])
async def test_each_page_provider_by_its_name(make, world, name):
    item = await visit(make(pages=(name,)))
    assert (item.ok, item.provider, item.cost_usd) == (True, name, 0.25)
    assert "wombat" in item.text
    assert world.asked == [name]


@pytest.mark.parametrize("name", ["serper", "searxng", "brave", "tavily"])
async def test_a_spent_quota_never_reads_as_no_results_and_is_asked_once(make, world, name):
    world.spent.add(name)
    item = await search(make(search=(name,)))
    assert (item.ok, item.status, item.text) == (False, "provider_quota", FAILED)
    assert world.asked == [name]
    assert [(one.provider, one.outcome, one.cost_usd) for one in item.tried] == [(name, "provider_quota", 0.0)]
    world.spent.clear()
    assert (await search(make(search=(name,)))).ok, "nothing of the failure was kept"


@pytest.mark.parametrize("name", ["jina", "scrapedo", "firecrawl"])
async def test_a_spent_quota_never_reads_as_a_page(make, world, name):
    world.spent.add(name)
    item = await visit(make(pages=(name,)))
    assert not item.ok
    assert "The provided webpage content could not be accessed." in item.text
    assert [(one.provider, one.outcome) for one in item.tried] == [(name, "provider_quota")]


async def test_searches_fall_back_in_the_order_of_the_settings(make, world):
    proxy = make(search=("tavily", "searxng", "brave", "serper"))
    world.spent.add("tavily")
    world.nothing.add("searxng")
    item = await search(proxy)
    assert (item.provider, item.ok) == ("brave", True)
    assert world.asked == ["tavily", "searxng", "brave"]
    assert [one.outcome for one in item.tried] == ["provider_quota", "empty", "ok"]


async def test_an_empty_answer_does_not_hide_a_spent_quota(make, world):
    proxy = make(search=("brave", "serper"))
    world.spent.add("brave")
    world.nothing.add("serper")
    item = await search(proxy)
    assert (item.ok, item.text) == (False, FAILED)
    world.spent.clear()
    world.nothing.add("brave")
    item = await search(make(search=("brave", "serper"), cache="off"))
    assert (item.ok, item.status, item.provider) == (True, "none", "brave")


async def test_pages_fall_back_in_the_order_of_the_settings(make, world):
    proxy = make(pages=("firecrawl", "jina", "scrapedo"))
    world.spent.add("firecrawl")
    world.down.add("jina")
    item = await visit(proxy)
    assert (item.provider, item.ok) == ("scrapedo", True)
    assert world.asked == ["firecrawl", "jina", "scrapedo"]


async def test_a_policy_narrows_what_engines_are_asked_but_not_as_published(make, stub, world):
    policy = SourcePolicy(allow_domains=("w.example",), published_after="2020-01-01")
    proxy = make(search=("serper",), fidelity="published")
    await search(proxy, sources=policy)
    await search(proxy, sources=policy, fidelity="improved")
    await search(make(search=("serper",), cache="off"))
    published, improved, free = stub.bodies
    assert published == free == b'{"q":"wombats","location":"United States","gl":"us","hl":"en"}'
    assert b'"q":"wombats site:w.example"' in improved


async def test_what_an_item_may_cost_at_most_counts_every_listed_provider(make):
    proxy = make(search=("serper", "brave", "searxng"), pages=("jina", "firecrawl", "scrapedo"))
    prices = await proxy.prices()
    assert prices["search"] >= 0.5
    assert prices["visit"] >= 0.75


@pytest.mark.parametrize(
    ("tools", "sections", "named"),
    [
        ({"search": ["brave"], "pages": ["jina"]}, {}, "LITERESEARCHER_BRAVE__API_KEY"),
        ({"search": ["tavily"], "pages": ["jina"]}, {}, "LITERESEARCHER_TAVILY__API_KEY"),
        ({"search": ["searxng"], "pages": ["jina"]}, {}, "LITERESEARCHER_SEARXNG__BASE_URL"),
        (
            {"search": ["searxng"], "pages": ["firecrawl"]},
            {"searxng": {"base_url": "http://searxng:8080"}},
            "LITERESEARCHER_FIRECRAWL__API_KEY",
        ),
        (
            {"search": ["brave"], "pages": ["jina"]},
            {"brave": {"api_key": "k", "base_url": "ftp://x"}},
            "LITERESEARCHER_BRAVE__BASE_URL",
        ),
    ],
)
async def test_a_provider_that_lacks_something_must_not_start(tools, sections, named):
    settings = Settings.model_validate({"tools": tools, **sections})
    with pytest.raises(ConfigurationError) as caught:
        assemble(settings, extractor=PassageExtractor(), clock=SystemClock())
    assert named in caught.value.message


async def test_a_busy_engine_is_not_waited_for_where_another_can_answer(make, world):
    world.busy = {"serper"}
    proxy = make(search=("serper", "brave"))
    for _ in range(2):
        item = await search(proxy, cache="bypass")
        assert (item.ok, item.provider) == (True, "brave")
    assert world.asked.count("serper") == 1, "and its Retry-After is obeyed by the next call too"


async def test_a_pause_past_the_callers_time_leaves_that_time_to_the_next_engine(make, world):
    world.busy = {"serper"}
    request = ToolRequest("search", {"query": ["wombats"]}, Ask(timeout_seconds=40, cache="bypass"))
    (item,) = (await make(search=("serper", "brave")).call(request)).items
    assert (item.provider, [one.outcome for one in item.tried]) == ("brave", ["provider_busy", "ok"])


async def test_what_is_no_pages_key_is_refused_also_where_a_store_is_asked(make):
    proxy = make(pages=("local", "jina"), corpus=Shelf())
    for url in ("file:///etc/passwd", "javascript:alert(1)", "ftp://w.example/x", "data:text/html,x"):
        item = await visit(proxy, url=url)
        assert (item.ok, item.status, item.cache) == (False, "refused", None)
    assert (await visit(proxy, url="corpus:none/x.md")).status == "missing"


async def test_a_page_past_the_tenants_own_store_is_shared_and_a_stored_one_is_not(make, world):
    shelf = Shelf({("a", "https://site.example.com/"): "The quokka of tenant a. " * 30})
    proxy = make(pages=("local", "jina"), corpus=shelf)
    for tenant in ("b", "c"):
        assert (await visit(proxy, tenant_id=tenant)).provider == "jina"
    assert world.asked == ["jina"]
    item = await visit(proxy, tenant_id="a")
    assert (item.provider, "quokka" in item.text) == ("local", True)
    assert "tenant a" not in (await visit(proxy, tenant_id="b")).text
    assert world.asked == ["jina"]
