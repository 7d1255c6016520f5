"""Brave's web search against a server that acts as it: request, answer, the shapes of its errors, a source policy."""

from __future__ import annotations

import pytest
from aiohttp import web
from pydantic import SecretStr

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.providers.brave import BraveSearch
from literesearcher.tools.providers.port import SearchResult

ANSWER = {
    "type": "search",
    "query": {"original": "q", "more_results_available": True},
    "web": {
        "type": "search",
        "results": [
            {
                "title": "Tips &amp; <strong>tricks</strong>",
                "url": "https://example.com/python?a=1&amp=2",
                "description": "x &lt;b&gt; 1 < 2 &amp;&quot; <strong>q</strong>&#x27;s",
                "age": "2 days ago",
                "page_age": "2025-04-12T14:22:41",
                "profile": {"name": "Example", "long_name": "example.com"},
                "language": "en",
            },
            {"title": "U", "url": "https://b.example/", "age": "May 1, 2024"},
            {"title": None, "url": None, "description": None, "profile": "none"},
            "not an object",
        ],
    },
    "mixed": {"type": "mixed", "main": [{"type": "web", "index": 0, "all": False}]},
}


@pytest.fixture
def brave(stub, wire):
    return BraveSearch(api_key=SecretStr("BSA-key"), base_url=stub.url + "/", wire=wire, clock=ManualClock())


async def search(brave, query="q", sources=ANY_SOURCE):
    return await brave.search(query, tenant_id="", timeout_seconds=30.0, sources=sources)


async def test_brave_is_asked_and_read(brave, stub):
    stub.gives(lambda: web.json_response(ANSWER))
    answer = await search(brave, 'a "b" & ü')
    assert answer.results == (
        SearchResult(
            "Tips & tricks", "https://example.com/python?a=1&amp=2", "x <b> 1 < 2 &\" q's", "2025-04-12", "Example"
        ),
        SearchResult("U", "https://b.example/", None, "May 1, 2024"),
        SearchResult("", ""),
    )
    (request,) = stub.requests
    assert request.method == "GET"
    assert request.headers["X-Subscription-Token"] == "BSA-key"
    assert request.headers["Accept"] == "application/json"
    assert request.raw_path == (
        "/res/v1/web/search?q=a+%22b%22+%26+%C3%BC&country=US&search_lang=en&count=10&text_decorations=false"
    )


async def test_a_chinese_query_searches_from_china(brave, stub):
    stub.gives(lambda: web.json_response(ANSWER))
    await search(brave, "谁")
    assert (stub.requests[0].query["country"], stub.requests[0].query["search_lang"]) == ("CN", "zh-hans")
    assert (brave.locale("谁"), brave.locale("who")) == ("CN zh-hans", "US en")


async def test_no_web_results_are_told_from_garbage(brave, stub):
    stub.gives(
        lambda: web.json_response({"type": "search", "query": {}}),
        lambda: web.json_response({"type": "search", "web": {"results": []}}),
        lambda: web.json_response({"query": {}}),
    )
    first, second = await search(brave), await search(brave)
    assert (first.results, first.listed) == ((), False)
    assert (second.results, second.listed) == ((), True)
    with pytest.raises(BoundaryError) as caught:
        await search(brave)
    assert caught.value.code == "provider_garbage"


@pytest.mark.parametrize("query", ["w " * 300, "x" * 5000, "谁" * 401])
async def test_a_query_that_brave_would_refuse_is_cut(brave, stub, query):
    stub.gives(lambda: web.json_response(ANSWER))
    await search(brave, query)
    sent = stub.requests[0].query["q"]
    assert len(sent) <= 400
    assert len(sent.split()) <= 50
    assert sent
    assert query.startswith(sent)


def error(status, code, **rest):
    body = {"id": "x", "status": status, "code": code, "detail": "words", **rest}
    return {"type": "ErrorResponse", "error": body, "time": 1}


RATE = {"plan": "Free", "rate_limit": 1, "rate_current": 1, "quota_limit": 2000, "component": "rate_limiter"}


