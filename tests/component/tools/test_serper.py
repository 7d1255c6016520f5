"""Serper against a server that acts as it: the published request, its answers, its errors, a source policy."""

from __future__ import annotations

import asyncio
import json

import pytest
from aiohttp import web
from pydantic import SecretStr

from literesearcher.errors import BoundaryError
from literesearcher.research.tool_options import ANY_SOURCE, SourcePolicy
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.tools.governor import Governor, Tally
from literesearcher.tools.providers.port import SearchResult
from literesearcher.tools.providers.serper import SerperSearch

SECRET = "q7Zk+w9/=%&?key"
RESULTS = {
    "organic": [
        {"title": "T", "link": "https://a.example/", "snippet": "S", "date": "May 1", "source": "A", "position": 1},
        {"title": "U", "link": "https://b.example/"},
        "not an object",
    ]
}


@pytest.fixture
def serper(stub, wire):
    return SerperSearch(api_key=SecretStr(SECRET), base_url=stub.url + "/", wire=wire)


async def search(serper, query="q", seconds=30.0, sources=ANY_SOURCE):
    return await serper.search(query, tenant_id="", timeout_seconds=seconds, sources=sources)


def governed(serper, clock, seconds):
    governor = Governor(clock=clock, metrics=ToolMetrics())
    return governor.call(
        serper, lambda left: search(serper, seconds=left), tenant_id="", timeout_seconds=seconds, tally=Tally()
    )


async def test_serper_is_asked_as_published(serper, stub):
    stub.gives(lambda: web.json_response(RESULTS))
    answer = await search(serper, 'who\'s "it"?')
    assert answer.results == (
        SearchResult("T", "https://a.example/", "S", "May 1", "A"),
        SearchResult("U", "https://b.example/"),
    )
    (request,) = stub.requests
    assert (request.method, request.path) == ("POST", "/search")
    assert request.headers["X-API-KEY"] == SECRET
    assert request.content_type == "application/json"
    assert stub.bodies[0] == b'{"q":"who\'s \\"it\\"?","location":"United States","gl":"us","hl":"en"}'


@pytest.mark.parametrize(
    ("query", "gl"),
    [
        ("谁是", "cn"),
        ("who is 谁", "cn"),
        ("𠀀", "cn"),
        ("café", "us"),
        ("ひらがな", "us"),
        ("한국어", "us"),
        ("“x”，", "us"),
    ],
)
async def test_a_query_with_chinese_characters_searches_from_china(serper, stub, query, gl):
    stub.gives(lambda: web.json_response(RESULTS))
    await search(serper, query)
    body = json.loads(stub.bodies[0])
    assert body["gl"] == gl
    assert (body["location"], body["hl"]) == (("China", "zh-cn") if gl == "cn" else ("United States", "en"))
    assert serper.locale(query) == f"{body['gl']} {body['hl']}"


async def test_an_empty_list_is_told_from_no_list(serper, stub):
    stub.gives(lambda: web.json_response({"organic": []}), lambda: web.json_response({"credits": 1}))
    first, second = await search(serper), await search(serper)
    assert (first.results, first.listed) == ((), True)
    assert (second.results, second.listed) == ((), False)


async def test_odd_values_of_results_become_text(serper, stub):
    body = b'{"organic": [{"title": null, "link": 7, "snippet": "\\ud800x", "date": ["a"]}]}'
    stub.gives(lambda: web.Response(body=body, content_type="application/json"))
    assert (await search(serper)).results == (SearchResult("", "7", "\ufffdx", "['a']", None),)


async def test_five_tries_with_growing_waits(stub, wire):
    clock = ManualClock()
    serper = SerperSearch(api_key=SecretStr(SECRET), base_url=stub.url, wire=wire)
    stub.gives(lambda: web.Response(status=500))
    task = asyncio.create_task(governed(serper, clock, 1000))
    for tries, wait in enumerate((0.5, 1.0, 2.0, 4.0), start=1):
        async with asyncio.timeout(30):
            while not clock.sleeping:
                await asyncio.sleep(0.001)
        assert len(stub.requests) == tries
        await clock.advance(wait * 0.7)
        assert clock.sleeping, "jitter takes a tenth at most"
        await clock.advance(wait * 0.31)
    with pytest.raises(BoundaryError):
        await task
    assert len(stub.requests) == 5


async def test_retry_after_of_a_429_outranks_the_back_off(stub, wire):
    clock = ManualClock()
    serper = SerperSearch(api_key=SecretStr(SECRET), base_url=stub.url, wire=wire)
    stub.gives(lambda: web.Response(status=429, headers={"Retry-After": "77"}), lambda: web.json_response(RESULTS))
    task = asyncio.create_task(governed(serper, clock, 1000))
    async with asyncio.timeout(30):
        while not clock.sleeping:
            await asyncio.sleep(0.001)
    await clock.advance(76)
    assert len(stub.requests) == 1
    await clock.advance(2)
    assert len((await task).results) == 2


@pytest.mark.parametrize("status", [400, 403])
async def test_an_account_without_credits_is_a_spent_quota(serper, stub, status):
    stub.gives(lambda: web.json_response({"message": "Not enough credits", "statusCode": status}, status=status))
    with pytest.raises(BoundaryError) as caught:
        await search(serper)
    assert (caught.value.code, caught.value.transient) == ("provider_quota", False)


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (403, "Unauthorized.", "provider_unauthorized"),
        (400, "Missing query parameter", "provider_rejected"),
        (404, "Not Found", "provider_rejected"),
    ],
)
async def test_other_errors_are_no_quota(serper, stub, status, message, code):
    stub.gives(lambda: web.json_response({"message": message, "statusCode": status}, status=status))
    with pytest.raises(BoundaryError) as caught:
        await search(serper)
    assert (caught.value.code, caught.value.transient) == (code, False)


async def test_a_source_policy_goes_out_as_operators_and_a_date_range(serper, stub):
    stub.gives(lambda: web.json_response(RESULTS))
    policy = SourcePolicy(
        allow_domains=("example.org", ".gov"),
        deny_domains=("bad.example.org",),
        published_after="2024-02-29",
        published_before="2025-01-01",
        languages=("de",),
        max_pages_per_domain=3,
    )
    await search(serper, "who", sources=policy)
    await search(serper, "谁", sources=SourcePolicy(published_before="2025-01-01"))
    first, second = (json.loads(body) for body in stub.bodies)
    assert first == {
        "q": "who (site:example.org OR site:.gov) -site:bad.example.org",
        "location": "United States",
        "gl": "us",
        "hl": "en",
        "tbs": "cdr:1,cd_min:02/29/2024,cd_max:01/01/2025",
    }
    assert (second["q"], second["gl"], second["tbs"]) == ("谁", "cn", "cdr:1,cd_max:01/01/2025")
