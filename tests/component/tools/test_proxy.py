"""The whole proxy over stubs of Serper, Jina Reader and the web: texts, facts, reuse, deadlines, cancellation."""

from __future__ import annotations

import asyncio
import hashlib
import json
from dataclasses import dataclass

import pytest
from aiohttp import web

from literesearcher.errors import ConfigurationError
from literesearcher.research.messages import Usage
from literesearcher.settings.model import Settings
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.extraction import PAGE_TOKENS, Extraction
from literesearcher.tools.port import Ask, ToolRequest

PAGE = "Title: The page\n\n" + "Words of a page. " * 60
NOT_READ = "\n\nSummary: \nThe webpage content could not be processed."


class Extractor:
    """Says what it was given; waits for its gate."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str]] = []
        self.cache_key = "test"
        self.fields: dict[str, str] | None = {"rational": "r", "evidence": "e ", "summary": " s\n"}
        self.gate = asyncio.Event()
        self.gate.set()
        self.left = 0

    def page_tokens(self, profile):
        return PAGE_TOKENS[profile]

    async def extract(self, page, goal, *, profile, timeout_seconds):
        self.calls.append((page, goal, profile))
        try:
            await self.gate.wait()
        finally:
            self.left += 1
        return Extraction(self.fields, Usage(100, 10))


@pytest.fixture
def extractor() -> Extractor:
    return Extractor()


@pytest.fixture
async def make(stub, other_stub, guard, extractor):
    """Serper is `stub`, Jina and scrape.do are `other_stub`."""
    made = []

    def build(*, search=("serper",), pages=("jina",), cache="on", corpus=None):
        settings = Settings.model_validate(
            {
                "tools": {"search": list(search), "pages": list(pages), "cache": cache},
                "serper": {"api_key": "k3", "base_url": stub.url},
                "jina": {"base_url": other_stub.url, "self_hosted": False},
                "scrapedo": {"api_key": "k4", "base_url": other_stub.url, "self_hosted": False},
            }
        )
        tools = assemble(settings, extractor=extractor, clock=SystemClock(), guard=guard, corpus=corpus)
        made.append(tools)
        return tools

    yield build
    for tools in made:
        await tools.aclose()


def search(tools, *queries, **options):
    return tools.call(ToolRequest("search", {"query": list(queries)}, Ask(**options)))


def visit(tools, *urls, goal="g", **options):
    return tools.call(ToolRequest("visit", {"url": list(urls), "goal": goal}, Ask(**options)))


def organic(*titles):
    return web.json_response({"organic": [{"title": t, "link": f"https://{t}.example/", "snippet": t} for t in titles]})


async def test_queries_run_at_once_and_keep_their_order(make, stub):
    waiting: dict[str, asyncio.Event] = {"a": asyncio.Event(), "b": asyncio.Event(), "c": asyncio.Event()}

    async def answer(request):
        query = json.loads(stub.bodies[-1])["q"]
        waiting[query].set()
        for event in waiting.values():
            await event.wait()  # nobody is answered before all have asked
        return organic(query)

    stub.handler = answer
    result = await search(make(), "a", "b", "c", timeout_seconds=60)
    assert result.text == "\n=======\n".join(
        f"A Google search for '{q}' found 1 results:\n\n## Web Results\n1. [{q}](https://{q}.example/)\n\n{q}"
        for q in "abc"
    )
    assert [item.provider for item in result.items] == ["serper"] * 3


async def test_an_empty_list_and_no_list_read_as_published(make, stub):
    stub.gives(lambda: web.json_response({"organic": []}), lambda: web.json_response({}))
    tools = make(cache="off")
    assert (await search(tools, "q")).text == "A Google search for 'q' found 0 results:\n\n## Web Results\n"
    assert (await search(tools, "q")).text == "No results found for 'q'."


async def test_a_spent_quota_reads_as_a_failed_search_never_as_no_results(make, stub):
    stub.gives(lambda: web.json_response({"message": "Not enough credits"}, status=403), lambda: organic("x"))
    tools = make()
    result = await search(tools, "q")
    assert result.text == "Google search timeout for query: 'q'"
    assert (result.items[0].ok, result.items[0].status) == (False, "provider_quota")
    again = await search(tools, "q")
    assert (again.text, again.items[0].status) == (result.text, "provider_quota")
    assert len(stub.bodies) == 1, "nobody asks for a while"


async def test_a_failure_is_not_kept(make, stub):
    stub.gives(lambda: web.json_response({}, status=400), lambda: organic("x"))
    tools = make()
    assert (await search(tools, "q")).items[0].status == "provider_rejected"
    assert (await search(tools, "q")).items[0].ok


async def test_a_search_that_is_not_there_by_the_deadline_fails_alone(make, stub):
    async def answer(request):
        query = json.loads(stub.bodies[-1])["q"]
        if query == "slow":
            await asyncio.Event().wait()
        return organic(query)

    stub.handler = answer
    result = await search(make(), "slow", "fast", timeout_seconds=1.0)
    slow, fast = result.items
    assert (slow.text, slow.status, fast.ok) == ("Google search timeout for query: 'slow'", "timeout", True)


async def test_a_page_through_the_reader_with_all_its_facts(make, other_stub, extractor):
    other_stub.gives(lambda: web.Response(text=PAGE))
    before = SystemClock().now().timestamp()
    result = await visit(make(), "https://a.example.com/x", goal="find {it}")
    assert result.text == (
        "The useful information in https://a.example.com/x for user goal find {it} as follows: \n\n"
        "Evidence in page: \ne \n\nSummary: \n s"
    )
    (item,) = result.items
    assert extractor.calls == [(PAGE, "find {it}", "inference")]
    assert item.digest == hashlib.sha256(PAGE.encode()).hexdigest()
    assert (item.provider, item.title, item.status, item.cache) == ("jina", "The page", "found", "miss")
    assert item.extracted == {"rational": "r", "evidence": "e ", "summary": " s\n"}
    assert item.usage == Usage(100, 10)
    assert item.fetched_at is not None
    assert item.fetched_at >= before
    assert item.text.endswith("Summary: \n s\n\n\n")


async def test_page_text_is_reused_apart_from_its_reading(make, other_stub, extractor):
    other_stub.gives(lambda: web.Response(text=PAGE))
    tools = make()
    items = [(await visit(tools, "https://a.example.com/", goal=goal)).items[0] for goal in ("g", "other", "g")]
    assert [item.cache for item in items] == ["miss", "miss", "hit"]
    assert [item.usage is None for item in items] == [False, False, True]
    assert len(other_stub.requests) == 1
    assert len(extractor.calls) == 2
    await visit(tools, "https://a.example.com/", goal="g", profile="training")
    assert extractor.calls[-1][2] == "training"


async def test_the_same_page_twice_in_one_call_is_read_once(make, other_stub, extractor):
    other_stub.gives(lambda: web.Response(text=PAGE))
    result = await visit(make(), *["https://a.example.com/"] * 3)
    assert sorted(item.cache for item in result.items) == ["coalesced", "coalesced", "miss"]
    assert len(extractor.calls) == len(other_stub.requests) == 1
    assert sum(item.usage is not None for item in result.items) == 1


async def test_cache_off_repeats_everything(make, stub, other_stub, extractor):
    other_stub.gives(lambda: web.Response(text=PAGE))
    stub.gives(lambda: organic("x"))
    tools = make(cache="off")
    for _ in range(2):
        visited = await visit(tools, *["https://a.example.com/"] * 2)
        searched = await search(tools, "q", "q")
    assert [item.cache for item in visited.items + searched.items] == [None] * 4
    assert len(other_stub.requests) == len(extractor.calls) == 4
    assert len(stub.requests) == 4


@pytest.mark.parametrize(
    ("body", "status", "evidence"),
    [
        ("x" * 499, "too_short", "The webpage content is too short or could not be fully loaded."),
        ("", "too_short", "The webpage content is too short or could not be fully loaded."),
        (None, "unreachable", "The provided webpage content could not be accessed."),
    ],
)
async def test_pages_that_give_nothing(make, other_stub, extractor, body, status, evidence):
    other_stub.gives(lambda: web.Response(status=404) if body is None else web.Response(text=body))
    result = await visit(make(), "https://a.example.com/")
    assert result.text.endswith(f"Evidence in page: \n{evidence}{NOT_READ}")
    assert (result.items[0].ok, result.items[0].status) == (False, status)
    assert extractor.calls == []


async def test_mojibake_goes_on_to_the_next_provider_and_is_read_when_none_is_better(make, stub, other_stub, extractor):
    mojibake = "å¸\x88èµ\x84é\x98\x9fä¼\x8d " * 100

    async def act(request):
        broken = "token" not in request.query
        return web.Response(body=(mojibake if broken else PAGE).encode(), content_type="text/plain")

    other_stub.handler = act
    both = await visit(make(pages=("jina", "scrapedo")), "https://a.example.com/", fidelity="published")
    assert both.items[0].provider == "scrapedo"
    alone = await visit(make(pages=("jina",)), "https://a.example.com/", fidelity="published")
    assert (alone.items[0].provider, alone.items[0].ok) == ("jina", True)
    assert extractor.calls[-1][0] == mojibake
    undone = await visit(make(pages=("jina", "scrapedo")), "https://a.example.com/")
    assert (undone.items[0].provider, extractor.calls[-1][0]) == ("jina", "师资队伍 " * 100)


async def test_a_refused_url_is_told_from_an_unreachable_one_in_the_facts_only(make, other_stub):
    tools = make(pages=("direct", "jina"))
    result = await visit(tools, "http://127.0.0.2/", "http://[::1]/", "pydoc:os", "ftp://x.example.com/")
    assert [item.status for item in result.items] == ["refused"] * 4
    assert result.text.count("The provided webpage content could not be accessed.") == 4
    assert other_stub.requests == []


async def test_an_extraction_that_fails_reads_as_published_and_is_tried_again_next_time(make, other_stub, extractor):
    other_stub.gives(lambda: web.Response(text=PAGE))
    extractor.fields = None
    tools = make()
    for _ in range(2):
        result = await visit(tools, "https://a.example.com/", fidelity="published")
        assert result.text.endswith(
            "Evidence in page: \nFailed to extract\n\nSummary: \nContent could not be processed"
        )
        assert (result.items[0].status, result.items[0].usage) == ("extraction_failed", Usage(100, 10))
    assert len(extractor.calls) == 2
    training = await visit(tools, "https://a.example.com/", fidelity="improved", profile="training")
    assert "Failed to extract" in training.text, "training read no improvement, whatever the call asks for"


async def test_an_extraction_that_fails_is_scored_by_words_in_improved_and_tried_again_next_time(
    make, other_stub, extractor
):
    other_stub.gives(lambda: web.Response(text=PAGE + "\n\nThe quokka is a small macropod of Rottnest Island."))
    extractor.fields = None
    tools = make()
    for _ in range(2):
        (item,) = (await visit(tools, "https://a.example.com/", goal="what is a quokka")).items
        assert (item.ok, item.status, item.usage) == (True, "found", Usage(100, 10))
        assert "quokka is a small macropod" in item.extracted["evidence"]
        assert "by no language model" in item.extracted["rational"]
        assert item.text.endswith(
            f"Evidence in page: \n{item.extracted['evidence']}\n\nSummary: \n{item.extracted['summary']}\n\n"
        )
    assert len(extractor.calls) == 2


async def test_an_extraction_that_is_not_there_by_the_deadline(make, other_stub, extractor):
    other_stub.gives(lambda: web.Response(text=PAGE))
    extractor.gate.clear()
    scored = await visit(make(), "https://a.example.com/", goal="words", timeout_seconds=2)
    assert (scored.items[0].status, scored.items[0].usage) == ("found", None)
    assert "Words of a page." in scored.text
    result = await visit(make(), "https://a.example.com/", timeout_seconds=0.5, fidelity="published")
    assert result.items[0].status == "extraction_failed"
    assert "Failed to extract" in result.text
    async with asyncio.timeout(20):
        while not extractor.left:
            await asyncio.sleep(0.01)


async def test_a_cancelled_call_cancels_its_parts_but_not_those_of_others(make, other_stub, extractor):
    async def page(request):
        return web.Response(text=PAGE + request.path)

    other_stub.handler = page
    extractor.gate.clear()
    tools = make()
    first = asyncio.create_task(visit(tools, "https://a.example.com/", "https://b.example.com/", goal="g"))
    async with asyncio.timeout(20):
        while len(extractor.calls) < 2:
            await asyncio.sleep(0.01)
    second = asyncio.create_task(visit(tools, "https://a.example.com/", goal="g"))
    await asyncio.sleep(0.05)
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    async with asyncio.timeout(20):
        while not extractor.left:
            await asyncio.sleep(0.01)
    extractor.gate.set()
    result = await second
    # Whoever began it is gone, so it was made for this call in the end.
    assert (result.items[0].ok, result.items[0].cache) == (True, "miss")
    assert extractor.left == 2


@dataclass(frozen=True)
class Stored:
    url: str
    title: str
    text: str
    snippet: str = "a snippet"


class Shelf:
    """A corpus with one page a tenant."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str | None]] = []

    async def search(self, query, *, limit=10, tenant_id=None):
        self.asked.append((query, tenant_id))
        return [Stored(f"corpus:{tenant_id}", f"of {tenant_id}", "")] if query == "mine" else []

    async def page(self, url, *, tenant_id=None):
        self.asked.append((url, tenant_id))
        return Stored(url, "short", f"of {tenant_id}") if url == "corpus:x" else None


