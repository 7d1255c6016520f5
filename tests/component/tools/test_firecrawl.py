"""Firecrawl against a server that acts as it: request, page and facts, what the site said, documented errors."""

from __future__ import annotations

import pytest
from aiohttp import web
from pydantic import SecretStr

from literesearcher.errors import BoundaryError
from literesearcher.tools.perimeter.guard import RefusedTarget
from literesearcher.tools.providers.firecrawl import FirecrawlPages


def answer(markdown="# Hi\n\nWords", **facts):
    metadata = {"title": "T", "language": "en-US", "sourceURL": "http://a.example.com/", "statusCode": 200} | facts
    return {"success": True, "data": {"markdown": markdown, "metadata": metadata}}


@pytest.fixture
def firecrawl(stub, wire, guard):
    return FirecrawlPages(api_key=SecretStr("fc-key"), base_url=stub.url + "/", wire=wire, guard=guard)


async def fetch(provider, url="http://a.example.com/"):
    return await provider.fetch(url, tenant_id="", timeout_seconds=30.0)


async def test_firecrawl_is_asked_and_read(firecrawl, stub):
    facts = {"url": "https://b.example.com/", "publishedTime": "2024-05-06T01:00:00Z", "creditsUsed": 1}
    stub.gives(lambda: web.json_response(answer(**facts)))
    page = await fetch(firecrawl, "https://a.example.com/ä?x=1#f")
    assert (page.text, page.title, page.url) == ("# Hi\n\nWords", "T", "https://b.example.com/")
    assert (page.language, page.published, page.whole) == ("en", "2024-05-06", False)
    (request,) = stub.requests
    assert (request.method, request.path) == ("POST", "/v2/scrape")
    assert request.headers["Authorization"] == "Bearer fc-key"
    assert request.headers["Content-Type"] == "application/json"
    assert stub.bodies[0] == (
        b'{"url":"https://a.example.com/%C3%A4?x=1","formats":["markdown"],"onlyMainContent":true}'
    )


async def test_an_own_instance_needs_no_key(stub, wire, guard, dns):
    dns.names["a.example.com"] = [["93.184.216.34"]]
    own = FirecrawlPages(api_key=None, base_url=stub.url, wire=wire, guard=guard, self_hosted=True)
    stub.gives(lambda: web.json_response(answer()))
    assert (await fetch(own)).title == "T"
    assert "Authorization" not in stub.requests[0].headers
    with pytest.raises(RefusedTarget):
        await fetch(own, "http://wiki.corp.example/")
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    ("facts", "title", "url", "language"),
    [
        ({"title": ["A", "B"]}, "A", "http://a.example.com/", "en"),
        ({"title": [], "language": ["en"], "sourceURL": None}, None, None, None),
        ({"title": None, "language": "english", "url": "javascript:x"}, None, "http://a.example.com/", None),
        ({"title": "", "language": "zh_Hans_CN", "url": 7}, None, "http://a.example.com/", "zh"),
    ],
)
async def test_odd_facts(firecrawl, stub, facts, title, url, language):
    stub.gives(lambda: web.json_response(answer(**facts)))
    page = await fetch(firecrawl)
    assert (page.title, page.url, page.language) == (title, url, language)


@pytest.mark.parametrize(
    ("status", "code"), [(404, "page_missing"), (410, "page_missing"), (403, "page_status"), (500, "page_status")]
)
async def test_an_error_page_of_the_site_is_no_page(firecrawl, stub, status, code):
    stub.gives(lambda: web.json_response(answer("words " * 200, statusCode=status)))
    with pytest.raises(BoundaryError) as caught:
        await fetch(firecrawl)
    assert caught.value.code == code


@pytest.mark.parametrize(
    "body", [{"success": True}, {"success": True, "data": []}, {"success": True, "data": {"metadata": {}}}, {}, []]
)
async def test_an_answer_without_a_page_is_a_failure(firecrawl, stub, body):
    stub.gives(lambda: web.json_response(body))
    with pytest.raises(BoundaryError) as caught:
        await fetch(firecrawl)
    assert caught.value.code == "provider_garbage"


async def test_odd_metadata_does_not_spoil_the_page(firecrawl, stub):
    stub.gives(lambda: web.Response(body=b'{"success": true, "data": {"markdown": "x\\ud800", "metadata": 3}}'))
    page = await fetch(firecrawl)
    assert (page.text, page.title, page.url) == ("x\ufffd", None, None)


@pytest.mark.parametrize(
    ("status", "error", "code", "transient"),
    [
        (200, "DNS resolution failed for hostname", "page_unreachable", False),
        (400, "Invalid URL", "provider_rejected", False),
        (401, "Unauthorized: Invalid token", "provider_unauthorized", False),
        (402, "Payment Required: Insufficient credits", "provider_quota", False),
        (403, "Forbidden", "provider_unauthorized", False),
        (403, "We apologize for the inconvenience but we do not support this site.", "provider_rejected", False),
        (408, "Request Timeout", "provider_timeout", True),
        (429, "Rate limit exceeded", "provider_busy", True),
        (500, "Internal Server Error", "provider_error", True),
        (503, "Service Unavailable", "provider_busy", True),
    ],
)
async def test_documented_errors(firecrawl, stub, status, error, code, transient):
    stub.gives(lambda: web.json_response({"success": False, "error": error}, status=status))
    with pytest.raises(BoundaryError) as caught:
        await fetch(firecrawl)
    assert (caught.value.code, caught.value.transient) == (code, transient)


async def test_retry_after_of_a_429_is_handed_on(firecrawl, stub):
    stub.gives(lambda: web.json_response({"success": False}, status=429, headers={"Retry-After": "12"}))
    with pytest.raises(BoundaryError) as caught:
        await fetch(firecrawl)
    assert caught.value.retry_after == 12.0
