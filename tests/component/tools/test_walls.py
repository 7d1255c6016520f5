"""What stands in front of a page, fetched from a site that puts it there, and what the model reads of it."""

from __future__ import annotations

import pytest
from aiohttp import web

from literesearcher.errors import BoundaryError
from literesearcher.settings.model import Settings
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.assembly import assemble
from literesearcher.tools.pages.passage_extraction import PassageExtractor
from literesearcher.tools.pages.text import PageReader
from literesearcher.tools.port import Ask, ToolRequest
from literesearcher.tools.providers.direct import DirectPages

CHALLENGE = (
    "<!DOCTYPE html><html lang=en-US><head><title>Just a moment...</title></head><body>"
    "<noscript><span>Enable JavaScript and cookies to continue</span></noscript>"
    "<script>window._cf_chl_opt={cvId:'3'}</script></body></html>"
)
APP = (
    '<!doctype html><html lang="en"><head><title>Shop</title><script src="/main.js"></script></head><body>'
    '<noscript>You need to enable JavaScript to run this app.</noscript><div id="root"></div></body></html>'
)
CONSENT = (
    "<html><title>Before you continue to Example</title><body><h1>Before you continue to Example</h1>"
    "<p>We use cookies and data to deliver and maintain our services, track outages and protect against abuse.</p>"
    "<p>If you choose Accept all, we will also use cookies and data to develop new services and show ads.</p>"
    "<div>Reject all</div><div>Accept all</div><p>Manage options for your privacy settings</p>"
    "<p>Personalised content and ads can also include more relevant results, based on past cookies.</p>"
    "<p>Non-personalised ads are influenced by the cookies of this visit and by where you are.</p>"
    "<p>Visit the privacy tools at any time to change what vendors and partners may do.</p></body></html>"
)
TEASER = (
    "<html lang=fr><title>La mairie</title><script type='application/ld+json'>"
    '{"@type": "NewsArticle", "isAccessibleForFree": false, "datePublished": "2024-05-06T07:00:00Z"}</script><body><h1>'
    "La mairie</h1><p>"
    + "The mayor of Rottnest spoke of the quokka census on Monday and of its cost. " * 6
    + "</p><p>Subscribe to continue reading this article.</p></body></html>"
)
ARTICLE = (
    "<html lang=en><title>How captchas work</title><body><h1>How captchas work</h1>"
    + "".join(
        f"<p>{number}. Sites say: verify you are human, complete the security check to access, just a moment. The "
        "quokka of captchas is the click on all pictures with a bus, and Cloudflare Ray ID is a string.</p>"
        for number in range(12)
    )
    + "<script src='https://www.google.com/recaptcha/api.js'></script></body></html>"
)


@pytest.fixture
async def make(other_stub, guard):
    made = []

    def build(fidelity="improved", pages=("direct",)):
        settings = Settings.model_validate(
            {
                "tools": {"search": ["serper"], "pages": list(pages), "fidelity": fidelity, "cache": "off"},
                "serper": {"api_key": "k", "base_url": other_stub.url},
                "jina": {"base_url": other_stub.url},
            }
        )
        metrics = ToolMetrics()
        tools = assemble(settings, extractor=PassageExtractor(), clock=SystemClock(), guard=guard, metrics=metrics)
        made.append(tools)
        return tools, metrics

    yield build
    for tools in made:
        await tools.aclose()


def serving(stub, page, status=200, headers=None):
    stub.gives(lambda: web.Response(text=page, status=status, content_type="text/html", headers=headers))


async def visit(tools, stub):
    url = f"http://site.example.com:{stub.server.port}/"
    (item,) = (await tools.call(ToolRequest("visit", {"url": url, "goal": "quokka census"}, Ask()))).items
    return item


@pytest.mark.parametrize(
    ("page", "status", "said"),
    [
        (CHALLENGE, "captcha", "prove that they are human"),
        (APP, "script_only", "drawn by JavaScript"),
        (CONSENT, "consent", "consent page"),
    ],
)
async def test_a_wall_is_called_so_in_the_frame_the_model_knows(make, stub, page, status, said):
    serving(stub, page)
    tools, metrics = make()
    item = await visit(tools, stub)
    assert (item.ok, item.status, item.extracted) == (False, status, None)
    head, _, tail = item.text.partition("Evidence in page: \n")
    assert head == f"The useful information in {item.target} for user goal quokka census as follows: \n\n"
    assert said in tail
    assert tail.endswith("\n\nSummary: \nThe webpage content could not be processed.\n\n")
    assert metrics.registry.get_sample_value("literesearcher_tools_page_kinds_total", {"kind": status}) == 1


async def test_published_reads_a_wall_as_the_page_that_it_is(make, stub):
    serving(stub, CHALLENGE)
    item = await visit(make("published")[0], stub)
    assert item.status == "too_short"
    serving(stub, CONSENT)
    item = await visit(make("published")[0], stub)
    assert (item.status, item.ok) == ("found", True)
    assert "paywall" not in item.text
    serving(stub, TEASER)
    item = await visit(make("published")[0], stub)
    assert (item.status, item.ok) == ("found", True)
    assert "paywall" not in item.text


async def test_a_teaser_before_a_paywall_is_read_and_said_to_be_one(make, stub):
    serving(stub, TEASER)
    item = await visit(make()[0], stub)
    assert (item.ok, item.status) == (False, "paywall")
    assert "quokka census" in item.extracted["evidence"]
    assert "Evidence in page: \n(The page is behind a paywall or login; only the part before it could be read.)\n" in (
        item.text
    )


async def test_an_article_about_captchas_is_no_captcha(make, stub):
    serving(stub, ARTICLE)
    item = await visit(make()[0], stub)
    assert (item.ok, item.status) == (True, "found")


async def test_an_app_without_text_goes_on_to_the_provider_that_renders(make, stub, other_stub):
    serving(stub, APP)
    other_stub.gives(lambda: web.Response(text="Title: Shop\n\n" + "The quokka census counted 10,000. " * 30))
    item = await visit(make(pages=("direct", "jina"))[0], stub)
    assert (item.provider, item.status) == ("jina", "found")


@pytest.mark.parametrize(
    ("status", "page", "headers", "code"),
    [
        (403, CHALLENGE, None, "page_challenge"),
        (503, CHALLENGE, None, "page_challenge"),
        (429, "<title>x</title>slow down", {"cf-mitigated": "challenge"}, "page_challenge"),
        (403, "<title>Forbidden</title><p>You may not read this directory listing.</p>", None, "page_status"),
        (404, CHALLENGE, None, "page_missing"),
        (403, ARTICLE, None, "page_status"),
    ],
)
async def test_a_status_with_a_challenge_is_told_from_a_plain_one(stub, guard, status, page, headers, code):
    serving(stub, page, status, headers)
    reader = PageReader()
    direct = DirectPages(guard=guard, reader=reader)
    try:
        with pytest.raises(BoundaryError) as caught:
            await direct.fetch(f"http://site.example.com:{stub.server.port}/", tenant_id="", timeout_seconds=20)
        assert caught.value.code == code
    finally:
        await direct.aclose()
        await reader.aclose()


async def test_a_challenge_nobody_got_past_is_called_so(make, stub, other_stub):
    serving(stub, CHALLENGE, 403)
    other_stub.gives(lambda: web.Response(status=500))
    item = await visit(make(pages=("direct", "jina"))[0], stub)
    assert (item.status, item.provider) == ("captcha", "direct")
    assert (await visit(make("published", pages=("direct", "jina"))[0], stub)).status == "unreachable"