async def test_stored_pages_are_read_however_short_and_never_shared_between_tenants(make, extractor):
    tools = make(search=("local",), pages=("local",), corpus=Shelf())
    for tenant in ("t1", "t2", "t1"):
        result = await visit(tools, "corpus:x", tenant_id=tenant)
        assert (result.items[0].ok, result.items[0].title, result.items[0].provider) == (True, "short", "local")
        assert (await search(tools, "mine", tenant_id=tenant)).items[0].results == [
            {"title": f"of {tenant}", "url": f"corpus:{tenant}"}
        ]
    assert [call[0] for call in extractor.calls] == ["of t1", "of t2"], "the third reading came from the cache"
    assert (await visit(tools, "corpus:y")).items[0].status == "missing"


async def test_search_falls_back_in_order_and_a_failure_is_not_hidden_by_an_empty_answer(make, stub):
    tools = make(search=("local", "serper"), corpus=Shelf())
    stub.gives(lambda: organic("web"), lambda: web.Response(status=403))
    assert (await search(tools, "mine")).items[0].provider == "local"
    assert (await search(tools, "other")).items[0].provider == "serper"
    assert (await search(tools, "third")).text == "Google search timeout for query: 'third'"


async def test_a_listed_provider_without_its_key_must_not_start():
    for section in ({"search": ["serper"], "pages": ["jina"]}, {"search": ["local"], "pages": ["scrapedo"]}):
        settings = Settings.model_validate({"tools": section})
        with pytest.raises(ConfigurationError):
            assemble(settings, extractor=Extractor(), clock=SystemClock(), corpus=Shelf())
    with pytest.raises(ConfigurationError):
        assemble(Settings(), extractor=Extractor(), clock=SystemClock())


async def test_no_fact_of_a_failed_call_holds_a_key(make, stub, other_stub):
    stub.gives(lambda: web.Response(status=401))
    other_stub.gives(lambda: web.Response(status=401))
    tools = make(pages=("scrapedo",))
    for result in (await search(tools, "q"), await visit(tools, "https://a.example.com/")):
        assert "k3" not in repr(result)
        assert "k4" not in repr(result)
        assert not result.items[0].ok
