"""A job's source policy through the whole proxy: what is searched, fetched, read, said and counted."""

from __future__ import annotations

import asyncio

import pytest
from aiohttp import web

from literesearcher.research.messages import Usage
from literesearcher.research.tool_options import SourcePolicy
from literesearcher.settings.model import Settings
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.extraction import Extraction
from literesearcher.tools.port import Ask, ToolRequest

WORDS = "Words of a page about lakes. " * 40


class Extractor:
    cache_key = "test"

    def page_tokens(self, profile):
        return 95_000

    async def extract(self, page, goal, *, profile, timeout_seconds):
        return Extraction({"rational": "r", "evidence": "e", "summary": "s"}, Usage(1, 1))


@pytest.fixture
def metrics() -> ToolMetrics:
    return ToolMetrics()


@pytest.fixture(params=["published", "improved"])
async def tools(request, stub, other_stub, guard, dns, metrics):
    """The web is `stub`, Serper is `other_stub`; the same in both fidelities."""
    for host in ("www.site.example.com", "evil.example.net", "other.example.org"):
        dns.names[host] = [["127.0.0.1"]]
    settings = Settings.model_validate(
        {
            "tools": {"search": ["serper"], "pages": ["direct"], "fidelity": request.param, "hedge": False},
            "serper": {"api_key": "k", "base_url": other_stub.url},
        }
    )
    tools = assemble(settings, extractor=Extractor(), clock=SystemClock(), guard=guard, metrics=metrics)
    yield tools
    await tools.aclose()


def site(stub, path="/", host="site.example.com"):
    return f"http://{host}:{stub.server.port}{path}"


async def search(tools, *queries, pages_read=None, profile="inference", **policy):
    ask = Ask(sources=SourcePolicy(**policy), pages_read=pages_read or {}, profile=profile, timeout_seconds=60)
    return await tools.call(ToolRequest("search", {"query": list(queries)}, ask))


async def visit(tools, *urls, pages_read=None, **policy):
    ask = Ask(sources=SourcePolicy(**policy), pages_read=pages_read or {}, timeout_seconds=60)
    return await tools.call(ToolRequest("visit", {"url": list(urls), "goal": "g"}, ask))


def refused_text(url, why):
    return (
        f"The useful information in {url} for user goal g as follows: \n\n"
        f"Evidence in page: \nThis page may not be read: {why} (source policy of this job).\n\n"
        "Summary: \nThe webpage content could not be processed."
    )


def refusals(metrics) -> dict[str, float]:
    return {
        sample.labels["reason"]: sample.value
        for metric in metrics.refusals.collect()
        for sample in metric.samples
        if sample.name.endswith("_total")
    }


def organic(*links):
    return web.json_response({"organic": [{"title": "T", "link": link, "snippet": "S"} for link in links]})


async def test_results_that_the_policy_leaves_out_are_said_and_counted(tools, other_stub, metrics):
    other_stub.gives(lambda: organic("https://a.com/", "https://evil.net/", "https://b.a.com/", "https://x.evil.net/"))
    result = await search(tools, "q", deny_domains=("evil.net",))
    assert result.text == (
        "A Google search for 'q' found 2 results:\n\n## Web Results\n"
        "1. [T](https://a.com/)\n\nS\n\n2. [T](https://b.a.com/)\n\nS\n\n"
        "(2 results left out by this job's source policy.)"
    )
    (item,) = result.items
    assert item.left_out == {"domain_denied": 2}
    assert [found["url"] for found in item.results] == ["https://a.com/", "https://b.a.com/"]
    assert item.text == result.text
    assert refusals(metrics) == {"domain_denied": 2}


async def test_a_policy_that_leaves_out_nothing_changes_nothing(tools, other_stub):
    other_stub.gives(lambda: organic("https://a.com/"))
    with_policy = await search(tools, "q", allow_domains=(".com",), languages=("en",), max_pages_per_domain=5)
    without = await search(tools, "q")
    assert with_policy.text == without.text
    assert with_policy.items[0].left_out == {}


async def test_a_search_of_which_nothing_is_left_says_both(tools, other_stub):
    other_stub.gives(lambda: organic("https://evil.net/"))
    result = await search(tools, "a", "b", deny_domains=("evil.net",))
    line = "\n\n(1 result left out by this job's source policy.)"
    assert result.text == f"No results found for 'a'.{line}\n=======\nNo results found for 'b'.{line}"
    assert [(item.ok, item.status) for item in result.items] == [(True, "none")] * 2


