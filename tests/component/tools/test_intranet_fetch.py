"""Pages inside the perimeter: for their tenant, over connections and cache entries that no other tenant uses."""

from __future__ import annotations

import pytest
from aiohttp import web

from literesearcher.errors import BoundaryError
from literesearcher.research.messages import Usage
from literesearcher.settings.model import Settings
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.extraction import Extraction
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.perimeter.guard import Guard, RefusedTarget
from literesearcher.tools.perimeter.intranet import Intranet
from literesearcher.tools.port import Ask, ToolRequest
from literesearcher.tools.providers.direct import DirectPages

LISTS = {"lab": ["wiki", "site.example.com"], "plant": ["wiki"]}
PAGE = "Words of the inside. " * 60


class Extractor:
    cache_key = "test"

    def page_tokens(self, profile):
        return 95_000

    async def extract(self, page, goal, *, profile, timeout_seconds):
        return Extraction({"rational": "r", "evidence": page[:40], "summary": "s"}, Usage(1, 1))


@pytest.fixture
def perimeter(dns) -> Guard:
    """127.0.0.1 is inside: `wiki` and `site.example.com` are there. `news.example.com` is too, and on no list."""
    dns.allow_loopback = False
    dns.names["wiki"] = dns.names["news.example.com"] = [["127.0.0.1"]]
    return Guard(
        resolve=dns.resolve,
        address_allowed=dns.allowed,
        address_openable=lambda address: str(address) == "127.0.0.1",
        intranet=Intranet(LISTS),
    )


@pytest.fixture
async def direct(perimeter):
    reader = PageReader()
    pages = DirectPages(guard=perimeter, reader=reader)
    yield pages
    await pages.aclose()
    await reader.aclose()


def site(stub, host="wiki"):
    return f"http://{host}:{stub.server.port}/"


def plain(text=PAGE):
    return web.Response(text=text, content_type="text/plain")


async def test_a_page_of_the_inside_is_for_its_tenant_and_marked(direct, stub):
    stub.gives(plain)
    page = await direct.fetch(site(stub), tenant_id="lab", timeout_seconds=30)
    assert page.text == PAGE
    assert page.private
    for tenant in ("other", ""):
        with pytest.raises(RefusedTarget):
            await direct.fetch(site(stub), tenant_id=tenant, timeout_seconds=30)
    with pytest.raises(RefusedTarget):
        await direct.fetch(site(stub, "news.example.com"), tenant_id="lab", timeout_seconds=30)
    assert len(stub.requests) == 1


async def test_an_open_connection_serves_no_other_tenant(direct, stub, dns):
    """The name looks public, so only its resolution refuses the others; a connection kept open would not ask it."""
    stub.gives(plain)
    url = site(stub, "site.example.com")
    for _ in range(2):
        await direct.fetch(url, tenant_id="lab", timeout_seconds=30)
    assert dns.asked == ["site.example.com"], "the connection was kept open"
    for tenant in ("plant", "other"):
        with pytest.raises(RefusedTarget):
            await direct.fetch(url, tenant_id=tenant, timeout_seconds=30)
    assert dns.asked == ["site.example.com"] * 3
    assert len(stub.requests) == 2


@pytest.mark.parametrize(
    "target", ["http://news.example.com:{port}/", "http://127.0.0.1:{port}/", "http://127.0.0.2:{port}/",
               "http://localhost:{port}/", "http://wiki:22/", "http://169.254.169.254/"],
)  # fmt: skip
async def test_a_redirect_from_the_inside_is_checked_like_any_other(direct, stub, target):
    location = target.format(port=stub.server.port)
    stub.gives(lambda: web.Response(status=302, headers={"Location": location}))
    with pytest.raises(RefusedTarget):
        await direct.fetch(site(stub), tenant_id="lab", timeout_seconds=30)
    assert len(stub.requests) == 1


@pytest.fixture
async def tools(stub, other_stub, perimeter):
    settings = Settings.model_validate(
        {
            "tools": {"search": ["serper"], "pages": ["direct", "jina"], "intranet": LISTS},
            "serper": {"api_key": "k", "base_url": other_stub.url},
            "jina": {"base_url": other_stub.url, "self_hosted": False},
        }
    )
    tools = assemble(settings, extractor=Extractor(), clock=SystemClock(), guard=perimeter)
    yield tools
    await tools.aclose()


async def visit(tools, url, tenant):
    ask = Ask(tenant_id=tenant, timeout_seconds=60)
    (item,) = (await tools.call(ToolRequest("visit", {"url": [url], "goal": "g"}, ask))).items
    return item


async def test_what_one_tenant_read_inside_is_kept_for_it_alone(tools, stub, other_stub):
    stub.gives(plain, lambda: plain("Other words of the inside. " * 60))
    first = await visit(tools, site(stub), "lab")
    again = await visit(tools, site(stub), "lab")
    assert (first.ok, again.ok, again.cache) == (True, True, "hit")
    assert again.digest == first.digest
    # A tenant with the same right reads it for itself; one without reads nothing, kept or not.
    theirs = await visit(tools, site(stub), "plant")
    assert theirs.ok
    assert theirs.digest != first.digest
    refused = await visit(tools, site(stub), "other")
    assert (refused.ok, refused.status) == (False, "refused")
    assert "Words of the inside" not in refused.text
    assert len(stub.requests) == 2
    assert other_stub.requests == []


async def test_no_remote_reader_hears_of_the_inside(tools, stub, other_stub):
    """Also where the direct fetch gave little, or nothing, and the next provider is a remote one."""
    other_stub.gives(lambda: plain("from the reader " * 60))
    stub.gives(lambda: plain("short"), lambda: web.Response(status=500))
    for url in (site(stub), site(stub, "wiki") + "x", site(stub, "site.example.com"), "http://wiki:1/"):
        assert "from the reader" not in (await visit(tools, url, "lab")).text
        assert "from the reader" not in (await visit(tools, url, "other")).text
    assert other_stub.requests == []


async def test_a_tenant_without_a_list_shares_no_connection_with_one_that_has(direct, stub, dns):
    dns.allow_loopback = True
    # Long enough that it is still under way when the address that answers is asked for.
    stub.gives(lambda: plain(PAGE * 1000))
    url = site(stub, "news.example.com")
    for tenant in ("lab", "other", "third", "lab"):
        page = await direct.fetch(url, tenant_id=tenant, timeout_seconds=30)
        assert not page.private, "it is public, whoever reads it"
    assert dns.asked == ["news.example.com"] * 2, "one connection for `lab`, one for all without a list"
    with pytest.raises((RefusedTarget, BoundaryError)):
        await direct.fetch("http://unknown/", tenant_id="lab", timeout_seconds=30)
