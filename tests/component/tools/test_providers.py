"""Serper, Jina Reader and scrape.do against a server that acts as them."""

from __future__ import annotations

import asyncio
import json
import logging
import traceback

import pytest
from aiohttp import web
from pydantic import SecretStr

from literesearcher.errors import BoundaryError
from literesearcher.telemetry.tool_metrics import ToolMetrics
from literesearcher.testing.manual_clock import ManualClock
from literesearcher.timing.clock import SystemClock
from literesearcher.tools.governor import Governor, Tally
from literesearcher.tools.guard import RefusedTarget
from literesearcher.tools.page_text import PageReader
from literesearcher.tools.providers.jina import JinaPages
from literesearcher.tools.providers.port import SearchResult
from literesearcher.tools.providers.scrapedo import ScrapedoPages
from literesearcher.tools.providers.serper import SerperSearch
from literesearcher.tools.providers.wire import Wire

SECRET = "q7Zk+w9/=%&?key"
TELLTALE = "q7Zk"
RESULTS = {
    "organic": [
        {"title": "T", "link": "https://a.example/", "snippet": "S", "date": "May 1", "source": "A", "position": 1},
        {"title": "U", "link": "https://b.example/"},
        "not an object",
    ]
}


@pytest.fixture
async def wire():
    wire = Wire(clock=SystemClock())
    yield wire
    await wire.aclose()
    await wire.aclose()


@pytest.fixture
def serper(stub, wire):
    return SerperSearch(api_key=SecretStr(SECRET), base_url=stub.url + "/", wire=wire)


async def search(serper, query="q", seconds=30.0):
    return await serper.search(query, tenant_id="", timeout_seconds=seconds)


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
    assert json.loads(stub.bodies[0]) == {
        "q": 'who\'s "it"?',
        "location": "United States",
        "gl": "us",
        "hl": "en",
    }


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


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 301, 302])
async def test_other_refusals_and_redirects_are_final(serper, stub, status):
    stub.gives(lambda: web.Response(status=status, headers={"Location": stub.url + "/elsewhere"}))
    with pytest.raises(BoundaryError) as caught:
        await search(serper)
    assert not caught.value.transient
    assert len(stub.requests) == 1


@pytest.mark.parametrize("body", [b"", b"<html>", b"[]", b'{"organic": {}}', b"\xff\xfe", b"[" * 100_000])
async def test_garbage_is_a_failure_never_an_empty_result(stub, wire, body):
    serper = SerperSearch(api_key=SecretStr(SECRET), base_url=stub.url, wire=wire)
    stub.gives(lambda: web.Response(body=body))
    with pytest.raises(BoundaryError) as caught:
        await serper.search("q", tenant_id="", timeout_seconds=0.4)
    assert caught.value.code == "provider_garbage"


@pytest.fixture
def jina(stub, wire, guard):
    return JinaPages(api_key=None, base_url=stub.url, wire=wire, guard=guard)


async def fetch(provider, url, seconds=30.0):
    return await provider.fetch(url, tenant_id="", timeout_seconds=seconds)


@pytest.mark.parametrize(
    ("url", "raw"),
    [
        (
            "https://en.wikipedia.org/wiki/Nature_(journal)#Publication",
            "https://en.wikipedia.org/wiki/Nature_(journal)",
        ),
        ("https://a.example.com/x?y=1&z=a b", "https://a.example.com/x?y=1&z=a%20b"),
        ("https://baike.baidu.com/item/%E5%B1%B1", "https://baike.baidu.com/item/%E5%B1%B1"),
        ("https://zh.wikipedia.org/wiki/从你", "https://zh.wikipedia.org/wiki/%E4%BB%8E%E4%BD%A0"),
        ("https://bücher.example.com/ä", "https://xn--bcher-kva.example.com/%C3%A4"),
        ("https://a.example.com/100%/..%2f", "https://a.example.com/100%25/..%2f"),
        (" http://a.example.com ", "http://a.example.com"),
    ],
)
async def test_jina_is_given_the_target_as_the_model_wrote_it(jina, stub, url, raw):
    stub.gives(lambda: web.Response(text="Title: A page\n\nText", content_type="text/plain"))
    page = await fetch(jina, url)
    assert stub.requests[0].raw_path == "/" + raw
    assert "Authorization" not in stub.requests[0].headers
    assert (page.text, page.title) == ("Title: A page\n\nText", "A page")


async def test_jina_takes_a_key(stub, wire, guard):
    stub.gives(lambda: web.Response(text="x"))
    await fetch(
        JinaPages(api_key=SecretStr("k"), base_url=stub.url + "/", wire=wire, guard=guard), "http://a.example.com"
    )
    assert stub.requests[0].headers["Authorization"] == "Bearer k"
    assert stub.requests[0].raw_path == "/http://a.example.com"


async def test_what_jina_sends_is_kept_to_the_byte(jina, stub):
    text = "å¸\x88èµ\x84 <b>not html</b>\r\n\ttab  \n" * 30
    stub.gives(lambda: web.Response(body=text.encode(), headers={"Content-Type": "text/html"}))
    assert (await fetch(jina, "http://a.example.com/")).text == text