async def test_the_same_kept_answer_is_filtered_for_each_job_by_its_own_policy(tools, other_stub):
    other_stub.gives(lambda: organic("https://a.com/", "https://b.org/"))
    everything = await search(tools, "q")
    com = await search(tools, "q", languages=("en",), pages_read={"b.org": 1}, max_pages_per_domain=1)
    assert [len(result.items[0].results) for result in (everything, com)] == [2, 1]
    assert com.items[0].left_out == {"pages_of_domain": 1}


async def test_a_page_of_a_denied_site_is_not_fetched(tools, stub, metrics):
    stub.gives(lambda: web.Response(text=WORDS))
    url = site(stub)
    result = await visit(tools, url, deny_domains=("example.com",))
    assert result.text == refused_text(url, "its site is on the list of denied sites")
    (item,) = result.items
    assert (item.ok, item.status, item.left_out, item.domain) == (False, "policy", {"domain_denied": 1}, None)
    assert stub.requests == []
    assert refusals(metrics) == {"domain_denied": 1}
    allowed = await visit(tools, url, allow_domains=("example.com",))
    assert allowed.items[0].ok
    assert allowed.items[0].domain == "example.com"


async def test_a_page_that_redirects_to_another_site_is_fetched_and_not_read(tools, stub):
    target = site(stub, "/", "evil.example.net")
    answers = {
        "site.example.com": lambda: web.Response(status=302, headers={"Location": target}),
        "evil.example.net": lambda: web.Response(text=WORDS),
    }

    async def answer(request):
        return answers[request.host.partition(":")[0]]()

    stub.handler = answer
    for _ in range(2):  # fetched, then kept
        result = await visit(tools, site(stub), allow_domains=("example.com",))
        assert result.text == refused_text(site(stub), "its site is not on the list of allowed sites")
        assert result.items[0].status == "policy"
    free = await visit(tools, site(stub))
    assert (free.items[0].ok, free.items[0].domain) == (True, "example.net")


async def test_the_language_and_the_day_of_a_page_are_held_to_the_policy(tools, stub):
    chinese = "委员会在那一年的春天发表了关于湖泊状况的报告，并呼吁各方采取措施保护水质。" * 40
    german = f'<html lang="de"><body><p>{WORDS}</p></body></html>'
    bodies = {
        "/chinese": lambda: web.Response(text=chinese, content_type="text/plain"),
        "/german": lambda: web.Response(text=german, content_type="text/html"),
        "/header": lambda: web.Response(text=WORDS, headers={"Content-Language": "de-AT"}),
        "/english": lambda: web.Response(text=WORDS),
    }

    async def answer(request):
        return bodies[request.path]()

    stub.handler = answer
    urls = [site(stub, path) for path in bodies]
    for _ in range(2):  # also where the page and what was read in it are kept
        everything = await visit(tools, *urls)
        assert [item.ok for item in everything.items] == [True] * 4
        result = await visit(tools, *urls, languages=("en",))
        assert [item.status for item in result.items] == ["policy", "policy", "policy", "found"]
        assert result.items[0].text.strip() == refused_text(urls[0], "it is not in an allowed language")


async def test_the_maximum_of_pages_holds_in_one_call_in_the_order_asked(tools, stub):
    stub.gives(lambda: web.Response(text=WORDS))
    urls = [
        site(stub, "/1"),
        site(stub, "/2", "www.site.example.com"),
        site(stub, "/3", "other.example.org"),
        site(stub, "/4"),
    ]
    result = await visit(tools, *urls, pages_read={"example.com": 1}, max_pages_per_domain=2)
    assert [item.status for item in result.items] == ["found", "policy", "found", "policy"]
    assert [item.domain for item in result.items] == ["example.com", None, "example.org", None]
    assert sorted(request.path for request in stub.requests) == ["/1", "/3"]


async def test_pages_that_redirect_to_one_site_do_not_pass_its_maximum_together(tools, stub):
    """All are under way at once before any is known to lead there."""
    under_way = 0
    all_there = asyncio.Event()
    target = site(stub, "/x", "other.example.org")

    async def answer(request):
        nonlocal under_way
        if request.path == "/x":
            return web.Response(text=WORDS)
        under_way += 1
        if under_way == 4:
            all_there.set()
        await all_there.wait()
        return web.Response(status=302, headers={"Location": target})

    stub.handler = answer
    urls = [site(stub, f"/{number}") for number in range(4)]
    result = await visit(tools, *urls, max_pages_per_domain=4, pages_read={"example.org": 2})
    assert sorted(item.status for item in result.items) == ["found", "found", "policy", "policy"]


async def test_what_the_guard_refuses_is_counted_as_its_own(tools, metrics):
    result = await visit(tools, "http://127.0.0.2/", "http://169.254.169.254/")
    assert [item.status for item in result.items] == ["refused"] * 2
    assert refusals(metrics) == {"guard": 2}
