"""scrape.do against a server that acts as it: the published request, the page it rendered, its documented statuses."""

from __future__ import annotations

import pytest
from aiohttp import web
from pydantic import SecretStr

from literesearcher.errors import BoundaryError
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.providers.scrapedo import ScrapedoPages

SECRET = "q7Zk+w9/=%&?key"


@pytest.fixture
async def scrapedo(stub, wire, guard):
    reader = PageReader()
    yield ScrapedoPages(api_key=SecretStr(SECRET), base_url=stub.url, wire=wire, guard=guard, reader=reader)
    await reader.aclose()


async def fetch(provider, url="http://a.example.com/", seconds=30.0):
    return await provider.fetch(url, tenant_id="", timeout_seconds=seconds)


async def test_scrapedo_is_asked_as_published(scrapedo, stub):
    where = {"Scrape.do-Resolved-Url": "https://b.example.com/y"}
    stub.gives(lambda: web.Response(text="<title>T</title><p>Words</p>", content_type="text/html", headers=where))
    page = await fetch(scrapedo, "https://a.example.com/x?y=1&z=ä#f")
    assert (page.title, page.text, page.url) == ("T", "Words", "https://b.example.com/y")
    assert stub.requests[0].raw_path == (
        "/?token=q7Zk%2Bw9%2F%3D%25%26%3Fkey&url=https%3A%2F%2Fa.example.com%2Fx%3Fy%3D1%26z%3D%25C3%25A4"
        "&render=true&customWait=2000"
    )


@pytest.mark.parametrize(
    ("status", "body", "code", "transient"),
    [
        (400, "Bad request", "page_status", False),
        (401, "You have no credits or your subscription has been suspended", "provider_quota", False),
        (401, "", "provider_quota", False),
        (401, "Token is not valid", "provider_unauthorized", False),
        (402, "", "provider_quota", False),
        (404, "Target not found", "page_missing", False),
        (429, "Concurrency limit exceeded", "provider_busy", True),
        (429, "Monthly request limit reached", "provider_quota", False),
        (502, "Request has failed. Please try again", "provider_error", True),
        (510, "", "provider_error", True),
    ],
)
async def test_documented_statuses(scrapedo, stub, status, body, code, transient):
    stub.gives(lambda: web.Response(status=status, text=body))
    with pytest.raises(BoundaryError) as caught:
        await fetch(scrapedo)
    assert (caught.value.code, caught.value.transient) == (code, transient)


async def test_a_header_that_is_no_url_says_nothing(scrapedo, stub):
    where = {"Scrape.do-Resolved-Url": "file:///etc/passwd"}
    stub.gives(lambda: web.Response(text="words", content_type="text/plain", headers=where))
    assert (await fetch(scrapedo)).url is None