@pytest.mark.parametrize(
    ("status", "body", "code", "transient"),
    [
        (429, error(429, "RATE_LIMITED", meta=RATE | {"quota_current": 17}), "provider_busy", True),
        (429, error(429, "RATE_LIMITED", meta=RATE | {"quota_current": 2000}), "provider_quota", False),
        (429, error(429, "QUOTA_LIMITED", meta={}), "provider_quota", False),
        (429, [], "provider_busy", True),
        (402, error(402, "USAGE_LIMIT_EXCEEDED"), "provider_quota", False),
        (422, error(422, "SUBSCRIPTION_TOKEN_INVALID"), "provider_unauthorized", False),
        (404, error(404, "SUBSCRIPTION_NOT_FOUND"), "provider_unauthorized", False),
        (422, error(422, "VALIDATION", meta={"errors": [{"loc": ["query", "q"]}]}), "provider_rejected", False),
        (400, error(400, "OPTION_NOT_IN_PLAN"), "provider_rejected", False),
        (403, error(403, "RESOURCE_NOT_ALLOWED"), "provider_unauthorized", False),
        (500, error(500, "INTERNAL"), "provider_error", True),
        (422, {"error": "text"}, "provider_rejected", False),
    ],
)
async def test_documented_errors(brave, stub, status, body, code, transient):
    stub.gives(lambda: web.json_response(body, status=status))
    with pytest.raises(BoundaryError) as caught:
        await search(brave)
    assert (caught.value.code, caught.value.transient) == (code, transient)


@pytest.mark.parametrize(
    ("reset", "wait"), [("1, 1419704", 1.0), ("7", 7.0), ("1419704", 60.0), ("soon", None), (None, None)]
)
async def test_the_second_that_is_over_says_when_the_next_begins(brave, stub, reset, wait):
    headers = {"X-RateLimit-Reset": reset} if reset else {}
    stub.gives(lambda: web.json_response(error(429, "RATE_LIMITED"), status=429, headers=headers))
    with pytest.raises(BoundaryError) as caught:
        await search(brave)
    assert caught.value.retry_after == wait


async def test_a_retry_after_outranks_the_reset(brave, stub):
    headers = {"X-RateLimit-Reset": "1", "Retry-After": "30"}
    stub.gives(lambda: web.json_response(error(429, "RATE_LIMITED"), status=429, headers=headers))
    with pytest.raises(BoundaryError) as caught:
        await search(brave)
    assert caught.value.retry_after == 30.0


async def test_a_source_policy_goes_out_as_a_goggle_and_a_range(brave, stub):
    stub.gives(lambda: web.json_response(ANSWER))
    await search(
        brave,
        sources=SourcePolicy(
            allow_domains=("docs.example.org", "example.com"),
            deny_domains=("bad.example.com", ".xyz"),
            published_after="2024-01-02",
            published_before="2024-03-04",
            languages=("fa", "ja"),
        ),
    )
    asked = stub.requests[0].query
    assert asked["goggles"] == "$discard\n$site=docs.example.org\n$site=example.com\n$discard,site=bad.example.com"
    assert asked["freshness"] == "2024-01-02to2024-03-04"
    assert (asked["q"], asked["country"], asked["search_lang"]) == ("q", "US", "jp")


async def test_a_policy_of_which_only_half_could_be_said_is_left_to_the_check(brave, stub):
    stub.gives(lambda: web.json_response(ANSWER))
    tomorrow = ManualClock().now().toordinal() + 1
    await search(brave, sources=SourcePolicy(allow_domains=("example.org", ".gov"), languages=("xx",)))
    await search(brave, sources=SourcePolicy(published_after="2024-01-02", languages=("de", "en")))
    await search(brave, sources=SourcePolicy(published_before="2024-03-04"))
    first, second, third = (request.query for request in stub.requests)
    assert "goggles" not in first
    assert "search_lang" not in first
    since, _, until = second["freshness"].partition("to")
    assert (since, ManualClock().now().date().fromisoformat(until).toordinal()) == ("2024-01-02", tomorrow)
    assert second["search_lang"] == "en"
    assert third["freshness"] == "1970-01-01to2024-03-04"
