"""Tavily against a server that acts as it: request, answer, documented errors, a source policy."""

from __future__ import annotations

import json

import pytest
from aiohttp import web
from pydantic import SecretStr

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.tools.providers.port import SearchResult
from literesearcher.tools.providers.tavily import TavilySearch

ANSWER = {
    "query": "q",
    "answer": None,
    "images": [],
    "results": [
        {"title": "T", "url": "https://a.example/", "content": "C", "score": 0.9, "raw_content": None},
        {
            "title": "U",
            "url": "https://b.example/",
            "content": "D",
            "published_date": "Tue, 12 Nov 2024 10:00:00 GMT",
        },
        7,
    ],
    "response_time": "1.67",
    "request_id": "123e4567",
}


@pytest.fixture
def tavily(stub, wire):
    return TavilySearch(api_key=SecretStr("tvly-key"), base_url=stub.url, wire=wire)


async def search(tavily, query="q", sources=ANY_SOURCE):
    return await tavily.search(query, tenant_id="", timeout_seconds=30.0, sources=sources)


async def test_tavily_is_asked_and_read(tavily, stub):
    stub.gives(lambda: web.json_response(ANSWER))
    answer = await search(tavily, "who?")
    assert answer.results == (
        SearchResult("T", "https://a.example/", "C"),
        SearchResult("U", "https://b.example/", "D", "2024-11-12"),
    )
    (request,) = stub.requests
    assert (request.method, request.path) == ("POST", "/search")
    assert request.headers["Authorization"] == "Bearer tvly-key"
    assert request.headers["Content-Type"] == "application/json"
    assert stub.bodies[0] == (
        b'{"query":"who?","topic":"general","search_depth":"basic","max_results":10,"country":"united states"}'
    )


async def test_a_chinese_query_searches_from_china_and_a_long_one_is_cut(tavily, stub):
    stub.gives(lambda: web.json_response(ANSWER))
    await search(tavily, "谁" * 900)
    asked = json.loads(stub.bodies[0])
    assert (asked["query"], asked["country"]) == ("谁" * 400, "china")
    assert (tavily.locale("谁"), tavily.locale("who")) == ("china", "united states")


async def test_an_empty_list_is_an_answer_and_no_list_is_none(tavily, stub):
    stub.gives(lambda: web.json_response({"results": []}), lambda: web.json_response({"query": "q"}))
    assert (await search(tavily)).results == ()
    with pytest.raises(BoundaryError) as caught:
        await search(tavily)
    assert caught.value.code == "provider_garbage"


@pytest.mark.parametrize(
    ("status", "message", "code", "transient"),
    [
        (400, "Invalid topic. Must be 'general' or 'news'.", "provider_rejected", False),
        (401, "Unauthorized: missing or invalid API key.", "provider_unauthorized", False),
        (429, "Your request has been blocked due to excessive requests.", "provider_busy", True),
        (432, "This request exceeds your plan's set usage limit.", "provider_quota", False),
        (433, "This request exceeds the pay-as-you-go limit.", "provider_quota", False),
        (500, "Internal Server Error", "provider_error", True),
    ],
)
async def test_documented_errors(tavily, stub, status, message, code, transient):
    stub.gives(lambda: web.json_response({"detail": {"error": message}}, status=status))
    with pytest.raises(BoundaryError) as caught:
        await search(tavily)
    assert (caught.value.code, caught.value.transient) == (code, transient)


async def test_a_source_policy_goes_out_in_its_fields(tavily, stub):
    stub.gives(lambda: web.json_response(ANSWER))
    await search(
        tavily,
        sources=SourcePolicy(
            allow_domains=("example.org", ".gov"),
            deny_domains=("bad.example.org",),
            published_after="2024-01-02",
            published_before="2024-03-04",
            languages=("de",),
        ),
    )
    await search(tavily, sources=SourcePolicy(allow_domains=tuple(f"a{n}.example" for n in range(301))))
    first, second = (json.loads(body) for body in stub.bodies)
    assert first == {
        "query": "q",
        "topic": "general",
        "search_depth": "basic",
        "max_results": 10,
        "country": "united states",
        "include_domains": ["example.org", "*.gov"],
        "exclude_domains": ["bad.example.org"],
        "start_date": "2024-01-02",
        "end_date": "2024-03-04",
    }
    assert "include_domains" not in second