@pytest.mark.parametrize(
    "url", ["http://127.0.0.2/", "http://inner.example.com/", "http://a.internal/", "ftp://a.example.com/", "pydoc:os"]
)
async def test_remote_readers_are_not_given_inner_targets(jina, stub, wire, guard, dns, url):
    dns.names["inner.example.com"] = [["10.0.0.1"]]
    scrapedo = ScrapedoPages(api_key=SecretStr(SECRET), base_url=stub.url, wire=wire, guard=guard, reader=PageReader())
    for provider in (jina, scrapedo):
        with pytest.raises(RefusedTarget):
            await fetch(provider, url)
    assert stub.requests == []


@pytest.mark.parametrize("status", [301, 302, 401, 402, 404, 422, 451, 500, 503])
async def test_an_error_of_the_reader_is_no_page(jina, stub, status):
    stub.gives(lambda: web.Response(status=status, text="words " * 200, headers={"Location": "/x"}))
    with pytest.raises(BoundaryError):
        await fetch(jina, "http://a.example.com/")
    assert len(stub.requests) == 1


async def test_a_reader_that_sends_too_much_or_half(stub, wire, guard):
    async def half(request):
        response = web.StreamResponse(headers={"Content-Length": "1000"})
        await response.prepare(request)
        await response.write(b"x" * 10)
        request.transport.close()
        return response

    async def endless(request):
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"x" * 1_000_000)

    jina = JinaPages(api_key=None, base_url=stub.url, wire=wire, guard=guard)
    for handler, code in ((half, ("provider_garbage", "provider_unreachable")), (endless, ("provider_too_large",))):
        stub.handler = handler
        with pytest.raises(BoundaryError) as caught:
            await fetch(jina, "http://a.example.com/")
        assert caught.value.code in code


async def test_a_slow_reader_is_given_up(jina, stub):
    async def hang(request):
        await asyncio.Event().wait()

    stub.handler = hang
    with pytest.raises(BoundaryError) as caught:
        await fetch(jina, "http://a.example.com/", seconds=0.1)
    assert caught.value.code == "provider_timeout"


async def test_scrapedo_is_asked_as_published(stub, wire, guard):
    reader = PageReader()
    scrapedo = ScrapedoPages(api_key=SecretStr(SECRET), base_url=stub.url, wire=wire, guard=guard, reader=reader)
    stub.gives(lambda: web.Response(text="<title>T</title><p>Words</p>", content_type="text/html"))
    page = await fetch(scrapedo, "https://a.example.com/x?y=1&z=ä#f")
    reader.close()
    assert (page.title, page.text) == ("T", "Words")
    query = stub.requests[0].query
    assert dict(query) == {
        "token": SECRET,
        "url": "https://a.example.com/x?y=1&z=%C3%A4",
        "render": "true",
        "customWait": "2000",
    }


@pytest.mark.parametrize("failure", ["status", "redirect", "refused", "timeout", "garbage", "half"])
async def test_a_planted_secret_appears_nowhere(stub, wire, guard, caplog, failure):
    """Not in a log record, an error, its traceback, its causes, or a repr."""
    caplog.set_level(logging.DEBUG)
    asyncio.get_running_loop().set_debug(True)
    reader = PageReader()

    async def act(request):
        if failure == "status":
            return web.Response(status=500, text=str(request.url))
        if failure == "redirect":
            return web.Response(status=302, headers={"Location": str(request.url)})
        if failure == "timeout":
            await asyncio.Event().wait()
        if failure == "half":
            response = web.StreamResponse(headers={"Content-Length": "1000"})
            await response.prepare(request)
            request.transport.close()
            return response
        request.transport.write(b"HTTP/9.9 \x00garbage\r\n\r\n")
        request.transport.close()
        return web.Response()

    stub.handler = act
    base = stub.url
    if failure == "refused":
        await stub.server.close()
    key = SecretStr(SECRET)
    providers = [
        SerperSearch(api_key=key, base_url=base, wire=wire),
        JinaPages(api_key=key, base_url=base, wire=wire, guard=guard),
        ScrapedoPages(api_key=key, base_url=base, wire=wire, guard=guard, reader=reader),
    ]
    shown = []
    for provider in providers:
        ask = provider.search if isinstance(provider, SerperSearch) else provider.fetch
        with pytest.raises(BoundaryError) as caught:
            await ask("http://a.example.com/", tenant_id="", timeout_seconds=0.3)
        error: BaseException | None = caught.value
        shown += [repr(provider), repr(vars(provider)), provider.cache_key, "".join(traceback.format_exception(error))]
        while error is not None:
            shown += [repr(error), str(error), repr(vars(error))]
            error = error.__cause__ or error.__context__
    reader.close()
    # The server's own log is this test's, not the program's.
    theirs = ("aiohttp.access", "aiohttp.server")
    shown += [record.getMessage() for record in caplog.records if record.name not in theirs]
    everything = "\n".join(shown)
    assert TELLTALE not in everything
    assert len(everything) > 500
