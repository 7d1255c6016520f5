"""SearXNG against a server that acts as an instance: request, answer, JSON turned off, engines that do not answer."""

from __future__ import annotations

import pytest
from aiohttp import web
from pydantic import SecretStr

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.tools.providers.port import SearchResult
from literesearcher.tools.providers.searxng import SearxngSearch


def result(number):
    return {
        "url": f"https://a.example/{number}",
        "title": f"T{number}",
        "content": "C",
        "publishedDate": None,
        "engine": "duckduckgo",
        "engines": ["duckduckgo", "brave"],
        "positions": [1],
        "score": 2.0,
        "category": "general",
    }


ANSWER = {
    "query": "q",
    "number_of_results": 0,
    "results": [
        result(1) | {"publishedDate": "2024-05-06T00:00:00"},
        {"url": "https://b.example/", "title": "U", "content": ""},
    ],
    "answers": [],
    "corrections": [],
    "infoboxes": [],
    "suggestions": [],
    "unresponsive_engines": [["google", "Suspended: too many requests"]],
}


@pytest.fixture
def searxng(stub, wire):
    return SearxngSearch(api_key=None, base_url=stub.url + "/instance/", wire=wire)


async def search(searxng, query="q", sources=ANY_SOURCE):
    return await searxng.search(query, tenant_id="", timeout_seconds=30.0, sources=sources)


async def test_searxng_is_asked_and_read(searxng, stub):
    stub.gives(lambda: web.json_response(ANSWER))
    answer = await search(searxng, "who is ü?")
    assert answer.results == (
        SearchResult("T1", "https://a.example/1", "C", "2024-05-06"),
        SearchResult("U", "https://b.example/"),
    )
    (request,) = stub.requests
    assert request.method == "GET"
    assert request.raw_path == "/instance/search?q=who+is+%C3%BC?&format=json&language=en-US"
    assert "Authorization" not in request.headers


async def test_ten_results_from_china_with_the_key_of_a_proxy(stub, wire):
    stub.gives(lambda: web.json_response({"results": [result(number) for number in range(30)]}))
    searxng = SearxngSearch(api_key=SecretStr("k"), base_url=stub.url, wire=wire)
    assert len((await search(searxng, "谁")).results) == 10
    assert stub.requests[0].query["language"] == "zh-CN"
    assert stub.requests[0].headers["Authorization"] == "Bearer k"
    assert (searxng.locale("谁"), searxng.locale("who")) == ("zh-CN", "en-US")


async def test_engines_that_do_not_answer_are_a_failure_not_no_results(searxng, stub):
    stub.gives(
        lambda: web.json_response({"results": [], "unresponsive_engines": [["google", "timeout"]]}),
        lambda: web.json_response({"results": [], "unresponsive_engines": []}),
    )
    with pytest.raises(BoundaryError) as caught:
        await search(searxng)
    assert (caught.value.code, caught.value.transient) == ("provider_busy", True)
    assert (await search(searxng)).results == ()


@pytest.mark.parametrize(
    ("status", "code", "transient"),
    [
        (403, "provider_json_off", False),
        (400, "provider_rejected", False),
        (401, "provider_unauthorized", False),
        (429, "provider_busy", True),
        (500, "provider_error", True),
        (302, "provider_rejected", False),
    ],
)
async def test_errors(searxng, stub, status, code, transient):
    stub.gives(lambda: web.Response(status=status, text="<title>403 Forbidden</title>", headers={"Location": "/x"}))
    with pytest.raises(BoundaryError) as caught:
        await search(searxng)
    assert (caught.value.code, caught.value.transient) == (code, transient)
    assert ("search.formats" in caught.value.message) == (status == 403)
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("query", "sent"),
    [
        ("!!g wombats", "g wombats"),
        ("wombats !images :de <9", "wombats images de 9"),
        ("!", ""),
        ("wow! a:b x<y c++ :) !", "wow! a:b x<y c++ ) "),
        ("site:example.org", "site:example.org"),
    ],
)
async def test_a_query_does_not_steer_the_instance(searxng, stub, query, sent):
    stub.gives(lambda: web.json_response(ANSWER))
    await search(searxng, query)
    assert stub.requests[0].query["q"] == sent


async def test_a_source_policy_goes_out_as_operators_and_a_language(searxng, stub):
    stub.gives(lambda: web.json_response(ANSWER))
    policy = SourcePolicy(
        allow_domains=("example.org",), deny_domains=("a.example.org", "b.example.org"), languages=("fa",)
    )
    await search(searxng, "who", policy)
    await search(searxng, "who", SourcePolicy(languages=("zh", "en"), published_after="2024-01-01"))
    first, second = (dict(request.query) for request in stub.requests)
    assert first == {
        "q": "who site:example.org -site:a.example.org -site:b.example.org",
        "format": "json",
        "language": "fa",
    }
    assert second == {"q": "who", "format": "json", "language": "en-US"}


async def test_the_check_asks_for_nothing_and_learns_whether_json_is_on(searxng, stub):
    stub.gives(lambda: web.json_response({"error": "No query"}, status=400))
    await searxng.check(timeout_seconds=30.0)
    assert dict(stub.requests[0].query) == {"format": "json"}
    for status, code in ((403, "provider_json_off"), (404, "provider_rejected"), (502, "provider_error")):
        stub.gives(lambda status=status: web.Response(status=status))
        with pytest.raises(BoundaryError) as caught:
            await searxng.check(timeout_seconds=30.0)
        assert caught.value.code == code
